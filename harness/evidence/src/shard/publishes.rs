//! Commands, as a shard takes them.

use khala_plan::metric::MetricId;

use super::found::Found;
use super::metrics::Key;
use super::{Shard, Times};
use crate::record::{Limit, Micros, Outcome, PublishId, Published};

impl Shard {
    pub(super) fn published(&mut self, published: &Published) {
        self.flow.ledger.publish(published);
        let Published { id, intended, start, done, outcome, worker, .. } = *published;
        if matches!(id, PublishId::Lifecycle { .. }) {
            // Owed to the clients, but no part of the load.
            return;
        }
        let acknowledged = outcome == Outcome::Ok;
        let bytes = self.context.payload_bytes().get(usize::from(worker)).copied();
        let size = u64::from(bytes.unwrap_or_default());
        if acknowledged && size > Limit::PublishBytes.most() {
            let (name, message) = (Limit::PublishBytes.finding(), Limit::PublishBytes.told(size));
            let (client, at, topic, seqs) = (None, done, None, None);
            self.found(Found { name, client, at, topic, seqs, message });
        }
        self.flow.series.at(done).published += u64::from(acknowledged);
        if self.ended_by_us(outcome) {
            return;
        }
        let phase = self.context.phase_at(intended);
        let key = |metric| Key { metric, phase, surface: None };
        if matches!(outcome, Outcome::Ok | Outcome::Timeout) {
            let thread = self.context.publisher_thread();
            let times = Times { intended, start, done };
            self.timed_by(thread, key(MetricId::Publish), worker.into(), times);
        }
        let bad = u64::from(!acknowledged);
        self.flow.metrics.count(key(MetricId::PublishErrors), 0, intended, bad, 1);
    }

    /// A command that the target left no room for: it had no answer however long it waited.
    pub(super) fn withheld(&mut self, intended: Micros, at: Micros) {
        self.kept_back(intended, at);
        self.flow.totals.withheld += 1;
        let phase = self.context.phase_at(intended);
        let key = |metric| Key { metric, phase, surface: None };
        let waited = at.saturating_sub(intended);
        self.flow.metrics.censored(key(MetricId::Publish), 0, intended, waited);
        self.flow.metrics.count(key(MetricId::PublishErrors), 0, intended, 1, 1);
    }
}
