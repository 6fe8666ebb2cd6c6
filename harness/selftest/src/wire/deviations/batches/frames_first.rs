//! Each batch's frame before its legacy push, in the same bytes: the contract has them the other
//! way round (contract, section 3, delivery), and a client takes one of the two.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::message(frames_first), "frame_before_batch");

fn frames_first(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    match message.event.as_str() {
        "sync:update_batch" => {
            socket.held = Some(message);
            Some(Vec::new())
        }
        "sync:frame" => {
            let batch = socket.held.take()?;
            Some(vec![(&message).into(), (&batch).into()])
        }
        _ => None,
    }
}
