//! Clients that come back: what is replayed to them, when it is said to be complete, and snapshots.

use std::time::Duration;

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step, drip};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::message::Message;
use crate::wire::row::Row;

const STABLE: &str = "gate:stability";

pub const ROWS: &[Row] = &[
    // Nothing: what these clients do is of their scenario's making.
    Row::go("resume_plain", Deviation::none()).resume(),
    Row::go("replay_overlaps", Deviation::client(replay_overlaps)).resume(),
    Row::go("replay_slow", Deviation::message(replay_slow)).resume(),
    Row::go("resume_as_list", Deviation::client(resume_as_list)).resume(),
    Row::go("stale_error_without_frame", Deviation::message(stale_error_without_frame)).resume(),
    Row::go("snapshot_drip", Deviation::answer(snapshot_drip)).resume(),
    Row::go("snapshot_chunked", Deviation::answer(snapshot_chunked)).resume(),
    Row::go("snapshot_extra_fields", Deviation::answer(snapshot_extra_fields)).resume(),
    Row::go("snapshot_reordered", Deviation::answer(snapshot_reordered)).resume(),
    Row::no_go("replay_skips", Deviation::client(replay_skips), "gap", "seq").resume(),
    Row::no_go(
        "replay_behind_reply",
        Deviation::message(replay_behind_reply),
        "false_replay_complete",
        "had been acknowledged before",
    )
    .resume(),
    Row::no_go(
        "stale_unsaid",
        Deviation::client(stale_unsaid),
        "stale_not_signalled",
        "was accepted",
    )
    .resume(),
    Row::no_go(
        "snapshot_head_ahead",
        Deviation::answer(snapshot_head_ahead),
        "bad_snapshot",
        "head",
    )
    .resume(),
    Row::no_go("snapshot_503", Deviation::request(snapshot_503), STABLE, "snapshot_errors")
        .resume(),
    Row::no_go(
        "snapshot_html",
        Deviation::request(snapshot_html),
        "bad_snapshot",
        "not of the contract",
    )
    .resume(),
];

/// Cursors in a subscribe, changed.
fn with_cursors(mut message: Message, change: fn(u64) -> u64) -> Option<Vec<Message>> {
    let cursors = message.payload.get_mut("resume_after")?.as_object_mut()?;
    for cursor in cursors.values_mut() {
        *cursor = change(cursor.as_u64()?).into();
    }
    Some(vec![message])
}

/// The stream alone: a state's cursor is moved by nobody here.
fn of_stream(message: &Message) -> bool {
    message.payload["topics"] == serde_json::json!(["runtime.codex_worker_events"])
}

/// Replay begins three events before the cursor: a log that is read by pages. Duplicates are allowed, and a
/// client applies only what comes after what it has (contract, section 1, rule 4).
fn replay_overlaps(_: &mut Socket, message: Message) -> Option<Vec<Message>> {
    of_stream(&message).then(|| with_cursors(message, |cursor| cursor.saturating_sub(3))).flatten()
}

/// Replay begins three events behind the cursor: an off-by-one, three times over.
fn replay_skips(_: &mut Socket, message: Message) -> Option<Vec<Message>> {
    of_stream(&message).then(|| with_cursors(message, |cursor| cursor + 3)).flatten()
}

/// Stale cursors are taken for none at all, so that all that is left is replayed without a word: a
/// subscribe without cursor is never stale, and one with a cursor must be (contract, section 3).
fn stale_unsaid(_: &mut Socket, mut message: Message) -> Option<Vec<Message>> {
    (!of_stream(&message)).then_some(())?;
    message.payload.as_object_mut()?.remove("resume_after")?;
    Some(vec![message])
}

/// The cursors of a subscribe as a list, which the contract has as well: a client's library of another age.
fn resume_as_list(_: &mut Socket, mut message: Message) -> Option<Vec<Message>> {
    let cursors = message.payload.get("resume_after")?.as_object()?.clone();
    let entry = |(topic, watermark)| serde_json::json!({"topic": topic, "watermark": watermark});
    message.payload["resume_after"] = cursors.into_iter().map(entry).collect();
    Some(vec![message])
}

