//! The operators' view, held against what a client of ours saw meanwhile.

use std::time::Duration;

use khala_engine::clock;
use khala_wire::message::event;
use khala_wire::payload::KIND_UPDATE_BATCH;
use serde_json::Value;

use super::around::document;
use super::{stale, window};
use crate::case::Area::Around;
use crate::case::{Case, Catch, Does, Level, Need};
use crate::ctx::{Ctx, EVENTS};
use crate::outcome::{Outcome, Stop, broken, kept, undecided};

const CROSS_CHECKED: &str = "The harness snapshots it before, during and after a run and cross-checks it against what the \
                             clients saw.";

pub const CASES: &[Case] = &[
    Case::must(
        "metrics_count_stale_cursors",
        Around,
        "a stale cursor is counted, of its topic and by its reason",
        |ctx| Box::pin(stale_cursors(ctx)),
    )
    .says("5", CROSS_CHECKED)
    .needs(&[Need::AdminToken])
    // Others' would be counted for ours.
    .alone()
    .caught_by(&[Catch::Proxy("counts_no_stale_cursors")]),
    Case::must(
        "metrics_follow_clients",
        Around,
        "clients that are there and what they are sent are counted",
        |ctx| Box::pin(clients(ctx)),
    )
    .level(Level::Should)
    .says("5", CROSS_CHECKED)
    .needs(&[Need::AdminToken])
    .does(Does::Writes)
    .alone(),
];

/// Pause between two reads of the metrics.
const AGAIN_AFTER: Duration = Duration::from_millis(150);

/// Reads the metrics until they hold something, or patience is over; whether they do.
async fn until(ctx: &Ctx, mut holds: impl FnMut(&Value) -> bool) -> Result<bool, Stop> {
    let over = clock::now() + ctx.patience();
    loop {
        if holds(&document(ctx).await?) {
            return Ok(true);
        }
        if clock::now() >= over {
            return Ok(false);
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// A figure of a topic.
fn of_topic(metrics: &Value, topic: &str, name: &str) -> Option<u64> {
    let mut rows = metrics["topic_windows"].as_array()?.iter();
    rows.find(|row| row["topic"] == topic)?[name].as_u64()
}

async fn stale_cursors(ctx: &Ctx) -> Outcome {
    let before = document(ctx).await?;
    let (_peer, reply, topic, did) = stale::refused(ctx).await?;
    let it = window::refused(&reply, topic)
        .ok_or_else(|| undecided("the refusal lacks fields: other cases say more"))?;
    let name = match it.reason == window::FLOOR {
        true => "stale_cursor_retention_floor_count",
        false => "stale_cursor_budget_exceeded_count",
    };
    let should =
        format!("It was refused as {}, and {name} of {topic} should have risen by it.", it.reason);
    let Some(was) = of_topic(&before, topic, name) else {
        return broken(did, format!("The fan-out metrics have no {name} of {topic}."), should);
    };
    let mut is = was;
    let rose = until(ctx, |metrics| {
        is = of_topic(metrics, topic, name).unwrap_or_default();
        is > was
    });
    if rose.await? {
        return kept(format!("{name} of {topic} rose from {was} to {is}"));
    }
    let came =
        format!("{name} of {topic} in the fan-out metrics was {was} before, and {is} after.");
    broken(did, came, should)
}

async fn clients(ctx: &Ctx) -> Outcome {
    let before = document(ctx).await?;
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    worker.publish_slowly(ctx, 11).await?;
    worker.arrives(ctx, &mut peer, 0, 0).await;
    let is_batch = |msg: &&crate::peer::Msg| {
        msg.event == event::FRAME && msg.payload["kind"] == KIND_UPDATE_BATCH
    };
    let batches = peer.log.iter().filter(is_batch).count() as u64;
    let head = peer.delivered(0).iter().map(|it| it.seq).max().unwrap_or_default();
    if batches == 0 {
        return Err(undecided("nothing came"));
    }
    let total = |metrics: &Value, name: &str| metrics["delivery_metrics"][name].as_u64();
    let served = total(&before, "served_messages").unwrap_or_default();
    let mut lacks = String::new();
    let follows = until(ctx, |metrics| {
        let (rose, active) = (
            total(metrics, "served_messages").unwrap_or_default().saturating_sub(served),
            total(metrics, "active_consumers").unwrap_or_default(),
        );
        let at = of_topic(metrics, EVENTS, "head_sequence").unwrap_or_default();
        lacks = match () {
            () if rose < batches => format!("served_messages rose by {rose}."),
            () if active == 0 => "active_consumers is 0.".to_owned(),
            () if at < head => format!("head_sequence of {EVENTS} is {at}."),
            () => String::new(),
        };
        lacks.is_empty()
    });
    if follows.await? {
        return kept(format!("{batches} batches, a client and head {head} are in them"));
    }
    broken(
        format!(
            "Read the fan-out metrics, had {batches} batches come to a client that is subscribed, up to seq {head} of {EVENTS}, \
             and read them again."
        ),
        lacks,
        "served_messages should have risen by as many at least, active_consumers should be 1 at least, and head_sequence \
         no lower: operators go by them. What each counts the contract does not say.",
    )
}
