//! Every socket once with 3000, of the range for libraries and frameworks (RFC 6455, section
//! 7.4.2), which the contract does not have.

use super::{WRONG, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<3000>), WRONG, "`3000`");
