//! Two batches of the stream in the wrong order (contract, section 1, rule 5: within a subscription
//! it is the order of seq).

use super::of_stream;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(batches_swapped), "nonmonotonic", "seq");

fn batches_swapped(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if socket.frames < LATER || !of_stream(&message) {
        return None;
    }
    // 0: the batch is kept, and its frame not sent: a frame without its batch would say more than that
    // the order is wrong. 2: the next batch passes; 3: behind its frame comes what was kept.
    match socket.stage {
        0 if message.event == "sync:update_batch" => {
            (socket.stage, socket.held) = (1, Some(message));
            Some(Vec::new())
        }
        1 => {
            socket.stage = 2;
            let batch = socket.held.take()?;
            socket.pair = Some((batch, message));
            Some(Vec::new())
        }
        2 => {
            socket.stage = 3;
            None
        }
        3 => {
            socket.stage = 4;
            let (batch, frame) = socket.pair.take()?;
            Some(vec![(&message).into(), (&batch).into(), (&frame).into()])
        }
        _ => None,
    }
}
