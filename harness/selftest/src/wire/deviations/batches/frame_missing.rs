//! One batch's frame is missing (contract, section 3, delivery: each batch is pushed twice).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(frame_missing), "frame_mismatch", "seq");

fn frame_missing(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let missing = socket.stage == 0 && socket.frames >= LATER && message.event == "sync:frame";
    socket.stage += u32::from(missing);
    missing.then(Vec::new)
}
