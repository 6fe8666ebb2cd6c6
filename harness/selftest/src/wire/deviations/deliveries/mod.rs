//! Batches cut, joined, repeated and mixed in other ways than the runtime does it.

use serde_json::{Value, json};

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::{LATER, batch};
use crate::wire::message::Message;

rows![
    batches_of_one,
    batches_merged,
    batch_again_later,
    pushes_of_topics_mixed,
    frames_late,
    topics_apart,
    never_complete,
    states_skipped,
    states_by_pointer,
    hash_wrong,
    payload_changed,
    state_goes_back,
    event_twice,
    batch_of_two_topics,
];

/// The state among the topics of the clients.
pub(super) const STATE: &str = "runtime.codex_worker_summaries";

/// Heartbeats that are answered so often that what is kept back until then is never late.
const BEATS: &[&str] = &["fleet.surface.desktop.heartbeat=400ms"];

/// The topic of a batch's push.
pub(super) fn topic(message: &Message) -> &str {
    let of_batch = message.payload["updates"][0]["topic"].as_str();
    message.payload["topic"].as_str().or(of_batch).unwrap_or_default()
}

/// Both pushes of these updates, as one batch.
fn both(join: &Value, updates: &[Value], complete: bool) -> Vec<Message> {
    let last = updates.last().cloned().unwrap_or_default();
    let (topic, seq) = (last["topic"].clone(), last["watermark"].as_u64().unwrap_or_default());
    let heads = json!([{"topic": topic, "watermark": seq}]);
    let content =
        json!({"head_watermarks": heads, "replay_complete": complete, "updates": updates});
    let name = topic.as_str().unwrap_or_default();
    let frame =
        batch::frame(join, name, seq, "KHALA_FRAME_KIND_UPDATE_BATCH", &content.to_string());
    vec![Message::push(join.clone(), "sync:update_batch", content), frame]
}

pub(super) fn updates(message: &Message) -> Vec<Value> {
    message.payload["updates"].as_array().cloned().unwrap_or_default()
}

fn steps(messages: &[Message]) -> Vec<Step> {
    messages.iter().map(Step::from).collect()
}

/// Batches through which the content of both pushes is changed: the batch's push gives way to both, the
/// frame's to nothing.
fn rewrite(
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
pub(super) fn edit(message: &Message, change: impl Fn(&mut Value)) -> Option<Vec<Step>> {
    rewrite(message, |mut updates| {
        updates.iter_mut().for_each(change);
        both(&message.join, &updates, true)
    })
}

/// Whether a deviation that begins later has begun: with a batch's first push, never between its two.
pub(super) fn begun(socket: &mut Socket, message: &Message) -> Option<()> {
    let begins = socket.frames >= LATER && message.event == "sync:update_batch";
    socket.stage |= u32::from(begins);
    (socket.stage == 1).then_some(())
}
