//! A client that does not read: it is told and thrown out, and nobody else waits for it.

use std::time::Duration;

use futures_util::future;
use khala_engine::throttle::Pace;
use khala_wire::message::event;
use tokio::time::Instant;

use crate::case::Area::Slow;
use crate::case::{Case, Catch, Does};
use crate::ctx::{Connect, Ctx, EVENTS};
use crate::delivery::ranges;
use crate::outcome::{Outcome, Stop, broken, kept, undecided};
use crate::peer::{Ended, Peer};
use crate::worker::Worker;

const RULE_7: &str = "A client that cannot keep up is told so and, after repeated strikes, evicted; it must not slow \
                      others down nor grow the server without bound.";
/// Payload of an event, in bytes: within what commands may have.
const PAYLOAD: usize = 96 << 10;
/// Bytes on the wire for one byte of payload: as JSON, and as base64 of it.
const ON_THE_WIRE: f64 = 2.3;
/// Publishers at once.
const PUBLISHERS: usize = 4;

pub const CASES: &[Case] = &[
    Case::must("slow_evicted", Slow, "a client that does not read is thrown out", |ctx| {
        Box::pin(evicted(ctx))
    })
    .says("1, rule 7", RULE_7)
    .does(Does::Abuses)
    .alone()
    .caught_by(&[Catch::Defect("no_slow_eviction"), Catch::Defect("unbounded_queue")]),
    Case::must("slow_harms_nobody", Slow, "a client that reads gets everything meanwhile", |ctx| {
        Box::pin(bystander(ctx))
    })
    .says("1, rule 7", RULE_7)
    .does(Does::Abuses)
    .alone()
    .caught_by(&[Catch::Defect("slow_stalls_neighbours")]),
];

/// A client that does not read, and that all buffers are full before.
struct Flood {
    slow: Peer,
    bystander: Peer,
    workers: Vec<Worker>,
    events: u64,
}

/// Events that fill the kernel's buffers and twice the target's queue.
fn events(ctx: &Ctx) -> u64 {
    let limits = &ctx.world.plan.target.slow_consumer;
    let each = ON_THE_WIRE * PAYLOAD as f64;
    (limits.kernel_bytes() as f64 / each) as u64 + 2 * limits.queue_limit + 30
}

async fn flood(ctx: &Ctx) -> Result<Flood, Stop> {
    let who = ctx.somebody();
    let token = ctx.token(&who, &[EVENTS]).await?;
    let small = Connect { receive_buffer: Some(4 << 10), ..Connect::default() };
    let mut slow = ctx.open_with(&who, &token, &small).await?;
    slow.ask_ok(event::JOIN, serde_json::json!({}), ctx.patience()).await?;
    ctx.subscribe(&mut slow, &[EVENTS], &ctx.from_now(&[EVENTS])).await?;
    let mut bystander = ctx.live(&[EVENTS]).await?;
    let mut workers = Vec::new();
    for _ in 0..PUBLISHERS {
        workers.push(ctx.worker().await?);
    }
    slow.pace(Pace::Paused);
    let events = events(ctx);
    let text = format!("{{\"fill\":\"{}\"}}", "x".repeat(PAYLOAD));
    let share = events / PUBLISHERS as u64 + 1;
    let text = &text;
    let publishing = workers.iter_mut().map(|worker| async move {
        for _ in 0..share {
            worker.publish_text(ctx, text).await?;
        }
        Ok::<_, Stop>(())
    });
    {
        let publishing = future::try_join_all(publishing);
        // Until the publishes are done; the rest is read by who asks for it.
        let reading = std::pin::pin!(bystander.listen(Duration::from_secs(3600)));
        match future::select(publishing, reading).await {
            future::Either::Left((published, _)) => drop(published?),
            future::Either::Right(_) => {
                return Err(undecided("on the way, the client that reads lost its socket"));
            }
        }
    }
    Ok(Flood { slow, bystander, workers, events: share * PUBLISHERS as u64 })
}

async fn evicted(ctx: &Ctx) -> Outcome {
    let Flood { mut slow, mut workers, events, mut bystander } = flood(ctx).await?;
    // Some runtimes strike as they publish.
    for _ in 0..12 {
        bystander.listen(Duration::from_millis(300)).await;
        workers[0].publish(ctx, 1).await?;
    }
    let from = slow.log.len();
    slow.pace(Pace::Full);
    let until = Instant::now() + 2 * ctx.patience();
    let ends = |peer: &Peer| {
        peer.log[from..].iter().any(|msg| matches!(&*msg.event, event::ERROR | event::CLOSE))
    };
    let told = |peer: &Peer| {
        let disconnects = |msg: &&crate::peer::Msg| {
            msg.event == event::SYNC_ERROR
                && msg.payload["code"] == "slow_consumer"
                && msg.payload["action"] == "disconnect"
        };
        peer.log[from..].iter().any(|msg| disconnects(&msg))
    };
    // What it was sent before it was thrown out comes first.
    slow.until(until - Instant::now(), ends).await;
    let did = format!("Published {events} events of {} KiB to a client that did not read, then read on.", PAYLOAD >> 10);
    let should = "It should have been struck, told slow_consumer, and thrown out after the third strike.";
    match (slow.ended(), ends(&slow), told(&slow)) {
        (_, true, true) => kept("told slow_consumer with `disconnect`, and its channel was ended"),
        (Some(Ended::Cut(how)), _, _) => kept(format!("its connection was ended ({how})")),
        (Some(Ended::Closed(code)), _, _) => kept(format!("its socket was closed (code {code:?})")),
        (Some(ended @ Ended::Breach(_)), _, _) => broken(did, format!("Then {}.", ended.told()), should),
        (None, true, false) => broken(did, "Its channel was ended without a word of slow_consumer.", should),
        (None, false, _) => {
            let count = slow.delivered(from).len();
            broken(did, format!("It was not thrown out: {count} events waited for it."), should)
        }
    }
}

async fn bystander(ctx: &Ctx) -> Outcome {
    let Flood { slow, mut bystander, workers, events } = flood(ctx).await?;
    let complete = |peer: &Peer| workers.iter().all(|worker| worker.missing(peer, 0, 0).is_empty());
    bystander.until(ctx.patience() / 2, complete).await;
    drop(slow);
    let missing: Vec<u64> =
        workers.iter().flat_map(|worker| worker.missing(&bystander, 0, 0)).collect();
    if missing.is_empty() {
        return kept(format!("all of {events} events came to the client that reads"));
    }
    broken(
        format!("Published {events} events of {} KiB before a client that reads and one that does not.", PAYLOAD >> 10),
        format!("{:?} after the last, {} events had not come to the one that reads ({}).", ctx.patience() / 2, missing.len(), ranges(&missing)),
        "It should have got everything in time: who does not read must not slow others down.",
    )
}
