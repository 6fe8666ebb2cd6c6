//! Every socket once with 1006 on the wire, where it stands for an end without a close frame and
//! must never be sent (RFC 6455, section 7.4.1).

use super::{MALFORMED, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1006>), "ws_protocol", MALFORMED);
