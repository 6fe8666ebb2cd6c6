//! Phoenix messages: who they are addressed to, what they carry, what nobody asked for.

use serde_json::{Value, json};

use super::{LATER, batch};
use crate::commands::selftest::wire::deviation::{Deviation, Socket, Step};
use crate::commands::selftest::wire::message::Message;
use crate::commands::selftest::wire::row::Row;

const TO_NOBODY: &str = "a join_ref that this socket never used";

pub const ROWS: &[Row] = &[
    Row::go("refnumbers", Deviation::message(refnumbers)),
    Row::no_go("pushstaleref", Deviation::message(pushstaleref), "misaddressed", TO_NOBODY),
    Row::no_go("replystaleref", Deviation::message(replystaleref), "misaddressed", TO_NOBODY),
    Row::go("error_frame_on_auth", Deviation::message(error_frame_on_auth)),
];

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
