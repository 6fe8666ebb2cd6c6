//! Every socket once with a code. The contract has 1000, 1002, 1011 and 1012 (a draining reload, for
//! one), which nobody planned here; 1001, 1008, 1013 and 3000 it has not; 1005 and 1006 stand for what is
//! not on the wire, and 999 and 5000 are no codes (RFC 6455, section 7.4).

use super::{ENDS, STABILITY, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1002>), STABILITY, ENDS);
