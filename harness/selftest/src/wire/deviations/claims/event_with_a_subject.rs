//! An event that the contract does not know, about a subject which it calls its topic: a notice of maintenance, and
//! data of no topic of this contract. Phoenix clients hand events on by their names.

use serde_json::json;

use super::later;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::message(event_with_a_subject), "unknown_event");

fn event_with_a_subject(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    later(socket, message, |join| {
        let notice = json!({"topic": "maintenance", "payload": {"text": "at noon"}});
        Message::push(join, "sync:notice", notice)
    })
}
