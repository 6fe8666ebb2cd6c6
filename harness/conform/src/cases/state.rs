//! What a worker's document says: its latest state, to the worker's end, and one state at one version.

use std::rc::Rc;

use khala_engine::http::HttpError;
use serde_json::Value;

use crate::case::Area::Delivery;
use crate::case::{Case, Catch, Does};
use crate::ctx::{Ctx, EVENTS, SUMMARIES};
use crate::delivery::Delivered;
use crate::outcome::{Outcome, broken, kept, undecided};
use crate::peer::{Peer, quote};
use crate::worker::Worker;

pub const CASES: &[Case] = &[Case::must(
    "live_summary_content",
    Delivery,
    "a worker's document says how the worker is, until it is stopped",
    |ctx| Box::pin(content(ctx)),
)
.says(
    "3, commands",
    "`doc_version` and `latest_seq` = the event's seq, payload the worker's latest state, not the event's payload;",
)
.does(Does::Writes)
.caught_by(&[
    Catch::Proxy("stays_running"),
    Catch::Proxy("runs_again"),
    Catch::Proxy("other_types_of_state"),
    Catch::Proxy("counts_less"),
])];

/// The parts of a state that the worker's own events and commands give, by either spelling.
const PARTS: [[&str; 2]; 4] = [
    ["status", "status"],
    ["latest_event_type", "latestEventType"],
    ["event_count", "eventCount"],
    ["latest_seq", "latestSeq"],
];

/// A part of a state; `None` where the document has none of the name.
fn part<'v>(state: &'v Value, names: &[&str; 2]) -> Option<&'v Value> {
    names.iter().find_map(|name| state.get(*name))
}

/// The first part in which two states differ, in a clause.
#[must_use]
pub fn between(one: &Value, other: &Value) -> Option<String> {
    PARTS.iter().find_map(|names| {
        let (one, other) = (part(one, names)?, part(other, names)?);
        (one != other).then(|| format!("{} {}, and {}", names[0], quote(one), quote(other)))
    })
}

async fn content(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS, SUMMARIES]).await?;
    let mut worker = ctx.worker().await?;
    worker.publish_slowly(ctx, 4).await?;
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    let stopped = worker.stop(ctx).await;
    let stopped = stopped.map_err(|error: HttpError| undecided(format!("on the way, {error}")))?;
    let last = worker.last() + 1;
    let documents = |peer: &Peer| -> Vec<Rc<Delivered>> {
        peer.delivered(0).into_iter().filter(|it| it.key == key).collect()
    };
    let ended = |peer: &Peer| documents(peer).iter().any(|it| it.version >= last);
    peer.until(ctx.patience(), ended).await;
    let events = |peer: &Peer| {
        let delivered = peer.delivered(0);
        worker.of(&delivered).iter().map(|(seq, _)| *seq).max() >= Some(last)
    };
    if !peer.until(ctx.patience(), events).await
        || !worker.arrives(ctx, &mut peer, 0, 0).await.is_empty()
    {
        return Err(undecided(
            "on the way, events of the worker did not come: other cases say more",
        ));
    }
    // What takes the document back comes right after.
    peer.listen(ctx.times().quiet).await;
    let found = documents(&peer);
    let did = "Published 4 events of a worker, and stopped it.";
    let should = "Its document should have come in the end with the worker's state after the stop, and no other at that \
                  version: the state is all that clients of this topic ever see.";
    let Some(end) = found.iter().find(|it| it.version >= last) else {
        let came = match found.last() {
            Some(it) => {
                format!("Its document stayed at version {}: none came of the stop.", it.version)
            }
            None => "Its document did not come.".to_owned(),
        };
        return broken(did, came, should);
    };
    if end.payload.is_null() {
        return kept("the document came with the stop, its content by pointer");
    }
    let status = &stopped.document["data"]["status"];
    if let Some(came) = part(&end.payload, &PARTS[0]).filter(|came| *came != status) {
        let came =
            format!("At version {}, that of the stop, its status is {}.", end.version, quote(came));
        return broken(did, came, should);
    }
    let changed = found.iter().find_map(|it| changed(it, &found));
    match otherwise(&worker, &peer, end).or(changed) {
        Some(came) => broken(did, came, should),
        None => {
            kept(format!("{} versions held the worker's state, and the last its end", found.len()))
        }
    }
}

/// What the last version of the document says otherwise than the events. One before it may hold a newer state: versions
/// are skipped.
fn otherwise(worker: &Worker, peer: &Peer, it: &Delivered) -> Option<String> {
    let delivered = peer.delivered(0);
    let own = worker.of(&delivered);
    let (_, event) = own.iter().find(|(seq, _)| *seq == it.version)?;
    let kind = event.payload.get("event_type")?;
    let mut until: Vec<u64> =
        own.iter().map(|(seq, _)| *seq).filter(|seq| *seq <= it.version).collect();
    until.sort_unstable();
    until.dedup();
    let is = [kind.clone(), Value::from(until.len()), Value::from(it.version)];
    let each = PARTS[1..].iter().zip(is).find_map(|(names, is)| {
        let says = part(&it.payload, names)?;
        (*says != is).then(|| (names[0], quote(says), quote(&is)))
    });
    let (name, says, is) = each?;
    Some(format!("At version {} its {name} is {says}, and by the events it is {is}.", it.version))
}

/// What another document of the same version says otherwise.
fn changed(it: &Delivered, all: &[Rc<Delivered>]) -> Option<String> {
    let mut same = all.iter().filter(|other| other.version == it.version);
    let differs = same.find_map(|other| between(&it.payload, &other.payload))?;
    Some(format!("Version {} came twice, with {differs}.", it.version))
}
