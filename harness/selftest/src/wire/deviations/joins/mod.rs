//! Joins, their replies and their ends.

use serde_json::{Value, json};

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;

rows![
    joinreplytwice,
    phxerror,
    old_join_data,
    phxclose,
    replies_late,
    replies_swapped,
    subscribe_unanswered,
    heartbeats_unanswered,
    unsubscribe_late,
    unsubscribe_unanswered,
];

/// Whether it is the reply to an unsubscribe: it says what remains, and where nothing stands.
fn is_unsubscribe_reply(message: &Message) -> bool {
    let response = &message.payload["response"];
    let has = |name: &str| response.get(name).is_some();
    message.is_reply() && has("topics") && !has("current_watermarks")
}

/// The end of a channel by a crash, with its join_ref as both refs (contract, section 3, framing).
fn phx_error(join: Value) -> Message {
    let reference = join.clone();
    Message { reference, ..Message::push(join, "phx_error", json!({})) }
}

/// A `phx_error` behind a push, once. The runtime knows nothing of it, and what it says until the client
/// has joined again would not have been said: it is swallowed. `rejoined` says what becomes of the reply
/// to the new join, with the last push of the old one.
fn crash(
    socket: &mut Socket,
    message: Message,
    rejoined: fn(Message, Message) -> Vec<Step>,
) -> Option<Vec<Step>> {
    match socket.stage {
        0 if socket.frames >= LATER && message.event == "sync:frame" => {
            socket.stage = 1;
            let error = phx_error(message.join.clone());
            let steps = vec![(&message).into(), (&error).into()];
            socket.held = Some(message);
            Some(steps)
        }
        1 if message.is_join_reply() => {
            socket.stage = 2;
            Some(rejoined(message, socket.held.take()?))
        }
        1 => (message.channel != "phoenix").then(Vec::new),
        _ => None,
    }
}
