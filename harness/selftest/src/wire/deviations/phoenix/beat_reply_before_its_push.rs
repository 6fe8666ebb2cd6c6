//! The push that answers a heartbeat behind the reply to it, where the contract has it before
//! (contract, section 3, heartbeats): one process broadcasts, another replies.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(beat_reply_before_its_push));

fn beat_reply_before_its_push(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.event == "sync:heartbeat" {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let held = socket.held.take_if(|_| message.is_reply())?;
    Some(vec![(&message).into(), (&held).into()])
}
