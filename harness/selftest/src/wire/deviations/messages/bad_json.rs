//! Half a message, as a sender that cuts at a buffer's end (contract, section 3, framing: an array
//! of five).

use super::MALFORMED;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(bad_json), MALFORMED, "contract");

fn bad_json(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let half = &frame.payload[..frame.payload.len() / 2];
    (socket.frames == LATER).then(|| vec![Frame::text(half).into()])
}
