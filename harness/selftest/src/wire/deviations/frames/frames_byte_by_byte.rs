//! Frames in segments of a byte each, as a proxy without a buffer writes them: TCP keeps no
//! boundaries of writes (RFC 9293, section 3.7).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(frames_byte_by_byte));

fn frames_byte_by_byte(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let bytes = frame.bytes();
    (socket.frames <= LATER).then(|| bytes.iter().map(|&byte| Step::Send(vec![byte])).collect())
}
