//! The live tail: every event, once, in order, to everybody, and without waiting for the next one.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;
use khala_engine::clock;
use serde_json::Value;

use super::replay::disorder;
use crate::case::Area::Delivery;
use crate::case::{Case, Catch, Does, Level};
use crate::ctx::{Ctx, EVENTS, SUMMARIES};
use crate::delivery::{ours, ranges};
use crate::outcome::{Outcome, Stop, broken, kept, undecided};
use crate::peer::Peer;
use crate::worker::{SLOWLY, Worker};

const EACH: &str = "Each event appears on `runtime.codex_worker_events`";
const ONE_ORDER: &str =
    "Per topic, `seq` (also called watermark) is allocated by the runtime and is the one order.";

pub const CASES: &[Case] = &[
    Case::must("live_all", Delivery, "every acknowledged event comes", |ctx| Box::pin(all(ctx)))
        .says("3, commands", EACH)
        .does(Does::Writes)
        .caught_by(&[Catch::Defect("drop_nth,0.5"), Catch::Defect("drop_acknowledged,0.3")]),
    Case::must("live_in_order", Delivery, "in order of seq", |ctx| Box::pin(in_order(ctx)))
        .says("1, rule 5", "Within one subscription the order on the wire is the order of seq")
        .does(Does::Writes)
        .caught_by(&[Catch::Defect("swap_two,1")]),
    Case::must("live_without_successor", Delivery, "an event does not wait for the next", |ctx| {
        Box::pin(alone(ctx))
    })
    .says("1, rule 2", "The socket carries subscribe, replay and live tail only.")
    .does(Does::Writes)
    .alone()
    .caught_by(&[Catch::Defect("late_publish,1")]),
    Case::must("live_steadily", Delivery, "a steady flow does not wait for a pause", |ctx| {
        Box::pin(steadily(ctx))
    })
    .says("1, rule 2", "The socket carries subscribe, replay and live tail only.")
    .does(Does::Writes)
    .alone()
    .caught_by(&[Catch::Defect("starved_topic")]),
    Case::must(
        "live_start_event",
        Delivery,
        "a worker's creation and its stop are events",
        |ctx| Box::pin(start(ctx)),
    )
    .says(
        "3, commands",
        "Creating a worker emits `worker.started` as its seq 1, stopping it one more event",
    )
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("drop_nth,1")]),
    Case::must(
        "live_summary_of_start",
        Delivery,
        "a worker's document comes with its first event",
        |ctx| Box::pin(first_summary(ctx)),
    )
    .says("0", "A worker's first summary that comes only with its second event is late")
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("drops_first_versions")]),
    Case::must(
        "live_summary",
        Delivery,
        "a worker's document follows its events, and never goes back",
        |ctx| Box::pin(summary(ctx)),
    )
    .says("3, commands", "and updates the worker's document on `runtime.codex_worker_summaries`")
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("state_regress,1")]),
    Case::must(
        "concurrent_once",
        Delivery,
        "concurrent publishers: each event has one seq",
        |ctx| Box::pin(once(ctx)),
    )
    .says("1, rule 3", ONE_ORDER)
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("duplicate_new_seq,0.3")]),
    Case::must(
        "concurrent_same_for_all",
        Delivery,
        "concurrent publishers: all clients see the same",
        |ctx| Box::pin(same(ctx)),
    )
    .says("1, rule 3", ONE_ORDER)
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("corrupt_payload,0.5"), Catch::Proxy("alters_every_other_socket")]),
    Case::must(
        "concurrent_nothing_else",
        Delivery,
        "concurrent publishers: nothing that nobody published",
        |ctx| Box::pin(nothing_else(ctx)),
    )
    .says("3, commands", EACH)
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("invented_event,0.3")]),
    Case::must(
        "concurrent_dense",
        Delivery,
        "concurrent publishers: no hole among the seqs",
        |ctx| Box::pin(dense(ctx)),
    )
    .level(Level::Silent)
    .says("0", "allocate a seq before they insert, so that a failed insert leaves a hole")
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("drop_nth,0.5")]),
];

async fn all(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 20).await?;
    let missing = worker.arrives(ctx, &mut peer, 0, 0).await;
    if missing.is_empty() {
        return kept("21 of 21 events came");
    }
    broken(
        "Published 20 events of a worker, each of which was acknowledged.",
        format!("{} never came.", ours(&missing)),
        "Each should have come to every client that was subscribed.",
    )
}

async fn in_order(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 20).await?;
    worker.arrives(ctx, &mut peer, 0, 0).await;
    let delivered = peer.delivered(0);
    if delivered.is_empty() {
        return Err(undecided("nothing came"));
    }
    match disorder(&delivered) {
        None => kept("seqs rose throughout"),
        Some((one, next)) => broken(
            "Subscribed, and published 20 events.",
            format!("Seq {next} came after {one}."),
            "Seqs should rise: clients drop what is not above what they have applied.",
        ),
    }
}

