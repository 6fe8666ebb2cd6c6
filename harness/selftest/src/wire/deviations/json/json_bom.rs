//! A byte order mark before the text (RFC 8259, section 8.1: must not be added), as .NET's `UTF8Encoding`
//! writes it; `JSON.parse` throws.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(json_bom), "malformed_message", "contract");

fn json_bom(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let payload = [b"\xef\xbb\xbf", &frame.payload[..]].concat();
    (socket.frames == LATER).then(|| vec![Frame::text(payload).into()])
}
