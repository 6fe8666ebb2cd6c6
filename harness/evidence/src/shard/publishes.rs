//! Commands, as a shard takes them.

use khala_plan::metric::MetricId;

use super::Shard;
use super::metrics::Key;
use crate::record::{Outcome, PublishId, Published};

impl Shard {
    pub(super) fn published(&mut self, published: &Published) {
        self.state.ledger.publish(published);
        let Published { id, intended, start, done, outcome, worker, .. } = *published;
        if matches!(id, PublishId::Lifecycle { .. }) {
            // Owed to the clients, but no part of the load.
            return;
        }
        let acknowledged = outcome == Outcome::Ok;
        self.state.series.at(done).published += u64::from(acknowledged);
        if outcome == Outcome::Interrupted {
            return;
        }
        let key = |metric| Key { metric, phase: self.context.phase_at(intended), surface: None };
        if matches!(outcome, Outcome::Ok | Outcome::Timeout) {
            let response = done.saturating_sub(intended);
            let service = done.saturating_sub(start);
            let worker = worker.into();
            self.state.metrics.sample(key(MetricId::Publish), worker, intended, response, service);
        }
        let bad = u64::from(!acknowledged);
        self.state.metrics.count(key(MetricId::PublishErrors), 0, intended, bad, 1);
    }
}
