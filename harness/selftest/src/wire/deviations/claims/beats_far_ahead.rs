//! Heartbeats, and the replies to them, that say that topics stand a thousand beyond the log (contract, section 3,
//! heartbeats): a client that goes by them for its cursor misses what lies between.

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(beats_far_ahead), "malformed_message", "by a heartbeat");

fn beats_far_ahead(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    let marks = if message.is_heartbeat_reply() {
        &mut message.payload["response"]["watermarks"]
    } else if message.event == "sync:heartbeat" {
        &mut message.payload["watermarks"]
    } else {
        return None;
    };
    for mark in marks.as_array_mut().into_iter().flatten() {
        let stands = mark["watermark"].as_u64().unwrap_or_default();
        mark["watermark"] = Value::from(stands + 1_000);
    }
    Some(vec![(&message).into()])
}
