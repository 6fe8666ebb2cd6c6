//! Updates whose hash is right and whose content is not, and pushes that come in another order than usual.

use serde_json::{Value, json};

use khala_wire::canonical;

use super::LATER;
use super::deliveries::{STATE, begun, edit, topic, updates};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::no_go("state_of_another", Deviation::message(state_of_another), RULE, "says that it is"),
    Row::no_go("state_behind", Deviation::message(state_behind), RULE, "its latest seq is"),
    Row::no_go("state_stopped", Deviation::message(state_stopped), RULE, "nobody stopped it"),
    Row::no_go("event_type_other", Deviation::message(event_type_other), RULE, "is of type"),
    Row::no_go("event_key_other", Deviation::message(event_key_other), RULE, "doc_key"),
    Row::no_go("frame_schema_2", Deviation::message(frame_schema_2), RULE, "schema version 2"),
    Row::go("pushes_in_pairs", Deviation::message(pushes_in_pairs)),
    Row::no_go(
        "past_missing",
        Deviation::message(past_missing),
        "false_replay_complete",
        "nothing up to seq",
    ),
    Row::go("mint_bare", Deviation::answer(mint_bare)).control(),
    Row::go("mint_token_alone", Deviation::answer(mint_token_alone)).control(),
];

const RULE: &str = "malformed_message";

/// The payloads of one topic's updates changed, each with a hash that fits.
fn rewritten(
    socket: &mut Socket,
    message: &Message,
    of_state: bool,
    change: impl Fn(&mut Value),
) -> Option<Vec<Step>> {
    begun(socket, message)?;
    edit(message, |update| {
        if (update["topic"] == STATE) == of_state {
            change(update);
            update["payload_hash"] = canonical::payload_hash(&update["payload"]).into();
        }
    })
}

/// Each worker's document says that it is another worker's: two rows of a projection were swapped (contract,
/// section 3, commands: the document of `runtime/codex_worker_summary:{worker}` is that worker's state).
fn state_of_another(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, true, |update| update["payload"]["worker_id"] = "another".into())
}

/// A document says that its latest seq is the one before its version: a projection that reads before the write
/// (contract, section 3, commands: `doc_version` and `latest_seq` are the event's seq).
fn state_behind(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, true, |update| {
        let version = update["doc_version"].as_u64().unwrap_or(1);
        update["payload"]["latest_seq"] = (version - 1).into();
    })
}

/// Documents of workers that run say that they were stopped (contract, section 3, commands: the payload is
/// the worker's latest state).
fn state_stopped(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, true, |update| update["payload"]["status"] = "stopped".into())
}

/// Events are of another type than they were published as (contract, section 3, commands: the event has the
/// command's type).
fn event_type_other(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, false, |update| {
        update["payload"]["event_type"] = "other.type".into();
    })
}

/// An event stands under the next one's key, so that a store by key loses one (contract, section 3, commands:
/// `runtime/codex_worker_event:{worker}:{seq}`).
fn event_key_other(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    rewritten(socket, &message, false, |update| {
        let (worker, seq) = (&update["payload"]["worker_id"], &update["payload"]["seq"]);
        let (worker, seq) = (worker.as_str().unwrap_or_default(), seq.as_u64().unwrap_or(0) + 1);
        update["doc_key"] = format!("runtime/codex_worker_event:{worker}:{seq}").into();
    })
}

/// Frames of a schema version that nobody offered (contract, section 3, delivery: `"schema_version":1`).
fn frame_schema_2(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    (message.event == "sync:frame").then(|| {
        message.payload["schema_version"] = 2.into();
        vec![(&message).into()]
    })
}

/// Of two batches of a topic first both legacy pushes and then both frames, where they come together: each is
/// pushed twice, legacy first (contract, section 3, delivery), and nothing says that its two are neighbours.
fn pushes_in_pairs(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let frame = message.event == "sync:frame" && topic(&message) != STATE;
    if frame && socket.held.is_none() {
        socket.held = Some(message);
        return Some(Vec::new());
    }
    let held = socket.held.take()?;
    let next = message.event == "sync:update_batch" && topic(&message) == topic(&held);
    let order = if next { [&message, &held] } else { [&held, &message] };
    Some(order.map(Step::from).to_vec())
}

/// Half of the clients are not sent the first event of the stream that they first subscribe to, which the
/// others have and which is retained (contract, section 3, subscribe: without `resume_after` it is replayed
/// from 0).
fn past_missing(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if socket.number.is_multiple_of(2) || socket.frames >= LATER {
        return None;
    }
    let replay = message.event == "sync:update_batch" && socket.stage == 0;
    if replay && topic(&message) != STATE {
        socket.stage = 1;
        let rest = updates(&message).split_off(1);
        return match rest.is_empty() {
            true => Some(Vec::new()),
            false => edit(&Message { payload: json!({ "updates": rest }), ..message }, |_| {}),
        };
    }
    let twin = message.event == "sync:frame" && socket.stage == 1 && topic(&message) != STATE;
    twin.then(|| {
        socket.stage = 2;
        Vec::new()
    })
}

/// The minted token without `data` around it: a gateway that unwraps.
fn mint_bare(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then_some(())?;
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(vec![Step::Send(answer.saying(document["data"].to_string()).bytes())])
}

/// The token and nothing beside it: nobody needs the rest to connect.
fn mint_token_alone(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then_some(())?;
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    let alone = json!({ "data": { "token": document["data"]["token"] } });
    Some(vec![Step::Send(answer.saying(alone.to_string()).bytes())])
}