/// 10 ms before any push of the stream: a replay that is read row by row.
fn replay_slow(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let of_stream = message.payload.to_string().contains("runtime.codex_worker_events");
    (message.is_data() && of_stream)
        .then(|| vec![Step::Wait(Duration::from_millis(10)), (&message).into()])
}

/// The reply to a subscribe before all that is replayed: `{:reply, …}` and a replay in
/// `handle_info(:after_join)`, as Phoenix's guides have it. Contract, section 3: replay is complete when
/// the reply arrives.
fn replay_behind_reply(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if message.is_join_reply() {
        socket.stage = 1;
        return None;
    }
    if socket.stage != 1 {
        return None;
    }
    if message.is_subscribe_reply() {
        socket.stage = 2;
        let late = Step::Wait(Duration::from_millis(200));
        let kept = std::mem::take(&mut socket.kept);
        let replayed = kept.iter().map(Step::from);
        return Some([Step::from(&message), late].into_iter().chain(replayed).collect());
    }
    message.is_data().then(|| {
        socket.kept.push(message);
        Vec::new()
    })
}

/// `stale_cursor` as a push and a reply, without the error frame: a runtime that writes the legacy shape
/// only for errors. Clients go by the reply.
fn stale_error_without_frame(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let error = message.payload["kind"] == "KHALA_FRAME_KIND_ERROR";
    error.then(Vec::new)
}

fn snapshot(request: &Request) -> Option<()> {
    (request.purpose == Purpose::Snapshot).then_some(())
}

fn edited(request: &Request, answer: Answer, change: fn(&mut Value)) -> Option<Vec<Step>> {
    snapshot(request)?;
    let mut document: Value = serde_json::from_slice(&answer.body).ok()?;
    change(&mut document);
    Some(vec![Step::Send(answer.saying(document.to_string()).bytes())])
}

/// Snapshots a few bytes at a time.
fn snapshot_drip(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    snapshot(request)?;
    Some(drip(&answer.bytes(), 64, Duration::from_millis(2)))
}

/// Snapshots in chunks, without a length (RFC 9112, section 7.1): they are made as they are sent.
fn snapshot_chunked(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    snapshot(request)?;
    Some(vec![Step::Send(answer.chunked(11))])
}

/// Snapshots with more fields than the contract has: clients read what they know.
fn snapshot_extra_fields(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    edited(request, answer, |document| {
        document["generated_at"] = "2026-01-01T00:00:00Z".into();
        document["documents"][0]["etag"] = "1".into();
    })
}

/// The documents in another order: a snapshot is a set (contract, section 5b).
fn snapshot_reordered(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    edited(request, answer, |document| {
        if let Some(documents) = document["documents"].as_array_mut() {
            documents.reverse();
        }
    })
}

/// A snapshot that claims to be of later: who resumes there misses what lies between.
fn snapshot_head_ahead(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    edited(request, answer, |document| {
        let head = document["head_watermark"].as_u64().unwrap_or_default();
        document["head_watermark"] = (head + 1000).into();
    })
}

/// No snapshot is to be had: 503 with a Retry-After. Clients subscribe without a cursor.
fn snapshot_503(request: &Request) -> Option<Vec<Step>> {
    snapshot(request)?;
    let headers = [("Retry-After", "1")];
    Some(vec![Step::Send(Answer::new("503 Service Unavailable", &headers, "").bytes())])
}

/// A page in place of a snapshot, with status 200: a single-page application's catch-all.
fn snapshot_html(request: &Request) -> Option<Vec<Step>> {
    snapshot(request)?;
    let html = [("Content-Type", "text/html")];
    Some(vec![Step::Send(Answer::new("200 OK", &html, "<html></html>").bytes())])
}
