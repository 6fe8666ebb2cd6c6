//! Every socket once with 1008, "policy violation" (RFC 6455, section 7.4.1), which the contract
//! does not have.

use super::{WRONG, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1008>), WRONG, "`1008`");
