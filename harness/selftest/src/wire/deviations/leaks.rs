//! Batches of topics that nobody was granted.

use serde_json::json;

use super::{LATER, batch};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

const UNKNOWN: &str = "org:77:billing";
const KNOWN: &str = "runtime.notifications";

pub const ROWS: &[Row] = &[
    Row::no_go("leakunknown", Deviation::message(leakunknown), "authz_leak", UNKNOWN),
    Row::no_go("leakknown", Deviation::message(leakknown), "authz_leak", KNOWN),
    Row::no_go("leak_unreadable", Deviation::message(leak_unreadable), "authz_leak", UNKNOWN),
    Row::no_go("push_before_subscribe", Deviation::message(push_before_subscribe), LEFT, "never"),
];

const LEFT: &str = "after_unsubscribe";

/// A batch of a topic that the contract does not know, as a wildcard subscription at a broker passes on.
fn leakunknown(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    leaks(socket, &message, UNKNOWN)
}

/// A batch of a known topic that was not granted.
fn leakknown(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    leaks(socket, &message, KNOWN)
}

fn leaks(socket: &Socket, message: &Message, topic: &str) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let [batch, frame] = batch::pushes(&message.join, topic, 5);
        vec![message.into(), (&batch).into(), (&frame).into()]
    })
}

/// A batch of an unknown topic whose content cannot be read: authority comes before content.
fn leak_unreadable(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let update = json!({"topic": UNKNOWN, "watermark": "five"});
        let batch =
            Message::push(message.join.clone(), "sync:update_batch", json!({"updates": [update]}));
        vec![(&message).into(), (&batch).into()]
    })
}

/// A batch of a granted topic before the join is answered, so that no subscribe can have been sent.
fn push_before_subscribe(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_join_reply().then(|| {
        let [batch, frame] = batch::pushes(&message.join, "runtime.codex_worker_events", 1);
        vec![(&batch).into(), (&frame).into(), (&message).into()]
    })
}
