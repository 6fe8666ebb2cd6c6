//! One batch of the stream never comes, neither push (contract, section 1, rule 5: no gap).

use super::of_stream;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(batch_lost), "gap", "seq");

fn batch_lost(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let batch = socket.stage == 0 && socket.frames >= LATER && message.event == "sync:update_batch";
    let lost = of_stream(&message) && (batch || socket.stage == 1);
    socket.stage += u32::from(lost);
    lost.then(Vec::new)
}
