//! Every socket once with 1011, which the contract has for revoked sessions and for what cannot be
//! read (contract, section 3, framing and closes); there was neither.

use super::{ENDS, STABILITY, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1011>), STABILITY, ENDS);
