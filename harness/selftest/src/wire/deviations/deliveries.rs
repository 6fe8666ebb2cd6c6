//! Batches cut, joined, repeated and mixed in other ways than the runtime does it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{LATER, batch};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("batches_of_one", Deviation::message(batches_of_one)),
    Row::go("batches_merged", Deviation::message(batches_merged)).set(BEATS),
    Row::go("batch_again_later", Deviation::message(batch_again_later)),
    Row::go("pushes_of_topics_mixed", Deviation::message(pushes_of_topics_mixed)),
    Row::go("frames_late", Deviation::message(frames_late)),
    Row::go("topics_apart", Deviation::message(topics_apart)).set(BEATS),
    Row::go("never_complete", Deviation::message(never_complete)),
    Row::go("states_skipped", Deviation::message(states_skipped)).set(BEATS),
    Row::go("states_by_pointer", Deviation::message(states_by_pointer)),
    Row::no_go("hash_wrong", Deviation::message(hash_wrong), "divergent_value", "hash"),
    Row::no_go(
        "payload_changed",
        Deviation::message(payload_changed),
        "divergent_value",
        "not what other clients got",
    ),
    Row::no_go("state_goes_back", Deviation::message(state_goes_back), "state_regress", "version"),
    Row::no_go("event_twice", Deviation::message(event_twice), "bad_duplicate", "seq"),
    Row::no_go(
        "batch_of_two_topics",
        Deviation::message(batch_of_two_topics),
        "malformed_message",
        "different topics",
    ),
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

/// Every update as a batch of its own (contract, section 3, delivery: up to 200 make a batch, and one does).
fn batches_of_one(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewrite(&message, |updates| {
        let single = |update| both(&message.join, std::slice::from_ref(update), true);
        updates.iter().flat_map(single).collect()
    })
}

/// Two batches of a topic as one: live events coalesce (contract, section 3, delivery). What answers a
/// question is not kept back behind it.
fn batches_merged(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    match message.event.as_str() {
        "sync:frame" => Some(Vec::new()),
        "sync:update_batch" => match socket.held.take() {
            Some(held) if topic(&held) == topic(&message) => {
                let all = [updates(&held), updates(&message)].concat();
                Some(steps(&both(&message.join, &all, true)))
            }
            held => {
                let before = held.map(|held| both(&held.join, &updates(&held), true));
                socket.held = Some(message);
                Some(steps(&before.unwrap_or_default()))
            }
        },
        _ => {
            let held = socket.held.take()?;
            let mut steps = steps(&both(&held.join, &updates(&held), true));
            steps.push((&message).into());
            Some(steps)
        }
    }
}

/// A batch comes again when several others have come behind it: delivery is at least once, and a client
/// applies only what is above what it applied (contract, section 1, rule 4).
fn batch_again_later(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if !message.is_data() {
        return None;
    }
    let again = socket.kept.len() >= 12 && message.event == "sync:frame";
    let mut steps = vec![(&message).into()];
    if again {
        let kept = std::mem::take(&mut socket.kept);
        let first = kept.iter().position(|one| one.event == "sync:update_batch")?;
        steps.extend(kept[first..first + 2].iter().map(Step::from));
    } else {
        socket.kept.push(message);
    }
    Some(steps)
}

/// Of two topics' batches first both legacy pushes and then both frames: across topics there is no order
/// (contract, section 1, rule 5), and each batch's own two keep theirs.
fn pushes_of_topics_mixed(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.event == "sync:frame" && topic(&message) != STATE {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let held = socket.held.take()?;
    let between = message.event == "sync:update_batch" && topic(&message) == STATE;
    let order = if between { [&message, &held] } else { [&held, &message] };
    Some(order.map(Step::from).to_vec())
}

/// A batch's frame 5 ms behind its legacy push: two encoders of one server.
fn frames_late(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(5));
    (message.event == "sync:frame").then(|| vec![late, (&message).into()])
}

