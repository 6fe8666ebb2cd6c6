//! What Phoenix servers say beside the contract, and real Phoenix clients pass over.

use serde_json::{Value, json};

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;

rows![
    presence,
    response_extra,
    reply_to_nobody,
    reply_without_ref,
    heartbeat_pushes,
    subscribe_reply_behind_a_batch,
    beat_reply_before_its_push,
    join_refused,
    subscribe_refused,
    data_stops,
    batches_stop,
    channel_goes_silent,
    another_session,
];

/// An ok reply on the client's channel to a ref of this kind, once.
fn reply(socket: &Socket, message: &Message, reference: Value) -> Option<Vec<Step>> {
    let mine = message.channel == "sync:v1" && !message.join.is_null();
    (socket.frames >= LATER && socket.stage == 0 && mine).then(|| {
        let payload = json!({"response": {}, "status": "ok"});
        let reply = Message::push(message.join.clone(), "phx_reply", payload);
        vec![message.into(), (&Message { reference, ..reply }).into()]
    })
}

/// The reply in hand as a refusal.
fn refused(mut message: Message, response: Value) -> Option<Vec<Step>> {
    message.payload = json!({"response": response, "status": "error"});
    Some(vec![(&message).into()])
}
