//! More fields in the responses of joins, subscribes and heartbeats, from a newer server: clients
//! read what they know, as serde does by default.

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::message(response_extra), "unknown_field");

fn response_extra(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_reply().then(|| {
        message.payload["response"]["region"] = "eu".into();
        message.payload["response"]["limits"] = json!({"topics": 16});
        vec![(&message).into()]
    })
}
