//! Clients that come back: what is replayed to them, when it is said to be complete, and snapshots.

use serde_json::{Value, json};

use crate::wire::deviation::Step;
use crate::wire::deviations::batch::STREAM;
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::message::Message;

rows![
    resume_plain,
    replay_overlaps,
    replay_slow,
    resume_as_list,
    stale_error_without_frame,
    snapshot_drip,
    snapshot_chunked,
    snapshot_extra_fields,
    snapshot_reordered,
    replay_skips,
    replay_behind_reply,
    replay_heads_of_page,
    stale_unsaid,
    snapshot_head_ahead,
    snapshot_altered,
    snapshot_503,
    snapshot_html,
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
    message.payload["topics"] == json!([STREAM])
}

/// Nothing for what is no request for a snapshot.
fn snapshot(request: &Request) -> Option<()> {
    (request.purpose == Purpose::Snapshot).then_some(())
}

/// A snapshot with another document.
fn edited(request: &Request, answer: Answer, change: fn(&mut Value)) -> Option<Vec<Step>> {
    snapshot(request)?;
    Some(vec![Step::Send(answer.edited(change)?.bytes())])
}
