//! An event that the contract does not know: phoenix.js calls no handler.

use serde_json::json;

use super::join_of;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::message(unknown_event), "unknown_event");

fn unknown_event(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let push = Message::push(join_of(&message), "sync:notice", json!({}));
        vec![(&message).into(), (&push).into()]
    })
}
