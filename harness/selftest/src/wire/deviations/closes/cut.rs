//! Every connection ends once without a close frame, as when a proxy is restarted: a kill has none
//! (contract, section 3, closes).

use super::{ENDS, STABILITY, cut};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(cut), STABILITY, ENDS);
