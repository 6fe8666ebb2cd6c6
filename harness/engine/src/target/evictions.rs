//! Evictions of slow clients, by the target's own count: how many more than when it was last read.

use std::collections::HashMap;

use khala_evidence::record::{Micros, Record};
use khala_wire::metrics::FanoutMetrics;

/// What each process counted so far: behind a balancer several may answer in turn.
#[derive(Debug, Default)]
pub struct Evictions {
    last: HashMap<Option<u32>, u64>,
}

impl Evictions {
    /// Takes metrics that were answered at `at`; tells what was counted since. The first that are read of a
    /// process are where its count begins: rather one eviction too few than one that was never in this run.
    pub fn see(&mut self, at: Micros, metrics: &FanoutMetrics) -> Option<Record> {
        let (process, is) = (metrics.process_id, metrics.delivery_metrics.slow_consumer_evictions);
        let was = *self.last.entry(process).or_insert(is);
        // An answer that another one overtook counts fewer.
        let count = is.saturating_sub(was);
        self.last.insert(process, is.max(was));
        (count > 0).then_some(Record::Evictions { at, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(evictions: &mut Evictions, process: u32, count: u64) -> u64 {
        let mut metrics = FanoutMetrics { process_id: Some(process), ..FanoutMetrics::default() };
        metrics.delivery_metrics.slow_consumer_evictions = count;
        match evictions.see(1, &metrics) {
            Some(Record::Evictions { count, .. }) => count,
            _ => 0,
        }
    }

    #[test]
    fn each_eviction_is_told_once_whoever_counts_it() {
        let mut evictions = Evictions::default();
        let told = [(7, 3), (7, 3), (7, 5), (7, 4), (7, 6), (8, 2), (7, 6), (8, 3), (7, 7)]
            .map(|(process, count)| seen(&mut evictions, process, count));
        assert_eq!(told, [0, 0, 2, 0, 1, 0, 0, 1, 1]);
    }
}
