//! Every socket once with 999: codes below 1000 are not used (RFC 6455, section 7.4.2).

use super::{MALFORMED, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<999>), "ws_protocol", MALFORMED);
