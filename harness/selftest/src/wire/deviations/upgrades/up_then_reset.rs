//! A reset right behind the 101: a proxy that has upgraded before it finds that its back end takes nobody, or a limit of
//! connections that is counted only when they are made (RFC 9293, section 3.5.2: a reset may come at any time).

use super::STABILITY;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::accepted(up_then_reset),
    STABILITY,
    "was reset, before its join was answered",
);

fn up_then_reset(head: Head) -> Vec<Step> {
    vec![Step::Send(head.bytes()), Step::Reset]
}
