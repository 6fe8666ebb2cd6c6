//! The counters of the target's metrics, which only rise while one process answers (contract, section 5: totals).

use khala_evidence::facts::Finding;
use khala_evidence::record::Micros;
use khala_wire::metrics::{DeliveryMetrics, FanoutMetrics};

/// A total, by its name.
type Total = (&'static str, fn(&DeliveryMetrics) -> u64);

const TOTALS: [Total; 6] = [
    ("total_polls", |metrics| metrics.total_polls),
    ("throttled_polls", |metrics| metrics.throttled_polls),
    ("limited_polls", |metrics| metrics.limited_polls),
    ("fairness_limited_polls", |metrics| metrics.fairness_limited_polls),
    ("slow_consumer_evictions", |metrics| metrics.slow_consumer_evictions),
    ("served_messages", |metrics| metrics.served_messages),
];

/// What the counters were when they were last read, and what of them went back.
#[derive(Debug, Default)]
pub struct Counters {
    last: Option<(Micros, Option<u32>, DeliveryMetrics)>,
    went_back: Option<String>,
    times: u64,
}

impl Counters {
    /// Takes metrics that were asked for and answered at these times.
    pub fn see(&mut self, asked: Micros, answered: Micros, metrics: &FanoutMetrics) {
        let (process, now) = (metrics.process_id, &metrics.delivery_metrics);
        if let Some((before, of, was)) = &self.last
            && *before <= asked
            && *of == process
            && let Some((name, total)) = TOTALS.iter().find(|(_, total)| total(now) < total(was))
        {
            self.times += 1;
            let seconds = std::time::Duration::from_micros(answered).as_secs_f64();
            self.went_back.get_or_insert_with(|| {
                let (was, is) = (total(was), total(now));
                format!(
                    "{name} of the fan-out metrics went back from {was} to {is} at {seconds:.1} s"
                )
            });
        }
        if self.last.as_ref().is_none_or(|(before, ..)| answered >= *before) {
            self.last = Some((answered, process, now.clone()));
        }
    }

    /// What went back. `restarted`: whether another process may have answered without saying so.
    pub fn finding(&self, restarted: bool) -> Option<Finding> {
        let told = restarted && self.last.as_ref().is_none_or(|(_, process, _)| process.is_none());
        let why = self.went_back.clone().filter(|_| !told)?;
        Some(Finding::at_end("metrics_disagree", why, self.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(reads: &[(Micros, Option<u32>, u64)]) -> Counters {
        let mut counters = Counters::default();
        for &(asked, process_id, served_messages) in reads {
            let delivery_metrics =
                DeliveryMetrics { served_messages, ..DeliveryMetrics::default() };
            let metrics =
                FanoutMetrics { process_id, delivery_metrics, ..FanoutMetrics::default() };
            counters.see(asked, asked + 5, &metrics);
        }
        counters
    }

    #[test]
    fn a_total_of_one_process_never_goes_back() {
        let rises = seen(&[(0, Some(7), 3), (10, Some(7), 3), (20, Some(7), 9)]);
        assert!(rises.finding(false).is_none());
        let falls = seen(&[(0, Some(7), 3), (10, Some(7), 9), (20, Some(7), 8), (30, Some(7), 1)]);
        for restarted in [false, true] {
            let found = falls.finding(restarted).expect("it went back");
            assert!(found.message.contains("served_messages") && found.count == 2, "{found:?}");
        }
        let another = seen(&[(0, Some(7), 9), (10, Some(8), 1)]);
        assert!(another.finding(false).is_none(), "another process begins anew");
        let overtaken = seen(&[(0, Some(7), 9), (4, Some(7), 1)]);
        assert!(overtaken.finding(false).is_none(), "it was asked before the other was there");
    }

    #[test]
    fn a_process_that_does_not_say_which_it_is_may_be_another_after_a_restart() {
        let falls = seen(&[(0, None, 9), (10, None, 1)]);
        assert!(falls.finding(false).is_some() && falls.finding(true).is_none());
    }
}