/// An event that comes late by itself waited for no successor, and one late event is no habit.
async fn alone(ctx: &Ctx) -> Outcome {
    const WORKERS: usize = 3;
    let settle = ctx.times().settle;
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut waited = 0;
    for _ in 0..WORKERS {
        // Its creation is an event as well.
        let mut worker = ctx.worker().await?;
        for publishes in [0, 1] {
            worker.publish(ctx, publishes).await?;
            if worker.arrives_within(settle, &mut peer).await {
                // What still goes on of it is over then.
                peer.listen(ctx.times().quiet).await;
                continue;
            }
            worker.publish(ctx, 1).await?;
            let missing = worker.arrives(ctx, &mut peer, 0, 0).await;
            if !missing.is_empty() {
                return broken(
                    "Published an event, and another.",
                    format!("Event {} did not come within {:?}.", missing[0], ctx.patience()),
                    "Each should have come by itself.",
                );
            }
            waited += 1;
        }
    }
    if waited >= WORKERS {
        return broken(
            format!("Published an event and none after it for {settle:?}, {} times.", 2 * WORKERS),
            format!("{waited} times it came when the next one had been published."),
            "It should not have waited for a successor.",
        );
    }
    match waited {
        0 => kept("events came before others were published"),
        // A target, or a machine, that is slow now and then.
        some => Err(undecided(format!(
            "{some} of {} events had not come within {settle:?}, and came when the next one had been published",
            2 * WORKERS
        ))),
    }
}

/// What comes steadily is not to wait for a pause, on any of the topics.
async fn steadily(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS, SUMMARIES]).await?;
    let mut worker = ctx.worker().await?;
    worker.arrives(ctx, &mut peer, 0, 0).await;
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    let (first, began) = (worker.last() + 1, clock::now());
    let mut old = first;
    while clock::now() - began < ctx.times().steady {
        worker.publish(ctx, 1).await?;
        if clock::now() - began < ctx.times().steady - ctx.times().settle {
            old = worker.last();
        }
        peer.listen(SLOWLY).await;
    }
    let delivered = peer.delivered(0);
    let own: BTreeSet<u64> = worker.of(&delivered).into_iter().map(|(seq, _)| seq).collect();
    let waits = (first..=old).filter(|seq| !own.contains(seq)).count();
    let state = delivered.iter().any(|it| it.key == key && it.version >= old);
    if waits == 0 && state {
        return kept("events and the worker's document came while more were published");
    }
    let published = worker.last() - first + 1;
    broken(
        format!("Published {published} events in {:?}, one after the other.", ctx.times().steady),
        match waits {
            0 => "The worker's document was older than that meanwhile.".to_owned(),
            _ => format!(
                "{waits} of the first {} had not come when the last was published.",
                old - first + 1
            ),
        },
        format!(
            "What was published {:?} before should have come, on each topic.",
            ctx.times().settle
        ),
    )
}

async fn start(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS]).await?;
    let worker = ctx.worker().await?;
    let missing = worker.arrives(ctx, &mut peer, 0, 0).await;
    let did = "Created a worker, and stopped it.";
    let should =
        "`worker.started` should have come as its event 1, and one more when it was stopped.";
    if !missing.is_empty() {
        return broken(did, "No event 1 of it came.", should);
    }
    let type_of = |peer: &Peer, seq: u64| {
        let delivered = peer.delivered(0);
        let own = worker.of(&delivered);
        let found = own.iter().find(|(found, _)| *found == seq);
        found.map(|(_, it)| it.payload["event_type"].as_str().unwrap_or_default().to_owned())
    };
    let first = type_of(&peer, 1).unwrap_or_default();
    if first != "worker.started" {
        return broken(did, format!("Its event 1 is {}.", crate::peer::word(&first)), should);
    }
    worker.stop(ctx).await.map_err(|error| undecided(format!("on the way, {error}")))?;
    peer.until(ctx.patience(), |peer| type_of(peer, 2).is_some()).await;
    match type_of(&peer, 2) {
        Some(kind) => kept(format!(
            "event 1 is `worker.started`, and {} came with the stop",
            crate::peer::word(&kind)
        )),
        None => broken(did, "No event came of the stop.", should),
    }
}

async fn first_summary(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[SUMMARIES]).await?;
    let worker = ctx.worker().await?;
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    let came = |peer: &Peer| peer.delivered(0).iter().any(|it| it.key == key);
    if peer.until(ctx.patience(), came).await {
        return kept("its document came, with its first event");
    }
    broken(
        "Created a worker, and published nothing.",
        format!("Its document did not come within {:?}.", ctx.patience()),
        "It should have come with the worker's first event, `worker.started`.",
    )
}

