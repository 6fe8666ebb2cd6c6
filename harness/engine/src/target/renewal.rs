//! Whether the target's metrics come from the same runtime as before.
//!
//! Another process, and a head that has begun anew, are facts that a client's socket does not show. A
//! head that only goes back a little is a replica that lags.

use std::collections::HashMap;

use khala_evidence::record::{Micros, Record, RenewalSign};
use khala_wire::metrics::FanoutMetrics;
use khala_wire::topic::TopicId;

use super::window::windows;

/// A head below one part in so many of what it was has begun anew.
const ANEW: u64 = 2;
/// A log with fewer events has hardly begun.
const BEGUN: u64 = 10;

/// What the metrics showed so far.
#[derive(Debug, Default)]
pub struct Renewal {
    seen_at: Micros,
    process: Option<u32>,
    heads: HashMap<TopicId, u64>,
}

impl Renewal {
    /// Takes metrics that were asked for and answered then; tells what shows that somebody else than
    /// before answers.
    pub fn see(&mut self, asked: Micros, answered: Micros, metrics: &FanoutMetrics) -> Vec<Record> {
        let before = std::mem::replace(&mut self.seen_at, asked);
        let renewed = |sign| Record::Renewed { before, at: answered, sign };
        let mut signs = Vec::new();
        let process = std::mem::replace(&mut self.process, metrics.process_id);
        if process.zip(metrics.process_id).is_some_and(|(was, is)| was != is) {
            signs.push(renewed(RenewalSign::Process));
        }
        for (topic, window) in windows(metrics) {
            let is = window.head;
            match self.heads.insert(topic, is) {
                Some(was) if was >= BEGUN && is < was / ANEW => {
                    signs.push(renewed(RenewalSign::Head { topic, was, is }));
                }
                _ => {}
            }
        }
        signs
    }
}

#[cfg(test)]
mod tests {
    use khala_wire::metrics::TopicWindow;
    use khala_wire::topic::WORKER_EVENTS;

    use super::*;

    fn metrics(process_id: Option<u32>, head: u64) -> FanoutMetrics {
        let row = TopicWindow {
            topic: WORKER_EVENTS.to_owned(),
            head_sequence: Some(head),
            ..TopicWindow::default()
        };
        FanoutMetrics { process_id, topic_windows: vec![row], ..FanoutMetrics::default() }
    }

    fn signs(looks: &[(Option<u32>, u64)]) -> Vec<(Micros, Micros, RenewalSign)> {
        let mut renewal = Renewal::default();
        let see = |(n, &(process, head)): (u64, &(Option<u32>, u64))| {
            renewal.see(n * 10, n * 10 + 2, &metrics(process, head))
        };
        (1..)
            .zip(looks)
            .flat_map(see)
            .map(|record| match record {
                Record::Renewed { before, at, sign } => (before, at, sign),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_same_process_whose_head_goes_on_is_the_same() {
        assert_eq!(signs(&[(Some(7), 5), (Some(7), 9), (Some(7), 9)]), []);
        assert_eq!(signs(&[(None, 5), (None, 9)]), []);
        assert_eq!(signs(&[(Some(7), 100), (Some(7), 60)]), [], "a replica that lags");
    }

    #[test]
    fn another_process_and_a_log_that_begins_anew_are_not() {
        assert_eq!(signs(&[(Some(7), 5), (Some(8), 5)]), [(10, 22, RenewalSign::Process)]);
        let topic = TopicId::of(WORKER_EVENTS).expect("known");
        let head = RenewalSign::Head { topic, was: 100, is: 3 };
        assert_eq!(signs(&[(None, 5), (None, 100), (None, 3)]), [(20, 32, head)]);
    }
}
