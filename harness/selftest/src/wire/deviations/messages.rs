//! Phoenix messages: who they are addressed to, what they carry, what nobody asked for.

use serde_json::{Value, json};

use super::{LATER, batch};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::message::Message;
use crate::wire::row::Row;

const TO_NOBODY: &str = "a join_ref that this socket never used";

pub const ROWS: &[Row] = &[
    Row::go("refnumbers", Deviation::message(refnumbers)),
    Row::no_go("pushstaleref", Deviation::message(pushstaleref), "misaddressed", TO_NOBODY),
    Row::no_go("replystaleref", Deviation::message(replystaleref), "misaddressed", TO_NOBODY),
    Row::go("error_frame_on_auth", Deviation::message(error_frame_on_auth)),
    Row::go("reserved_kind", Deviation::message(reserved_kind)),
    Row::go("pushes_without_join_ref", Deviation::message(pushes_without_join_ref)),
    Row::no_go("other_channel", Deviation::message(other_channel), "misaddressed", "a channel"),
    Row::told("unknown_event", Deviation::message(unknown_event), "unknown_event"),
    Row::told("unknown_field", Deviation::message(unknown_field), "unknown_field"),
    Row::no_go(
        "batch_lacks_heads",
        Deviation::message(batch_lacks_heads),
        MALFORMED,
        "head_watermarks",
    ),
    Row::no_go("frame_lacks_seq", Deviation::message(frame_lacks_seq), MALFORMED, "seq"),
    Row::no_go("reply_lacks_status", Deviation::message(reply_lacks_status), MALFORMED, "status"),
    Row::no_go("bad_json", Deviation::frame(bad_json), MALFORMED, "contract"),
    Row::no_go("v1_objects", Deviation::message(v1_objects), MALFORMED, "contract"),
];

const MALFORMED: &str = "malformed_message";

/// Refs as numbers: a serializer that reads `"1"` into an integer and writes that.
fn refnumbers(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    for reference in [&mut message.join, &mut message.reference] {
        let number = reference.as_str().and_then(|text| text.parse::<u64>().ok());
        if let Some(number) = number {
            *reference = number.into();
        }
    }
    Some(vec![(&message).into()])
}

/// Data addressed to a join that the socket never made: phoenix.js (`isMember`) drops it silently.
fn pushstaleref(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (message.is_data() && !message.join.is_null()).then(|| vec![to_nobody(message)])
}

/// The same of replies: nothing that the client asks is ever answered.
fn replystaleref(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_reply().then(|| vec![to_nobody(message)])
}

fn to_nobody(message: Message) -> Step {
    (&Message { join: json!("999"), ..message }).into()
}

/// The error frame on topic `sync.auth` that may come with a revocation (contract, section 3, closes),
/// here without one: it asks nothing of the client and leaks nothing.
fn error_frame_on_auth(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if socket.frames != LATER {
        return None;
    }
    let error = r#"{"code":"reauth_required","message":"m","reauth_required":true,"reason":"r"}"#;
    let join = join_of(&message);
    let frame = batch::frame(&join, "sync.auth", 0, "KHALA_FRAME_KIND_ERROR", error);
    Some(vec![(&message).into(), (&frame).into()])
}

/// The join_ref to address a made-up push to: that of the message before it, or none.
fn join_of(message: &Message) -> Value {
    if message.channel == "phoenix" { Value::Null } else { message.join.clone() }
}

/// A frame of a kind that the contract reserves: a newer runtime may use it.
fn reserved_kind(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let join = join_of(&message);
        let topic = "runtime.codex_worker_events";
        let frame = batch::frame(&join, topic, 0, "KHALA_FRAME_KIND_HEARTBEAT", "{}");
        vec![(&message).into(), (&frame).into()]
    })
}

/// Pushes with a null join_ref, as Phoenix's own broadcasts have it (`Phoenix.Socket.Broadcast`).
fn pushes_without_join_ref(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_data().then(|| vec![(&Message { join: Value::Null, ..message }).into()])
}

/// Data on a channel that the client never joined.
fn other_channel(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    message.is_data().then(|| vec![(&Message { channel: "sync:v2".to_owned(), ..message }).into()])
}

/// An event that the contract does not know: phoenix.js calls no handler.
fn unknown_event(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let push = Message::push(join_of(&message), "sync:notice", json!({}));
        vec![(&message).into(), (&push).into()]
    })
}

/// One more field in a reply: clients read what they know.
fn unknown_field(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_reply().then(|| {
        message.payload["trace"] = "4bf92f".into();
        vec![(&message).into()]
    })
}

/// A message without one of its fields, once a socket from then on.
fn lacks(socket: &Socket, mut message: Message, event: &str, field: &str) -> Option<Vec<Step>> {
    (socket.frames >= LATER && message.event == event).then(|| {
        message.payload.as_object_mut().map(|fields| fields.remove(field));
        vec![(&message).into()]
    })
}

/// Batches without `head_watermarks`: an encoder that leaves out what is empty.
fn batch_lacks_heads(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    lacks(socket, message, "sync:update_batch", "head_watermarks")
}

/// Frames without `seq`: protobuf's JSON leaves out what is 0.
fn frame_lacks_seq(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    lacks(socket, message, "sync:frame", "seq")
}

/// Replies without `status`, as a server answers that sends the response alone.
fn reply_lacks_status(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    lacks(socket, message, "phx_reply", "status")
}

/// Half a message, as a sender that cuts at a buffer's end.
fn bad_json(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let half = &frame.payload[..frame.payload.len() / 2];
    (socket.frames == LATER).then(|| vec![Frame::text(half).into()])
}

/// Objects of the serializer V1 to a client that asked for V2.
fn v1_objects(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames >= LATER).then(|| {
        let Message { join, reference, channel, event, payload } = message;
        let object = json!({"event": event, "join_ref": join, "payload": payload, "ref": reference,
            "topic": channel});
        vec![Frame::text(object.to_string()).into()]
    })
}
