//! A text message of Latin-1 (RFC 6455, section 8.1: a client fails the connection).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(badutf8), "ws_protocol", "not UTF-8");

fn badutf8(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| vec![Frame::text(b"[\"\xff\xfe\"]".as_slice()).into()])
}
