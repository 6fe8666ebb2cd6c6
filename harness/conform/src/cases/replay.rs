//! Replay: everything after the cursor, in order, before the reply, and then the live tail without a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future;
use khala_wire::message::event;
use serde_json::json;

use super::window;
use crate::case::Area::Replay;
use crate::case::{Case, Catch, Does, Level};
use crate::ctx::{Ctx, EVENTS, SUMMARIES, subscribe};
use crate::delivery::{Delivered, ours};
use crate::outcome::{Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::Peer;
use crate::worker::Worker;

pub const RULE_5: &str = "On subscribe with a cursor, the server replays everything after it, in order of seq, then \
                      turns to live tail. No gap.";

pub const CASES: &[Case] = &[
    Case::must("replay_all_after", Replay, "everything after the cursor, and nothing before it", |ctx| {
        Box::pin(all_after(ctx))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("drop_on_reconnect"), Catch::Defect("replay_skips_one")]),
    Case::must("replay_before_reply", Replay, "the replay is complete when the reply comes", |ctx| {
        Box::pin(before_reply(ctx))
    })
    .says("3, subscribe", "**Replay is complete when that reply arrives**")
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("early_replay_complete")]),
    Case::must("replay_in_order", Replay, "in order of seq", |ctx| Box::pin(in_order(ctx)))
        .says("1, rule 5", "Within one subscription the order on the wire is the order of seq")
        .does(Does::Writes)
        .caught_by(&[Catch::Defect("tail_during_replay")]),
    Case::must("replay_in_pages", Replay, "a replay of many small batches", |ctx| {
        Box::pin(pages(ctx))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    // Where a batch ends is a matter of how many events are behind the cursor, whoever's.
    .alone()
    .caught_by(&[Catch::Defect("drop_last_of_batch,1"), Catch::Proxy("drops_lone_last_pages")]),
    Case::must("replay_batch_size", Replay, "batches are no larger than asked for", |ctx| {
        Box::pin(batch_size(ctx))
    })
    .level(Level::Should)
    .says("3, subscribe", "\"replay_batch_size\":200}`")
    .does(Does::Writes),
    Case::must("replay_then_tail", Replay, "no gap between replay and live tail", |ctx| {
        Box::pin(then_tail(ctx))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("tail_lost")]),
    Case::must("replay_is_what_was_live", Replay, "a seq is the same, live and replayed", |ctx| {
        Box::pin(same(ctx))
    })
    .says(
        "1, rule 4",
        "Delivery is at least once. Duplicates are allowed; a client applies a frame only if `seq > \
         last_applied(topic)`",
    )
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("alters_every_other_socket")]),
    Case::must("replay_again", Replay, "a lower cursor on the same socket replays again", |ctx| {
        Box::pin(again(ctx))
    })
    .says("3, subscribe", "Subscribing again with a lower cursor replays again.")
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("replay_skips_one")]),
    Case::must("replay_latest_state", Replay, "a state is replayed to its latest version", |ctx| {
        Box::pin(state(ctx))
    })
    .says("3, commands", "payload the worker's latest state, not the event's payload; versions may be skipped")
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("drops_last_versions")]),
];

/// A worker that has published, with where its events stand: by the worker's seq, the topic's. They are taken
/// from what came live and from a replay, so that one that lacks some does not hide them.
pub async fn past(ctx: &Ctx, events: u64) -> Result<(Worker, BTreeMap<u64, Delivered>), Stop> {
    let mut live = ctx.live(&[EVENTS]).await?;
    let before = ctx.from_now(&[EVENTS]);
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, events).await?;
    let mut own = BTreeMap::new();
    if !worker.arrives(ctx, &mut live, 0, 0).await.is_empty() {
        let mut replayed = ctx.join(&ctx.somebody(), &[EVENTS]).await?;
        ctx.subscribe(&mut replayed, &[EVENTS], &before).await?;
        worker.arrives(ctx, &mut replayed, 0, 0).await;
        collect(&worker, &replayed, &mut own);
    }
    collect(&worker, &live, &mut own);
    if own.len() as u64 <= events / 2 {
        return Err(undecided("on the way, most of our events came neither live nor in a replay"));
    }
    Ok((worker, own))
}

fn collect(worker: &Worker, peer: &Peer, own: &mut BTreeMap<u64, Delivered>) {
    let delivered = peer.delivered(0);
    own.extend(worker.of(&delivered).into_iter().map(|(seq, it)| (seq, it.clone())));
}

/// The `nth` of them, from 0: the worker's seq and the topic's.
fn nth(own: &BTreeMap<u64, Delivered>, nth: usize) -> Result<(u64, u64), Stop> {
    let found = own.iter().nth(nth).map(|(seq, it)| (*seq, it.seq));
    found.ok_or_else(|| undecided("on the way, too few of our events came"))
}