/// The state's batches wait until something else than data passes, while the stream's go on: a process
/// for each topic, and no order between them.
fn topics_apart(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let of_state = message.is_data() && topic(&message) == STATE;
    if of_state {
        socket.kept.push(message);
        return Some(Vec::new());
    }
    // Unbounded it is not: a heartbeat is answered several times a second.
    if message.is_data() || socket.kept.is_empty() {
        return None;
    }
    socket.kept.push(message);
    Some(steps(&std::mem::take(&mut socket.kept)))
}

/// `replay_complete` is false in every batch: it occurs in live ones, too, and means no more than that the
/// head had moved on (contract, section 3, subscribe and delivery).
fn never_complete(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewrite(&message, |updates| both(&message.join, &updates, false))
}

/// A state whose next version is there already is never sent: versions may be skipped (contract, section
/// 3, commands).
fn states_skipped(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.is_data() && topic(&message) != STATE {
        return None;
    }
    if !message.is_data() {
        let mut kept = std::mem::take(&mut socket.kept);
        kept.push(message);
        return Some(steps(&kept));
    }
    socket.kept.push(message);
    let [.., old, _, new, _] = &socket.kept[..] else { return Some(Vec::new()) };
    let keys = |batch: &Message| -> Vec<Value> {
        updates(batch).iter().map(|update| update["doc_key"].clone()).collect()
    };
    let newer = keys(new);
    let skipped = keys(old).iter().all(|key| newer.contains(key));
    let old: Vec<_> = socket.kept.drain(..2).collect();
    Some(if skipped { Vec::new() } else { steps(&old) })
}

/// States without their payload, to be fetched: pointer mode (contract, section 3, delivery: `payload` is
/// null, and then `hydration_required` true).
fn states_by_pointer(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STATE).then_some(())?;
    edit(&message, |update| {
        update["payload"] = Value::Null;
        update["hydration_required"] = true.into();
    })
}

/// The hash of another payload, in both pushes, for one client.
fn hash_wrong(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.number == 0).then_some(())?;
    begun(socket, &message)?;
    let wrong = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    edit(&message, |update| update["payload_hash"] = wrong.into())
}

/// Payloads with one more field and the hash that fits, for one client: it sees other events than the rest.
fn payload_changed(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.number == 0 && topic(&message) != STATE).then_some(())?;
    begun(socket, &message)?;
    edit(&message, |update| {
        update["payload"]["note"] = "of a middle box".into();
        update["payload_hash"] = khala_wire::canonical::payload_hash(&update["payload"]).into();
    })
}

/// Each state comes with the version before last, once: a cache of one node that is behind.
fn state_goes_back(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) == STATE).then_some(())?;
    begun(socket, &message)?;
    edit(&message, |update| {
        let version = update["doc_version"].as_u64().unwrap_or_default();
        if version % 4 == 0 {
            update["doc_version"] = version.saturating_sub(2).into();
        }
    })
}

/// An event of the stream under a seq of its own, and once more under the next one, which is then not the
/// next event's: an outbox that was read twice.
fn event_twice(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) != STATE).then_some(())?;
    begun(socket, &message)?;
    rewrite(&message, |updates| {
        let single = |update: &Value| {
            let mut again = update.clone();
            again["watermark"] = (update["watermark"].as_u64().unwrap_or_default() + 1).into();
            both(&message.join, &[update.clone(), again], true)
        };
        updates.iter().flat_map(single).collect()
    })
}

/// A batch with an update of another topic (contract, section 3, delivery: each batch is of one topic).
fn batch_of_two_topics(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (topic(&message) != STATE).then_some(())?;
    begun(socket, &message)?;
    rewrite(&message, |mut updates| {
        let mut other = updates[0].clone();
        other["topic"] = STATE.into();
        updates.insert(0, other);
        both(&message.join, &updates, true)
    })
}
