//! A batch of an unknown topic whose content cannot be read: authority (contract, section 1, rule
//! 8) comes before content.

use serde_json::json;

use super::UNKNOWN;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(leak_unreadable), "authz_leak", UNKNOWN);

fn leak_unreadable(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let update = json!({"topic": UNKNOWN, "watermark": "five"});
        let batch =
            Message::push(message.join.clone(), "sync:update_batch", json!({"updates": [update]}));
        vec![(&message).into(), (&batch).into()]
    })
}
