//! Coming back after each kind of cut: nothing that was published meanwhile is lost.

use khala_engine::throttle::Pace;

use super::replay::disorder;
use crate::case::Area::Resume;
use crate::case::{Case, Catch, Does};
use crate::ctx::{Ctx, EVENTS};
use crate::delivery::{ordinal, ours};
use crate::outcome::{Outcome, Stop, broken, kept, undecided};
use crate::peer::Peer;
use crate::worker::Worker;

const RULE_5: &str = "On subscribe with a cursor, the server replays everything after it, in order of seq, then \
                      turns to live tail. No gap.";
const CAUGHT: &[Catch] = &[Catch::Defect("drop_on_reconnect"), Catch::Defect("replay_skips_one")];

pub const CASES: &[Case] = &[
    Case::must("resume_after_close", Resume, "after a close frame", |ctx| {
        Box::pin(comes_back(ctx, Cut::Close))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(CAUGHT),
    Case::must("resume_after_reset", Resume, "after a TCP reset", |ctx| {
        Box::pin(comes_back(ctx, Cut::Reset))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(CAUGHT),
    Case::must("resume_after_half_close", Resume, "after a FIN without a close frame", |ctx| {
        Box::pin(comes_back(ctx, Cut::HalfClose))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(CAUGHT),
    Case::must("resume_beside_dead_socket", Resume, "while the old socket is half-open", |ctx| {
        Box::pin(comes_back(ctx, Cut::Dead))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(CAUGHT),
    Case::must("resume_many_times", Resume, "many times, by the same device", |ctx| {
        Box::pin(many_times(ctx))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(CAUGHT),
];

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Close,
    Reset,
    HalfClose,
    Dead,
}

impl Cut {
    fn told(self) -> &'static str {
        match self {
            Self::Close => "closed its socket in good order",
            Self::Reset => "reset its connection",
            Self::HalfClose => "ended its half of the connection without a close frame",
            Self::Dead => "stopped answering, its connection half-open",
        }
    }
}

/// Ends a socket; what must be kept so that it stays as it is.
async fn cut(ctx: &Ctx, mut peer: Peer, how: Cut) -> Option<Peer> {
    match how {
        Cut::Close => {
            peer.goodbye().await;
            peer.end(ctx.patience()).await;
            None
        }
        Cut::Reset => {
            peer.reset().await;
            None
        }
        Cut::HalfClose => {
            peer.half_close().await;
            Some(peer)
        }
        Cut::Dead => {
            peer.pace(Pace::Dead).await;
            Some(peer)
        }
    }
}

/// The highest seq that a socket has been sent.
fn cursor(peer: &Peer) -> Result<u64, Stop> {
    let seqs = peer.delivered(0).into_iter().map(|it| it.seq).max();
    seqs.ok_or_else(|| undecided("on the way, nothing came live"))
}

async fn comes_back(ctx: &Ctx, how: Cut) -> Outcome {
    let who = ctx.somebody();
    let mut worker = ctx.worker().await?;
    let mut peer = ctx.join(&who, &[EVENTS]).await?;
    ctx.subscribe_from_now(&mut peer, &[EVENTS]).await?;
    worker.publish(ctx, 3).await?;
    let had = worker.last();
    if !worker.arrives(ctx, &mut peer, 0, 1).await.is_empty() {
        return Err(undecided("on the way, events did not come live: other cases say more"));
    }
    let cursor = cursor(&peer)?;
    let _kept = cut(ctx, peer, how).await;
    worker.publish(ctx, 4).await?;
    let mut back = ctx.join(&who, &[EVENTS]).await?;
    ctx.subscribe(&mut back, &[EVENTS], &[(EVENTS.to_owned(), cursor)]).await?;
    // And what comes live afterwards.
    worker.publish(ctx, 2).await?;
    let did = format!(
        "A client {}; 4 events later it came back with its cursor {cursor}, and 2 more were published.",
        how.told()
    );
    verdict(ctx, &worker, &mut back, had, cursor, did).await
}

async fn verdict(
    ctx: &Ctx,
    worker: &Worker,
    back: &mut Peer,
    had: u64,
    cursor: u64,
    did: String,
) -> Outcome {
    let should = "All that was published while it was away, and after, should have come, in order.";
    let missing = worker.arrives(ctx, back, 0, had).await;
    if !missing.is_empty() {
        return broken(did, format!("{} never came.", ours(&missing)), should);
    }
    let delivered = back.delivered(0);
    if let Some((one, next)) = disorder(&delivered) {
        return broken(did, format!("Seq {next} came after {one}."), should);
    }
    match delivered.iter().find(|it| it.seq <= cursor) {
        Some(early) => {
            broken(did, format!("Seq {} came, which is not after its cursor.", early.seq), should)
        }
        None => kept("it missed nothing"),
    }
}

async fn many_times(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let mut worker = ctx.worker().await?;
    let mut peer = ctx.join(&who, &[EVENTS]).await?;
    ctx.subscribe_from_now(&mut peer, &[EVENTS]).await?;
    worker.publish(ctx, 1).await?;
    if !worker.arrives(ctx, &mut peer, 0, 1).await.is_empty() {
        return Err(undecided("on the way, an event did not come live: other cases say more"));
    }
    for nth in 1..=8_u64 {
        let (at, had) = (cursor(&peer)?, worker.last());
        peer.reset().await;
        worker.publish(ctx, 1).await?;
        peer = ctx.join(&who, &[EVENTS]).await?;
        ctx.subscribe(&mut peer, &[EVENTS], &[(EVENTS.to_owned(), at)]).await?;
        // And what comes live afterwards, each time.
        worker.publish(ctx, 1).await?;
        let missing = worker.arrives(ctx, &mut peer, 0, had).await;
        if !missing.is_empty() {
            return broken(
                format!(
                    "A device came back for the {} time, with its cursor each time and one event behind, and one more was \
                     published each time.",
                    ordinal(nth)
                ),
                format!("{} never came.", ours(&missing)),
                "All should have come, however often one comes back.",
            );
        }
    }
    kept("it came back eight times, and missed nothing")
}
