//! 103 before the 101 (RFC 8297): tokio-tungstenite, and with it the desktop client, takes the
//! first answer for the last.

use super::{STABILITY, up103};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::accepted(up103), STABILITY, "103");
