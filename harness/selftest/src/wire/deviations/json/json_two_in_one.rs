//! Two documents in one message, one a line, where a JSON text is one value (RFC 8259, section 2):
//! a server that takes the socket for a stream.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::frame(json_two_in_one), "malformed_message", "contract");

fn json_two_in_one(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let payload = [&frame.payload[..], b"\n", &frame.payload[..]].concat();
    (socket.frames == LATER).then(|| vec![Frame::text(payload).into()])
}
