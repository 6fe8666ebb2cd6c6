//! One client gets frames and no batches any more, where each batch is pushed twice (contract,
//! section 3, delivery): half of an old push that was switched off too early.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(batches_stop), "frame_mismatch", "seq");

fn batches_stop(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let batch = message.event == "sync:update_batch";
    (socket.number == 0 && socket.frames >= LATER && batch).then(Vec::new)
}
