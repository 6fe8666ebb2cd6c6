//! Every socket once with 1013, "try again later" in IANA's registry of close codes, which the
//! contract does not have.

use super::{WRONG, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1013>), WRONG, "`1013`");
