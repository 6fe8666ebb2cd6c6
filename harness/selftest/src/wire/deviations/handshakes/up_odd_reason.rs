//! "Web Socket Protocol Handshake", as WebSocket-Node and older Jettys say: a client ignores the reason
//! (RFC 9112, section 4).

use super::send;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::Head;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::accepted(up_odd_reason));

fn up_odd_reason(mut head: Head) -> Vec<Step> {
    "HTTP/1.1 101 Web Socket Protocol Handshake".clone_into(&mut head.line);
    send(&head)
}
