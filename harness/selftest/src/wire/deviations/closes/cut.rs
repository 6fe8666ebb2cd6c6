//! Every connection ends once without a close frame: a proxy that is restarted.

use super::{ENDS, STABILITY, cut};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(cut), STABILITY, ENDS);
