//! What answers, errors and updates say of whom, of which topics and of what they carry: what cannot be so, and what
//! only looks as if.

use serde_json::{Value, json};

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::deviations::batch::{self, STREAM};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::message::Message;

rows![
    slow_by_frame_alone,
    error_frame_unknown,
    reauth_unprovoked,
    stale_unprovoked,
    subscribe_of_another,
    beat_of_another,
    allows_more,
    allows_nothing,
    beat_names_others,
    heads_name_others,
    heads_of_all_that_is_had,
    heads_behind,
    beat_refused,
    subscribe_names_fewer,
    subscribe_without_marks,
    subscribe_marks_zero,
    subscribe_marks_ahead,
    subscribe_order_of_topics,
    payloads_left_out,
    documents_empty,
    payloads_to_fetch_too,
    payloads_without_hash,
    state_newer_than_it_says,
    event_says_two_workers,
    error_frame_of_others,
    reserved_frame_of_others,
    batch_behind_auth,
    event_of_others,
    event_of_ones_own,
    event_with_a_subject,
    beat_reply_of_others,
    pub_of_another_worker,
    pub_says_the_seq_alone,
    heads_far_ahead,
    heads_of_what_follows,
    beats_far_ahead,
    beats_behind,
    beats_one_behind,
    state_far_ahead,
    stale_head_ahead,
    stale_budget_other,
    stale_tier_other,
    stale_without_tier,
    metrics_heads_ahead,
    metrics_count_back,
    metrics_evict_nobody,
    event_keys_all_one,
];

/// A warning to a client that is not slow.
const SLOW: &str = r#"{"action":"throttle","code":"slow_consumer","full_resync_required":false,"message":"m","queue_depth":70,"queue_limit":64,"reconnect_after_ms":2000,"topic":"runtime.codex_worker_events"}"#;

/// Once a socket, behind a batch's second push, something more.
fn later(
    socket: &mut Socket,
    message: Message,
    more: impl FnOnce(Value) -> Message,
) -> Option<Vec<Step>> {
    let due = socket.frames >= LATER && socket.stage == 0 && message.event == "sync:frame";
    due.then(|| {
        socket.stage = 1;
        vec![(&message).into(), (&more(message.join.clone())).into()]
    })
}

/// An error, by its frame alone.
fn error_frame(socket: &mut Socket, message: Message, error: &str) -> Option<Vec<Step>> {
    later(socket, message, |join| batch::frame(&join, STREAM, 0, "KHALA_FRAME_KIND_ERROR", error))
}

/// A stale cursor that is fresh by its own figures.
fn stale_of_the_stream() -> Value {
    json!({"code": "stale_cursor", "message": "m", "full_resync_required": true,
        "reason_codes": ["retention_floor_breach"],
        "stale_topics": [{"topic": STREAM, "reason": "retention_floor_breach", "qos_tier": "hot",
            "resume_after": 1, "retention_floor": 0, "head_watermark": 2, "replay_lag": 1,
            "replay_budget_events": 3000}],
        "snapshot_plan": {"format": "openagents.sync.snapshot.v1", "topics": []}})
}

/// The fan-out metrics, changed.
fn metrics(
    request: &Request,
    answer: Answer,
    change: impl FnOnce(&mut Value),
) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then_some(())?;
    Some(vec![Step::Send(answer.edited(change)?.bytes())])
}

/// The reply of a refusal as stale, and its push, with other figures of each topic.
fn stale_figures(mut message: Message, change: impl Fn(&mut Value)) -> Option<Vec<Step>> {
    let error = if message.is_reply() {
        &mut message.payload["response"]
    } else if message.event == "sync:error" {
        &mut message.payload
    } else {
        return None;
    };
    error["stale_topics"].as_array_mut()?.iter_mut().for_each(change);
    Some(vec![(&message).into()])
}

/// A heartbeat of the target, or the reply to one, with other watermarks.
fn beats(mut message: Message, change: impl Fn(u64) -> u64) -> Option<Vec<Step>> {
    let marks = if message.is_heartbeat_reply() {
        &mut message.payload["response"]["watermarks"]
    } else if message.event == "sync:heartbeat" {
        &mut message.payload["watermarks"]
    } else {
        return None;
    };
    for mark in marks.as_array_mut().into_iter().flatten() {
        mark["watermark"] = Value::from(change(mark["watermark"].as_u64().unwrap_or_default()));
    }
    Some(vec![(&message).into()])
}

/// Both pushes of a batch with other heads.
fn reheaded(message: Message, change: impl Fn(&mut Vec<Value>)) -> Option<Vec<Step>> {
    (message.event == "sync:update_batch" || message.event == "sync:frame").then_some(())?;
    batch::rewrite(&message, |updates| {
        let [mut push, _] = batch::both(&message.join, &updates, true);
        push.payload["head_watermarks"].as_array_mut().into_iter().for_each(&change);
        let seq = updates.last().and_then(|last| last["watermark"].as_u64()).unwrap_or_default();
        let topic = batch::topic(&push).to_owned();
        let carried = push.payload.to_string();
        let frame =
            batch::frame(&message.join, &topic, seq, "KHALA_FRAME_KIND_UPDATE_BATCH", &carried);
        vec![push, frame]
    })
}
