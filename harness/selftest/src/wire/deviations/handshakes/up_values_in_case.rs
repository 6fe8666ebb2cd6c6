//! `WebSocket` and `UPGRADE`: both are compared without case (RFC 6455, section 4.1); Python's
//! `websocket-server` and .NET write them so.

use super::send;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_values_in_case));

fn up_values_in_case(head: Head) -> Vec<Step> {
    let head = head.with("Upgrade", Some("WebSocket"));
    send(&head.with("Connection", Some("UPGRADE")))
}