/// A new socket that has resumed there.
async fn resumed(ctx: &Ctx, cursor: u64) -> Result<Peer, Stop> {
    let mut peer = ctx.join(&ctx.somebody(), &[EVENTS]).await?;
    ctx.subscribe(&mut peer, &[EVENTS], &[(EVENTS.to_owned(), cursor)]).await?;
    Ok(peer)
}

async fn all_after(ctx: &Ctx) -> Outcome {
    let (worker, own) = past(ctx, 9).await?;
    let (after, cursor) = nth(&own, 2)?;
    let mut peer = resumed(ctx, cursor).await?;
    let missing = worker.arrives(ctx, &mut peer, 0, after).await;
    let behind = worker.last() - after;
    let did = format!("Resumed {EVENTS} at {cursor}, with {behind} of our events after it.");
    let should = "All after the cursor should have come, and nothing at or before it.";
    if !missing.is_empty() {
        return broken(did, format!("{} did not come.", ours(&missing)), should);
    }
    match peer.delivered(0).iter().find(|it| it.seq <= cursor) {
        Some(early) => {
            broken(did, format!("Seq {} came, which is not after it.", early.seq), should)
        }
        None => kept("all after the cursor came, and nothing else"),
    }
}

async fn before_reply(ctx: &Ctx) -> Outcome {
    let (worker, own) = past(ctx, 9).await?;
    let (after, cursor) = nth(&own, 1)?;
    let peer = resumed(ctx, cursor).await?;
    // What came after the reply was not looked at yet.
    let missing = worker.missing(&peer, 0, after);
    let behind = worker.last() - after;
    if missing.is_empty() {
        return kept("all had come when the reply did");
    }
    broken(
        format!("Resumed {EVENTS} at {cursor}, with {behind} of our events after it."),
        format!("The reply came first. {} had not come.", ours(&missing)),
        "All that was there should have come before the reply: clients take it for the end of the replay.",
    )
}

/// The first place at which seqs do not rise; what comes again is a duplicate, which rule 4 allows.
pub fn disorder(delivered: &[Rc<Delivered>]) -> Option<(u64, u64)> {
    let mut had = BTreeSet::new();
    let fresh: Vec<u64> =
        delivered.iter().map(|it| it.seq).filter(|seq| had.insert(*seq)).collect();
    fresh.windows(2).map(|pair| (pair[0], pair[1])).find(|(one, next)| next < one)
}

async fn in_order(ctx: &Ctx) -> Outcome {
    let (worker, own) = past(ctx, 9).await?;
    let (after, cursor) = nth(&own, 1)?;
    let mut peer = resumed(ctx, cursor).await?;
    worker.arrives(ctx, &mut peer, 0, after).await;
    let behind = worker.last() - after;
    match disorder(&peer.delivered(0)) {
        None => kept("seqs rise from the cursor on"),
        Some((one, next)) => broken(
            format!("Resumed {EVENTS} at {cursor}, with {behind} of our events after it."),
            format!("Seq {next} came after {one}."),
            "Seqs should rise: clients drop what is not above what they have applied.",
        ),
    }
}

/// Resumes with a batch size.
async fn paged(ctx: &Ctx, cursor: u64, size: u64) -> Result<Peer, Stop> {
    let mut peer = ctx.join(&ctx.somebody(), &[EVENTS]).await?;
    let mut payload = subscribe(&[EVENTS], &[(EVENTS.to_owned(), cursor)]);
    payload["replay_batch_size"] = json!(size);
    let reply = peer.ask(event::SUBSCRIBE, payload, ctx.patience()).await?;
    if let Some(stop) = window::overtaken(&reply, &[(EVENTS, cursor)]) {
        return Err(stop);
    }
    reply.is_ok_to(event::SUBSCRIBE)?;
    Ok(peer)
}

/// What of a past of ours is still there, at least so much of it: of a target that retains little the first is gone.
async fn retained(
    ctx: &Ctx,
    mut own: BTreeMap<u64, Delivered>,
    least: usize,
) -> Result<BTreeMap<u64, Delivered>, Stop> {
    let floor = window::of(ctx, EVENTS).await?.floor;
    own.retain(|_, it| it.seq >= floor);
    match own.len() {
        few if few < least => Err(too_few(few as u64, least as u64)),
        _ => Ok(own),
    }
}

fn too_few(retained: u64, least: u64) -> Stop {
    not_applicable(
        format!("{EVENTS} retains {retained} events of ours, and it takes {least} at once"),
        format!("a target that retains {} events of {EVENTS} or more", 2 * least),
    )
}

