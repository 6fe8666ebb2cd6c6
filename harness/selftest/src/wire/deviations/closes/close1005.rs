//! Every socket once with 1005 on the wire, where it stands for a frame without a code and must
//! never be sent (RFC 6455, section 7.4.1).

use super::{MALFORMED, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1005>), "ws_protocol", MALFORMED);
