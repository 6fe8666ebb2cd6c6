//! `Connection` on two lines, which is the same as a list (RFC 9110, section 5.2).

use super::send;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_connection_lines));

fn up_connection_lines(head: Head) -> Vec<Step> {
    let head = head.with("Connection", Some("keep-alive"));
    send(&head.and("connection", "Upgrade"))
}