async fn pages(ctx: &Ctx) -> Outcome {
    const PAGE: u64 = 5;
    // At least two batches, and one more to begin at.
    const LEAST: usize = 2 * PAGE as usize + 1;
    let (worker, own) = past(ctx, 22).await?;
    let own = retained(ctx, own, LEAST).await?;
    // Far behind, and then each place within two batches of head: the last one is full, almost so, or has one event.
    let near = own.len().saturating_sub(12);
    let places = std::iter::once(0).chain(near..own.len().saturating_sub(1));
    // And one event a batch, which is the least that can be asked for.
    let singly = (own.len() - 4, 1);
    for (place, page) in places.map(|place| (place, PAGE)).chain([singly]) {
        let (after, cursor) = nth(&own, place)?;
        let mut peer = paged(ctx, cursor, page).await?;
        let missing = worker.arrives(ctx, &mut peer, 0, after).await;
        let behind = worker.last() - after;
        let did = format!(
            "Resumed {EVENTS} at {cursor}, with {behind} of our events after it, in batches of {page}."
        );
        let should = "All should have come, in order, whatever stands at the edges of batches.";
        if !missing.is_empty() {
            return broken(did, format!("{} did not come.", ours(&missing)), should);
        }
        if let Some((one, next)) = disorder(&peer.delivered(0)) {
            return broken(did, format!("Seq {next} came after {one}."), should);
        }
    }
    kept("all came in order, wherever the last batch ended")
}

async fn batch_size(ctx: &Ctx) -> Outcome {
    let (_, own) = past(ctx, 9).await?;
    let (_, cursor) = nth(&own, 0)?;
    let peer = paged(ctx, cursor, 2).await?;
    let sizes = peer.log.iter().map(|msg| msg.delivers.len());
    match sizes.max() {
        Some(most) if most > 2 => broken(
            format!("Resumed {EVENTS} at {cursor} with replay_batch_size 2."),
            format!("A batch of {most} updates came."),
            "No batch of the replay should have had more than 2.",
        ),
        _ => kept("no batch had more than 2 updates"),
    }
}

/// Events that are published while clients resume, at the most and at the least, and how long that takes.
const DURING: u64 = 30;
const DURING_LEAST: u64 = 8;
const DURING_FOR: Duration = Duration::from_millis(240);
/// Events before them, the worker's beginning among them, and those of others.
const AROUND: u64 = 6;

/// How many events may be published so that the first of them is still there at the end. A second time that it is asked
/// what a target retains has shown, and no other case publishes.
async fn during(ctx: &Ctx) -> Result<u64, Stop> {
    let Some(room) = window::room(ctx, EVENTS).await?.filter(|room| *room > 0) else {
        return Ok(DURING);
    };
    match room.saturating_sub(AROUND).min(DURING) {
        few if few < DURING_LEAST => Err(too_few(room, DURING_LEAST + AROUND)),
        events => Ok(events),
    }
}

async fn then_tail(ctx: &Ctx) -> Outcome {
    let events = during(ctx).await?;
    let apart = DURING_FOR / u32::try_from(events).unwrap_or(u32::MAX);
    let (mut worker, own) = past(ctx, 4).await?;
    let (after, cursor) = nth(&own, 0)?;
    // Of the state nothing has to be replayed; what the stream comes after in a list is to make no difference.
    let both = [SUMMARIES, EVENTS];
    let mut cursors = ctx.now(&[SUMMARIES]).await?;
    cursors.push((EVENTS.to_owned(), cursor));
    let names: Vec<_> = (0..6).map(|_| ctx.somebody()).collect();
    let publishing = async {
        for _ in 0..events {
            worker.publish(ctx, 1).await?;
            tokio::time::sleep(apart).await;
        }
        Ok::<_, Stop>(())
    };
    let joining = async {
        let mut peers = Vec::new();
        for (nth, who) in names.iter().enumerate() {
            tokio::time::sleep(Duration::from_millis(30)).await;
            // Alone, and second of two.
            let (topics, cursors) =
                if nth % 2 == 0 { (&both[1..], &cursors[1..]) } else { (&both[..], &cursors[..]) };
            let mut peer = ctx.join(who, topics).await?;
            ctx.subscribe(&mut peer, topics, cursors).await?;
            peers.push((peer, topics));
        }
        Ok::<_, Stop>(peers)
    };
    let (published, peers) = future::join(publishing, joining).await;
    published?;
    for (mut peer, topics) in peers? {
        let missing = worker.arrives(ctx, &mut peer, 0, after).await;
        let list = if topics.len() > 1 { ", second in a list of two," } else { "" };
        let did =
            format!("Resumed {EVENTS}{list} at {cursor} while {events} events were published.");
        // A channel that was idle for too long is closed by right: on a busy machine all this takes its time.
        if !missing.is_empty() && peer.log.iter().any(|msg| msg.event == event::CLOSE) {
            return Err(undecided(
                "on the way, a channel was closed before all had been published",
            ));
        }
        if !missing.is_empty() {
            return broken(
                did,
                format!("{} (the last is no. {}) never came.", ours(&missing), worker.last()),
                "What is published during a replay should come either in it or right after it.",
            );
        }
        let mut delivered = peer.delivered(0);
        delivered.retain(|it| it.topic == EVENTS);
        if let Some((one, next)) = disorder(&delivered) {
            return broken(
                did,
                format!("Seq {next} came after {one}."),
                "Seqs should rise, from the replay into the live tail.",
            );
        }
    }
    kept(format!(
        "six clients that resumed while {events} events were published got all of them, in order"
    ))
}

