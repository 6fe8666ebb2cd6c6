//! Every socket once with 1012, "service restart" (contract, section 3, closes), as a draining
//! reload closes; nobody planned it here.

use super::{ENDS, STABILITY, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1012>), STABILITY, ENDS);
