//! The state of workers: whatever versions are skipped, the last one comes.

use crate::case::Area::Delivery;
use crate::case::{Case, Catch, Does};
use crate::ctx::{Ctx, SUMMARIES};
use crate::outcome::{Outcome, broken, kept};
use crate::peer::Peer;

pub const CASES: &[Case] = &[Case::must(
    "state_after_a_burst",
    Delivery,
    "after a burst of events a worker's document comes up to the last",
    |ctx| Box::pin(burst(ctx)),
)
.says("3, commands", "and updates the worker's document on `runtime.codex_worker_summaries`")
.does(Does::Writes)
.caught_by(&[Catch::Proxy("drops_last_versions")])];

/// Bursts, and the events of each.
const BURSTS: u64 = 3;
const EVENTS_EACH: u64 = 4;

async fn burst(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[SUMMARIES]).await?;
    let mut worker = ctx.worker().await?;
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    for nth in 1..=BURSTS {
        worker.publish_at_once(ctx, EVENTS_EACH).await?;
        let last = worker.last();
        let latest = |peer: &Peer| {
            peer.delivered(0).iter().filter(|it| it.key == key).map(|it| it.version).max()
        };
        if peer.until(ctx.patience(), |peer| latest(peer) >= Some(last)).await {
            continue;
        }
        return broken(
            format!(
                "Published {EVENTS_EACH} events of a worker at once, {nth} times; it has had {last}."
            ),
            match latest(&peer) {
                Some(version) => format!(
                    "Within {:?} its document came up to version {version} and no further, and nothing more was published.",
                    ctx.patience()
                ),
                None => format!("Its document did not come within {:?}.", ctx.patience()),
            },
            "Versions may be skipped, and the last one should have come.",
        );
    }
    kept(format!("the document came up to the last event of each of {BURSTS} bursts"))
}
