//! Unsubscribes: their reply, and that nothing follows it.

use std::time::Duration;

use futures_util::future;
use khala_wire::message::event;
use serde_json::json;

use super::window;
use crate::case::Area::Unsubscribe;
use crate::case::{Case, Catch, Does, Level};
use crate::ctx::{Ctx, EVENTS, SUMMARIES, subscribe};
use crate::delivery::ours;
use crate::outcome::{Outcome, Stop, broken, kept, undecided};
use crate::peer::{Peer, quote};
use crate::worker::Worker;

const SAYS: &str = "`sync:unsubscribe {\"topics\":[…]}` → ok `{\"subscription_id\",\"topics\":[those that remain]}`; \
                    nothing of the topic may follow that reply.";
const OWN_MARK: &str = "A topic without `resume_after` replays from the socket's own watermark, or 0, and is never stale.";
/// Clients that unsubscribe, spread over the publishes.
const CLIENTS: usize = 6;

pub const CASES: &[Case] = &[
    Case::must("unsubscribe_reply", Unsubscribe, "what an unsubscribe is answered", |ctx| {
        Box::pin(reply(ctx))
    })
    .says("3, subscribe", SAYS)
    .caught_by(&[Catch::Proxy("forgets_topics")]),
    Case::must(
        "unsubscribe_under_load",
        Unsubscribe,
        "nothing follows the reply, while events are published",
        |ctx| Box::pin(under_load(ctx)),
    )
    .says("3, subscribe", SAYS)
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("after_unsubscribe"), Catch::Proxy("unsubscribes_the_first")]),
    Case::must(
        "resubscribe_without_cursor",
        Unsubscribe,
        "who comes back to a topic without a cursor gets what it missed",
        |ctx| Box::pin(missed(ctx)),
    )
    .says("3, subscribe", OWN_MARK)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("resubscribes_at_head")]),
    Case::must(
        "resubscribe_keeps_the_mark",
        Unsubscribe,
        "the socket's watermark outlives an unsubscribe",
        |ctx| Box::pin(mark(ctx)),
    )
    .level(Level::Silent)
    .says("3, subscribe", OWN_MARK)
    .does(Does::Writes),
];

async fn reply(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS, SUMMARIES]).await?;
    let did = format!("Unsubscribed from {EVENTS}, with {SUMMARIES} subscribed too.");
    let should = format!("It should have been answered ok, with {SUMMARIES} as what remains.");
    let list = json!({ "topics": [EVENTS] });
    match peer.try_ask(event::UNSUBSCRIBE, &list, ctx.patience()).await {
        Ok(msg) if msg.status() == "ok" && msg.response()["topics"] == json!([SUMMARIES]) => {
            kept("answered ok, with the topic that remains")
        }
        Ok(msg) => broken(did, format!("It answered {}.", quote(&msg.payload)), should),
        Err(came) => broken(did, format!("Then {came}."), should),
    }
}