async fn summary(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[SUMMARIES]).await?;
    let mut worker = ctx.worker().await?;
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    worker.publish_slowly(ctx, 8).await?;
    let last = worker.last();
    let done = |peer: &Peer| peer.delivered(0).iter().any(|it| it.key == key && it.version >= last);
    peer.until(ctx.patience(), done).await;
    let delivered = peer.delivered(0);
    let own: Vec<_> = delivered.iter().filter(|it| it.key == key).collect();
    let did = "Published 8 events of a worker.";
    let should = "Its document should have come in rising versions, up to its last event, with latest_seq as its \
                  version.";
    if let Some(pair) = own.windows(2).find(|pair| pair[1].version < pair[0].version) {
        let came = format!("Version {} came after {}.", pair[1].version, pair[0].version);
        return broken(did, came, should);
    }
    let Some(latest) = own.last() else { return broken(did, "Its document did not come.", should) };
    if latest.version < last {
        return broken(did, format!("Version {} is the last that came.", latest.version), should);
    }
    if latest.payload.is_null() {
        return kept("the document's version came up to its last event, its content by pointer");
    }
    let seq = latest.payload.get("latest_seq").or_else(|| latest.payload.get("latestSeq"));
    match seq.and_then(Value::as_u64) {
        Some(seq) if seq == latest.version => kept("the document came up to its last event"),
        _ => broken(
            did,
            format!("Its version is {}, and its latest_seq another.", latest.version),
            should,
        ),
    }
}

/// Four workers that publish at once, before two clients; all has come, or the time was over.
async fn concurrent(ctx: &Ctx) -> Result<(Vec<Worker>, [Peer; 2]), Stop> {
    let mut peers = [ctx.live(&[EVENTS]).await?, ctx.live(&[EVENTS]).await?];
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(ctx.worker().await?);
    }
    let publishing = workers.iter_mut().map(|worker| worker.publish(ctx, 10));
    future::try_join_all(publishing).await?;
    for peer in &mut peers {
        let complete =
            |peer: &Peer| workers.iter().all(|worker| worker.missing(peer, 0, 0).is_empty());
        peer.until(ctx.patience(), complete).await;
        // What comes twice comes right after.
        peer.listen(ctx.times().quiet).await;
    }
    Ok((workers, peers))
}

const DID: &str = "Published 10 events of each of four workers at once.";

async fn once(ctx: &Ctx) -> Outcome {
    let (workers, peers) = concurrent(ctx).await?;
    for peer in &peers {
        let delivered = peer.delivered(0);
        for worker in &workers {
            let mut seqs: BTreeMap<String, u64> = BTreeMap::new();
            for (own, it) in worker.of(&delivered) {
                // By what was published: a second seq may be given a key of its own.
                let what = it.payload["payload"].to_string();
                let name = if what == "null" { format!("event {own}") } else { what };
                match seqs.insert(name, it.seq) {
                    Some(before) if before != it.seq => {
                        return broken(
                            DID,
                            format!("One event came twice, as seq {before} and as {}.", it.seq),
                            "Each should have had one seq: clients apply what has a new one again.",
                        );
                    }
                    _ => {}
                }
            }
        }
    }
    if peers.iter().all(|peer| peer.delivered(0).is_empty()) {
        return Err(undecided("nothing came"));
    }
    kept("each of 44 events had one seq")
}

async fn same(ctx: &Ctx) -> Outcome {
    let (_, [one, other]) = concurrent(ctx).await?;
    let (one, other) = (one.delivered(0), other.delivered(0));
    let mut compared = 0;
    for it in &one {
        let Some(its) = other.iter().find(|its| its.seq == it.seq) else { continue };
        compared += 1;
        if (&it.key, &it.payload) != (&its.key, &its.payload) {
            return broken(
                format!("{DID} Two clients were subscribed."),
                format!("Seq {} holds something else for each of them.", it.seq),
                "All clients should have been sent the same.",
            );
        }
    }
    match compared {
        0 => Err(undecided("nothing came to both")),
        _ => kept(format!("two clients got the same, on {compared} seqs")),
    }
}

async fn nothing_else(ctx: &Ctx) -> Outcome {
    let (workers, [peer, _]) = concurrent(ctx).await?;
    let delivered = peer.delivered(0);
    for worker in &workers {
        for (seq, it) in worker.of(&delivered) {
            let Some((_, published)) = worker.acked.iter().find(|(acked, _)| *acked == seq) else {
                return broken(
                    DID,
                    format!("Event {seq} of a worker came, which was never published."),
                    "Nothing should have come that nobody published.",
                );
            };
            if !published.is_null() && it.payload["payload"] != *published {
                return broken(
                    DID,
                    format!(
                        "Event {seq} of a worker came with a payload that was not published as it."
                    ),
                    "What comes should be what was published.",
                );
            }
        }
    }
    if delivered.is_empty() {
        return Err(undecided("nothing came"));
    }
    kept("all that came of our workers was published")
}

async fn dense(ctx: &Ctx) -> Outcome {
    let (_, [peer, _]) = concurrent(ctx).await?;
    let mut seqs: Vec<u64> = peer.delivered(0).iter().map(|it| it.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let (Some(first), Some(last)) = (seqs.first(), seqs.last()) else {
        return Err(undecided("nothing came"));
    };
    let missing: Vec<u64> =
        (*first..*last).filter(|seq| seqs.binary_search(seq).is_err()).collect();
    if missing.is_empty() {
        return kept(format!("seqs {first} to {last} all came"));
    }
    broken(
        DID,
        format!("Seqs {} never came.", ranges(&missing)),
        "Whether a seq may be left out the contract does not say; a client cannot tell a hole from a loss.",
    )
}
