//! The reply to a subscribe says that the stream stands one event below what was replayed before it: where the socket
//! stands was read before the last batch was sent (contract, section 3, subscribe: replay is complete when it comes).

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::STREAM;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(subscribe_marks_behind), "malformed_message", "came before it")
        .resume();

fn subscribe_marks_behind(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(|| {
        let marks = message.payload["response"]["current_watermarks"].as_array_mut();
        for mark in marks.into_iter().flatten().filter(|mark| mark["topic"] == STREAM) {
            let stands = mark["watermark"].as_u64().unwrap_or_default();
            mark["watermark"] = Value::from(stands.saturating_sub(1));
        }
        vec![(&message).into()]
    })
}