async fn under_load(ctx: &Ctx) -> Outcome {
    let mut worker = ctx.worker().await?;
    let mut peers = Vec::new();
    let (both, turned) = ([EVENTS, SUMMARIES], [SUMMARIES, EVENTS]);
    let lists = [&both[..1], &both[..], &turned[..]].into_iter().cycle();
    for list in lists.take(CLIENTS) {
        peers.push((ctx.live(list).await?, list));
    }
    let publishing = async {
        for _ in 0..60 {
            worker.publish(ctx, 1).await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, Stop>(())
    };
    let leaving = peers.iter_mut().zip(1..).map(|((peer, topics), nth): (_, u32)| async move {
        // At a different moment each.
        peer.listen(Duration::from_millis(60) * nth).await;
        let list = json!({ "topics": topics });
        let reply = peer.ask_ok(event::UNSUBSCRIBE, list, ctx.patience()).await?;
        let at = peer.log.iter().position(|msg| msg.msg_ref == reply.msg_ref);
        peer.listen(Duration::from_millis(700)).await;
        let late = peer.delivered(at.unwrap_or_default()).into_iter().next();
        Ok::<_, Stop>(late.map(|it| (it, *topics)))
    });
    let (published, after) = future::join(publishing, future::try_join_all(leaving)).await;
    let after = after?;
    published?;
    let late: Vec<_> = after.into_iter().flatten().collect();
    match late.first() {
        None => {
            kept(format!("{CLIENTS} clients unsubscribed among 60 events, and nothing followed"))
        }
        Some((it, topics)) => broken(
            format!(
                "{CLIENTS} clients unsubscribed, one after the other, while events were published; one of them from {}.",
                topics.join(" and ")
            ),
            format!(
                "After the reply to that came seq {} of {}; {} clients in all were sent something.",
                it.seq,
                it.topic,
                late.len()
            ),
            "Nothing of any topic of the list should have followed the reply.",
        ),
    }
}

/// A client that was live, unsubscribed, and has come back without a cursor; the log's length as it did, and what others
/// were sent of the worker.
struct Back {
    worker: Worker,
    others: Peer,
    peer: Peer,
    from: usize,
    /// Of the worker, the last event that it had before it unsubscribed.
    had: u64,
}

async fn back(ctx: &Ctx) -> Result<Back, Stop> {
    let mut others = ctx.live(&[EVENTS]).await?;
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 2).await?;
    if !worker.arrives(ctx, &mut peer, 0, 0).await.is_empty() {
        return Err(undecided("on the way, events did not come live: other cases say more"));
    }
    let had = worker.last();
    peer.ask_ok(event::UNSUBSCRIBE, json!({ "topics": [EVENTS] }), ctx.patience()).await?;
    worker.publish(ctx, 3).await?;
    if !worker.arrives(ctx, &mut others, 0, had).await.is_empty() {
        return Err(undecided("on the way, events did not come to one who stayed"));
    }
    // What a target does of itself after an unsubscribe is done.
    peer.listen(ctx.times().quiet).await;
    let from = peer.log.len();
    let payload = subscribe(&[EVENTS], &[]);
    // Where the mark is forgotten, all that is retained comes.
    peer.ask_ok(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
    Ok(Back { worker, others, peer, from, had })
}

async fn missed(ctx: &Ctx) -> Outcome {
    let Back { worker, others, mut peer, from, had } = back(ctx).await?;
    let missing = worker.arrives(ctx, &mut peer, from, had).await;
    if missing.is_empty() {
        return kept("what was published while it was unsubscribed came");
    }
    let delivered = others.delivered(0);
    let last = worker
        .of(&delivered)
        .iter()
        .filter(|(own, _)| missing.contains(own))
        .map(|(_, it)| it.seq)
        .max();
    let floor = window::of(ctx, EVENTS).await?.floor;
    if last.is_some_and(|seq| seq <= floor) {
        return Err(undecided("on the way, retention took what was published for it"));
    }
    broken(
        format!(
            "A client of {EVENTS} unsubscribed; 3 events later it subscribed again, on the same socket and without a cursor."
        ),
        format!("{} never came.", ours(&missing)),
        "The replay should have begun at the socket's own watermark, or at 0: after what it had been sent nothing is skipped.",
    )
}

async fn mark(ctx: &Ctx) -> Outcome {
    let Back { worker, mut peer, from, had, .. } = back(ctx).await?;
    worker.arrives(ctx, &mut peer, from, had).await;
    let delivered = peer.delivered(from);
    match delivered.iter().map(|it| it.seq).min() {
        None => Err(undecided(
            "nothing came after it had subscribed again: `resubscribe_without_cursor` says more",
        )),
        Some(_) if worker.of(&delivered).iter().all(|(own, _)| *own > had) => {
            kept("the replay began after what the socket had been sent")
        }
        Some(first) => broken(
            format!(
                "A client of {EVENTS} unsubscribed, and subscribed again on the same socket without a cursor."
            ),
            format!(
                "Its watermark was forgotten: the replay began at seq {first}, before what it had been sent."
            ),
            "The contract does not say whether the socket's own watermark outlives an unsubscribe; a client that has applied \
             them drops such duplicates.",
        ),
    }
}
