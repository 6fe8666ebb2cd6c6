//! Batches of a deviation's own making: right in everything but what the deviation is about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use khala_wire::canonical;
use serde_json::{Value, json};

use crate::wire::message::Message;

/// Both pushes of a batch of one update.
pub fn pushes(join: &Value, topic: &str, seq: u64) -> [Message; 2] {
    let payload = json!({"secret": "of another org"});
    let update = json!({
        "doc_key": "runtime/secret:1", "doc_version": 1, "hydration_required": false,
        "payload_hash": canonical::payload_hash(&payload), "payload": payload, "topic": topic,
        "watermark": seq,
    });
    let heads = json!([{"topic": topic, "watermark": seq}]);
    let content = json!({"head_watermarks": heads, "replay_complete": true, "updates": [update]});
    let frame = frame(join, topic, seq, "KHALA_FRAME_KIND_UPDATE_BATCH", &content.to_string());
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
