//! A client that does not read: it is told and thrown out, and nobody else waits for it.

use khala_engine::clock;
use std::time::Duration;

use futures_util::future;
use khala_engine::throttle::Pace;
use khala_wire::CHANNEL;
use khala_wire::message::event;
use serde_json::json;

use crate::case::Area::Slow;
use crate::case::{Case, Catch, Does};
use crate::ctx::{Connect, Ctx, EVENTS};
use crate::delivery::ranges;
use crate::outcome::{Outcome, Stop, broken, kept, undecided};
use crate::peer::{Ended, JOIN_REF, Msg, Peer};
use crate::worker::Worker;

const RULE_7: &str = "A client that cannot keep up is told so and, after repeated strikes, evicted; it must not slow \
                      others down nor grow the server without bound.";
/// Largest payload of the events that fill the kernel's buffers, in bytes: within what commands may have.
const LARGE: u64 = 96 << 10;
/// Largest payload of the events that wait in the target's queue.
const SMALL: u64 = 24 << 10;
/// Parts of the kernel's buffers that such an event has, where they are small.
const LARGE_PART: u64 = 8;
/// See above.
const SMALL_PART: u64 = 16;
/// Between two of them, so that no runtime puts them into one batch: some count batches.
const SPACING: Duration = Duration::from_millis(25);
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

/// What the kernel may hold for a socket, in bytes.
fn kernel(ctx: &Ctx) -> u64 {
    ctx.world.plan.target.slow_consumer.kernel_bytes()
}

/// Events that fill the kernel's buffers, and then some.
fn large_events(ctx: &Ctx) -> u64 {
    let large = LARGE.min(kernel(ctx) / LARGE_PART) as f64;
    (1.25 * kernel(ctx) as f64 / (ON_THE_WIRE * large)) as u64 + 2
}

/// Events that fill the target's queue twice.
fn small_events(ctx: &Ctx) -> u64 {
    2 * ctx.world.plan.target.slow_consumer.queue_limit + 20
}

fn filled(bytes: u64) -> String {
    format!("{{\"fill\":\"{}\"}}", "x".repeat(usize::try_from(bytes).unwrap_or_default()))
}

/// A client that does not read still beats: its socket is not idle.
async fn beat(slow: &mut Peer) {
    let msg_ref = json!(slow.fresh_ref());
    let (join_ref, empty) = (json!(JOIN_REF), json!({}));
    slow.push(&join_ref, &msg_ref, CHANNEL, event::HEARTBEAT, &empty).await;
}

async fn flood(ctx: &Ctx) -> Result<Flood, Stop> {
    let who = ctx.somebody();
    let token = ctx.token(&who, &[EVENTS]).await?;
    let small = Connect { receive_buffer: Some(4 << 10), ..Connect::default() };
    let mut slow = ctx.open_with(&who, &token, &small).await?;
    slow.ask_ok(event::JOIN, json!({}), ctx.patience()).await?;
    ctx.subscribe_from_now(&mut slow, &[EVENTS]).await?;
    let mut bystander = ctx.live(&[EVENTS]).await?;
    let mut workers = Vec::new();
    for _ in 0..PUBLISHERS {
        workers.push(ctx.worker().await?);
    }
    slow.pace(Pace::Paused).await;
    let share = large_events(ctx) / PUBLISHERS as u64 + 1;
    let large = filled(LARGE.min(kernel(ctx) / LARGE_PART));
    let small = filled(SMALL.min(kernel(ctx) / SMALL_PART));
    {
        let publishing = async {
            let large = &large;
            let at_once = workers.iter_mut().map(|worker| async move {
                for _ in 0..share {
                    worker.publish_text(ctx, large).await?;
                }
                Ok::<_, Stop>(())
            });
            future::try_join_all(at_once).await?;
            for _ in 0..small_events(ctx) {
                workers[0].publish_text(ctx, &small).await?;
                tokio::time::sleep(SPACING).await;
            }
            Ok::<_, Stop>(())
        };
        // Until the publishes are done; the rest is read by who asks for it.
        let reading = bystander.listen(Duration::from_secs(3600));
        let beating = async {
            loop {
                beat(&mut slow).await;
                tokio::time::sleep(ctx.times().client_beat / 4).await;
            }
        };
        let (reading, beating) = (std::pin::pin!(reading), std::pin::pin!(beating));
        let beside = future::select(reading, beating);
        match future::select(std::pin::pin!(publishing), beside).await {
            future::Either::Left((published, _)) => published?,
            future::Either::Right(_) => {
                return Err(undecided("on the way, the client that reads lost its socket"));
            }
        }
    }
    let events = share * PUBLISHERS as u64 + small_events(ctx);
    Ok(Flood { slow, bystander, workers, events })
}

async fn evicted(ctx: &Ctx) -> Outcome {
    let Flood { mut slow, mut workers, events, mut bystander } = flood(ctx).await?;
    // Some runtimes strike as they publish.
    for _ in 0..12 {
        beat(&mut slow).await;
        bystander.listen(Duration::from_millis(300)).await;
        workers[0].publish(ctx, 1).await?;
    }
    let from = slow.log.len();
    slow.pace(Pace::Full).await;
    let until = clock::now() + 2 * ctx.patience();
    let ends = |peer: &Peer| {
        peer.log[from..].iter().any(|msg| matches!(&*msg.event, event::ERROR | event::CLOSE))
    };
    let idle = |peer: &Peer| peer.log[from..].iter().any(|msg| msg.event == event::CLOSE);
    let told = |peer: &Peer| peer.log[from..].iter().any(Msg::evicts);
    // What it was sent before it was thrown out comes first.
    slow.until(until - clock::now(), ends).await;
    let did = format!(
        "Published {events} events, some MiB in all, to a client that did not read; then it read on."
    );
    let should =
        "It should have been struck, told slow_consumer, and thrown out after the third strike.";
    if idle(&slow) && !told(&slow) {
        return Err(undecided(
            "its channel was closed as idle before it was struck: this machine is too busy",
        ));
    }
    match (slow.ended(), ends(&slow), told(&slow)) {
        (_, true, true) => kept("told slow_consumer with `disconnect`, and its channel was ended"),
        (Some(Ended::Cut(how)), _, _) => kept(format!("its connection was ended ({how})")),
        (Some(Ended::Closed(code)), _, _) => kept(format!("its socket was closed (code {code:?})")),
        (Some(ended @ Ended::Breach(_)), _, _) => {
            broken(did, format!("Then {}.", ended.told()), should)
        }
        (None, true, false) => {
            broken(did, "Its channel was ended without a word of slow_consumer.", should)
        }
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
    if bystander.log.iter().any(|msg| msg.event == event::CLOSE) {
        let why = "the channel of the client that reads was closed as idle: this machine is too busy to tell";
        return Err(undecided(why));
    }
    broken(
        format!(
            "Published {events} events, some MiB in all, before a client that reads and one that does not."
        ),
        format!(
            "{:?} after the last, {} events had not come to the one that reads (no. {}).",
            ctx.patience() / 2,
            missing.len(),
            ranges(&missing)
        ),
        "It should have got everything in time: who does not read must not slow others down.",
    )
}
