//! The reply to a subscribe names none of the topics that it grants (contract, section 3, subscribe).

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(subscribe_names_fewer),
    "malformed_message",
    "which was asked for",
);

fn subscribe_names_fewer(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(|| {
        message.payload["response"]["topics"] = json!([]);
        vec![(&message).into()]
    })
}
