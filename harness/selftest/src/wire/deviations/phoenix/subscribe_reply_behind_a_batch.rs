//! The reply to a subscribe only behind the first live batch: a channel process that is told of new events
//! before its own reply is out. The order of seq is kept (contract, section 1, rule 5).

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(subscribe_reply_behind_a_batch));

fn subscribe_reply_behind_a_batch(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.is_subscribe_reply() {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    // Behind both pushes of the batch; a heartbeat is not waited beyond.
    let held = socket.held.take_if(|_| message.event != "sync:update_batch")?;
    Some(vec![(&message).into(), (&held).into()])
}
