//! The reply to a subscribe does not say where its topics stand: a client that got nothing has no cursor to
//! come back with (contract, section 3, subscribe).

use serde_json::json;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::message(subscribe_without_marks),
    "malformed_message",
    "does not say where",
);

fn subscribe_without_marks(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(|| {
        message.payload["response"]["current_watermarks"] = json!([]);
        vec![(&message).into()]
    })
}
