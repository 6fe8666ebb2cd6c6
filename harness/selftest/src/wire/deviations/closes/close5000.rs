//! Every socket once with 5000, which lies beyond the last range of codes (RFC 6455, section
//! 7.4.2).

use super::{MALFORMED, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<5000>), "ws_protocol", MALFORMED);
