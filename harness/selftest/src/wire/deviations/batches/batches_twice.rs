//! Every batch twice, both pushes: delivery is at least once (contract, section 1, rule 4).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(batches_twice));

fn batches_twice(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    match message.event.as_str() {
        "sync:update_batch" => {
            let step = (&message).into();
            socket.held = Some(message);
            Some(vec![step])
        }
        "sync:frame" => {
            let batch = socket.held.take()?;
            Some(vec![(&message).into(), (&batch).into(), (&message).into()])
        }
        _ => None,
    }
}