async fn same(ctx: &Ctx) -> Outcome {
    let (worker, own) = past(ctx, 8).await?;
    let (after, cursor) = nth(&own, 0)?;
    let mut peer = resumed(ctx, cursor).await?;
    worker.arrives(ctx, &mut peer, 0, after).await;
    let delivered = peer.delivered(0);
    for (seq, it) in worker.of(&delivered) {
        let Some(live) = own.get(&seq) else { continue };
        if (live.seq, &live.key, &live.payload) != (it.seq, &it.key, &it.payload) {
            return broken(
                format!("Compared our event no. {seq} as it came live with its replay."),
                match live.seq == it.seq {
                    true => format!("Seq {} holds something else each time.", it.seq),
                    false => format!("It had seq {} live, and {} in the replay.", live.seq, it.seq),
                },
                "A redelivery should be the same: clients apply whichever they get first.",
            );
        }
    }
    if delivered.is_empty() {
        return Err(undecided("on the way, nothing was replayed"));
    }
    kept("the replay is what came live")
}

async fn again(ctx: &Ctx) -> Outcome {
    let (worker, own) = past(ctx, 5).await?;
    let ((after, first), (_, last)) = (nth(&own, 0)?, nth(&own, own.len() - 1)?);
    let mut peer = resumed(ctx, last).await?;
    let (_, from) = ctx.subscribe(&mut peer, &[EVENTS], &[(EVENTS.to_owned(), first)]).await?;
    let missing = worker.arrives(ctx, &mut peer, from, after).await;
    if missing.is_empty() {
        return kept("the second subscribe replayed from its own cursor");
    }
    broken(
        format!("Subscribed to {EVENTS} at {last}, and again on the same socket at {first}."),
        format!("{} did not come.", ours(&missing)),
        "The second subscribe should have replayed all after its own cursor.",
    )
}

async fn state(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[SUMMARIES]).await?;
    let mut worker = ctx.worker().await?;
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    worker.publish_slowly(ctx, 8).await?;
    let last = worker.last();
    let reached =
        |peer: &Peer| peer.delivered(0).iter().any(|it| it.key == key && it.version >= last);
    live.until(ctx.patience(), reached).await;
    let delivered = live.delivered(0);
    let own: Vec<_> = delivered.iter().filter(|it| it.key == key).collect();
    let Some(middle) = own.get(own.len() / 2).filter(|it| it.version < last) else {
        return Err(undecided("on the way, too few versions of the worker's document came"));
    };
    let (cursor, had) = (middle.seq, middle.version);
    let mut peer = ctx.join(&ctx.somebody(), &[SUMMARIES]).await?;
    ctx.subscribe(&mut peer, &[SUMMARIES], &[(SUMMARIES.to_owned(), cursor)]).await?;
    peer.until(ctx.patience(), reached).await;
    let replayed = peer.delivered(0);
    let versions: Vec<u64> =
        replayed.iter().filter(|it| it.key == key).map(|it| it.version).collect();
    let did = format!(
        "Resumed {SUMMARIES} at {cursor}, where a worker's document was at version {had}; it has had {last} events."
    );
    let should = "The document should have come in rising versions, up to the last.";
    let mut before = had;
    for version in &versions {
        if *version < before {
            return broken(did, format!("Version {version} came after {before}."), should);
        }
        before = *version;
    }
    match versions.last() {
        Some(found) if *found >= last => kept("the document came up to its latest version"),
        Some(found) => broken(did, format!("Its last version that came is {found}."), should),
        None => broken(did, "The document did not come.", should),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_no_disorder_and_what_comes_late_is() {
        let at = |seqs: &[u64]| -> Vec<Rc<Delivered>> {
            let one = |seq: &u64| Rc::new(Delivered { seq: *seq, ..Delivered::default() });
            seqs.iter().map(one).collect()
        };
        for seqs in [&[1, 2, 3][..], &[1, 2, 2, 3], &[1, 2, 3, 2, 3, 4], &[]] {
            assert_eq!(disorder(&at(seqs)), None, "{seqs:?}");
        }
        assert_eq!(disorder(&at(&[1, 3, 3, 2])), Some((3, 2)));
    }
}
