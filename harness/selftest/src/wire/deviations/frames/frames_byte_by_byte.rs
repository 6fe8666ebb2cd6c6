//! Frames in segments of a byte each, as a proxy without a buffer writes them: TCP keeps no
//! boundaries of writes (RFC 9293, section 3.7).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(frames_byte_by_byte));

/// Of this many sockets one gets its frames so. A byte costs a write, a segment and a wake-up: for
/// everybody they keep a core busy for seconds, and updates wait for the machine.
const SOCKETS: u32 = 4;
/// The join's reply, the subscribe's, and the first batches with both pushes.
const FRAMES: u32 = 8;

fn frames_byte_by_byte(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let bytes = frame.bytes();
    (socket.number.is_multiple_of(SOCKETS) && socket.frames <= FRAMES)
        .then(|| bytes.iter().map(|&byte| Step::Send(vec![byte])).collect())
}
