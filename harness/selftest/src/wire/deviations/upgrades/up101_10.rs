//! A 101 over HTTP/1.0: tungstenite, and with it the desktop client, refuses the version.

use super::{REFUSED, STABILITY};
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::accepted(up101_10), STABILITY, REFUSED);

fn up101_10(mut head: Head) -> Vec<Step> {
    head.line = head.line.replace("HTTP/1.1", "HTTP/1.0");
    vec![Step::Send(head.bytes())]
}
