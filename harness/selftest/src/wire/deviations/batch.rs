//! Batches, read, changed and made anew: right in everything but what the deviation is about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use khala_wire::canonical;
use serde_json::{Value, json};

use super::LATER;
use crate::wire::deviation::{Socket, Step};
use crate::wire::message::Message;

/// The stream among the topics of the clients.
pub const STREAM: &str = "runtime.codex_worker_events";

/// The state among the topics of the clients.
pub const STATE: &str = "runtime.codex_worker_summaries";

/// The topic of a batch's push, of either shape.
pub fn topic(message: &Message) -> &str {
    let of_batch = message.payload["updates"][0]["topic"].as_str();
    message.payload["topic"].as_str().or(of_batch).unwrap_or_default()
}

/// The updates of a legacy push.
pub fn updates(message: &Message) -> Vec<Value> {
    message.payload["updates"].as_array().cloned().unwrap_or_default()
}

/// Both pushes of a batch of one update.
pub fn pushes(join: &Value, topic: &str, seq: u64) -> [Message; 2] {
    let payload = json!({"secret": "of another org"});
    let update = json!({
        "doc_key": "runtime/secret:1", "doc_version": 1, "hydration_required": false,
        "payload_hash": canonical::payload_hash(&payload), "payload": payload, "topic": topic,
        "watermark": seq,
    });
    both(join, &[update], true)
}

/// Both pushes of these updates, as one batch.
pub fn both(join: &Value, updates: &[Value], complete: bool) -> [Message; 2] {
    let last = updates.last().cloned().unwrap_or_default();
    let (topic, seq) = (last["topic"].clone(), last["watermark"].as_u64().unwrap_or_default());
    let heads = json!([{"topic": topic, "watermark": seq}]);
    let content =
        json!({"head_watermarks": heads, "replay_complete": complete, "updates": updates});
    let name = topic.as_str().unwrap_or_default();
    let frame = frame(join, name, seq, "KHALA_FRAME_KIND_UPDATE_BATCH", &content.to_string());
    [Message::push(join.clone(), "sync:update_batch", content), frame]
}

/// A `sync:frame` that carries a text.
pub fn frame(join: &Value, topic: &str, seq: u64, kind: &str, carried: &str) -> Message {
    let payload = json!({
        "kind": kind, "payload_bytes": STANDARD.encode(carried), "schema_version": 1, "seq": seq,
        "topic": topic,
    });
    Message::push(join.clone(), "sync:frame", payload)
}

/// These messages, sent.
pub fn steps(messages: &[Message]) -> Vec<Step> {
    messages.iter().map(Step::from).collect()
}

/// Batches through which the content of both pushes is changed: the batch's push gives way to both, the
/// frame's to nothing.
pub fn rewrite(
    message: &Message,
    batches: impl FnOnce(Vec<Value>) -> Vec<Message>,
) -> Option<Vec<Step>> {
    match message.event.as_str() {
        "sync:update_batch" => Some(steps(&batches(updates(message)))),
        "sync:frame" => Some(Vec::new()),
        _ => None,
    }
}

/// The same of the updates alone.
pub fn edit(message: &Message, change: impl Fn(&mut Value)) -> Option<Vec<Step>> {
    rewrite(message, |mut updates| {
        updates.iter_mut().for_each(change);
        both(&message.join, &updates, true).into()
    })
}

/// Whether a deviation that begins later has begun: with a batch's first push, never between its two.
pub fn begun(socket: &mut Socket, message: &Message) -> Option<()> {
    let begins = socket.frames >= LATER && message.event == "sync:update_batch";
    socket.stage |= u32::from(begins);
    (socket.stage == 1).then_some(())
}
