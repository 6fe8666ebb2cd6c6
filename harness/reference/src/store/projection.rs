//! The projection of summaries: state topics follow the authority at an interval.
//!
//! It emits the latest version of each document that has changed and nothing else, so versions may
//! be skipped, and the last one always arrives.

use std::sync::Arc;
use std::time::Duration;

use khala_wire::topic::{RUN_SUMMARIES, TopicId, WORKER_SUMMARIES};
use serde::Serialize;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Draft, Store};
use crate::sync::lock;

/// Projects at an interval until cancelled.
pub async fn project_forever(store: Arc<Store>, every: Duration, stop: CancellationToken) {
    // An interval of zero is refused by tokio; a millisecond is its finest tick.
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => project(&store),
        }
    }
}

/// Projects what has changed.
pub fn project(store: &Store) {
    let workers = lock(&store.authority).take_changed();
    let runs = lock(&store.runs).take_changed();
    if workers.is_empty() && runs.is_empty() {
        return;
    }
    for (key, document) in workers {
        append(store, WORKER_SUMMARIES, key, document.latest_seq, &document);
    }
    for (key, summary) in runs {
        append(store, RUN_SUMMARIES, key, summary.latest_seq, &summary);
    }
    store.ring();
}

fn append<D: Serialize>(store: &Store, topic: &str, key: String, version: u64, document: &D) {
    let Some(topic) = TopicId::of(topic) else { return };
    match Draft::of(key, version, document) {
        Ok(draft) => {
            store.log(topic).append(draft);
        }
        Err(error) => tracing::error!(%error, "a document does not serialise"),
    }
}
