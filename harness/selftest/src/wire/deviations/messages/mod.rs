//! Phoenix messages: who they are addressed to, what they carry, what nobody asked for.

use serde_json::{Value, json};

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;

rows![
    refnumbers,
    pushstaleref,
    replystaleref,
    error_frame_on_auth,
    reserved_kind,
    pushes_without_join_ref,
    other_channel,
    unknown_event,
    unknown_field,
    batch_lacks_heads,
    frame_lacks_seq,
    reply_lacks_status,
    bad_json,
    v1_objects,
];

const TO_NOBODY: &str = "a join_ref that this socket never used";
const MALFORMED: &str = "malformed_message";

/// The same, addressed to a join that the socket never made.
fn to_nobody(message: Message) -> Step {
    (&Message { join: json!("999"), ..message }).into()
}

/// The join_ref to address a made-up push to: that of the message before it, or none.
fn join_of(message: &Message) -> Value {
    if message.channel == "phoenix" { Value::Null } else { message.join.clone() }
}

/// A message without one of its fields, once a socket from then on.
fn lacks(socket: &Socket, mut message: Message, event: &str, field: &str) -> Option<Vec<Step>> {
    (socket.frames >= LATER && message.event == event).then(|| {
        message.payload.as_object_mut().map(|fields| fields.remove(field));
        vec![(&message).into()]
    })
}
