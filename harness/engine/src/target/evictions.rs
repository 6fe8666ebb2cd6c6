//! Evictions of slow clients, by the target's own count: how many more than when it was last read.

use khala_evidence::record::{Micros, Record};
use khala_wire::metrics::FanoutMetrics;

/// What was counted so far, and by which process.
#[derive(Debug, Default)]
pub struct Evictions {
    last: Option<(Option<u32>, u64)>,
}

impl Evictions {
    /// Takes metrics that were answered at `at`; tells what was counted since. The first that are read are
    /// where the count begins; another process begins at nothing.
    pub fn see(&mut self, at: Micros, metrics: &FanoutMetrics) -> Option<Record> {
        let (process, is) = (metrics.process_id, metrics.delivery_metrics.slow_consumer_evictions);
        let was = match self.last {
            None => is,
            Some((same, was)) if same == process => was,
            Some(_) => 0,
        };
        // An answer that another one overtook counts fewer.
        let count = is.saturating_sub(was);
        self.last = Some((process, is.max(was)));
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
        let told = [(7, 3), (7, 3), (7, 5), (7, 4), (7, 6), (8, 2), (8, 2)]
            .map(|(process, count)| seen(&mut evictions, process, count));
        assert_eq!(told, [0, 0, 2, 0, 1, 2, 0]);
    }
}
