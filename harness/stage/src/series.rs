//! What each second of a hold showed, from the journal of its run.
//!
//! A second is observed when every thread of the generator that ever wrote something wrote what it saw in it,
//! and as far as none of them stood still. What nobody saw is not held.

use std::collections::{BTreeMap, BTreeSet};

use khala_evidence::journal::Entry;
use khala_evidence::oracle::{Rule, RuleKind};
use khala_evidence::shard::Flow;
use khala_plan::metric::MetricId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::windows::{Indicator, LAG_MAX_EVENTS};

/// Occurrences, out of so many chances (0 where only occurrences are counted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Bad ones.
    pub bad: u64,
    /// All.
    pub all: u64,
}

/// One second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// How much of it was observed, in milliseconds.
    pub observed_ms: u32,
    /// By indicator.
    pub counts: BTreeMap<Indicator, Counts>,
}

/// Gathers the seconds of a run.
#[derive(Debug, Default)]
pub struct Series {
    seconds: BTreeMap<u32, BTreeMap<Indicator, Counts>>,
    /// By thread: the seconds up to which it told everything, and which it told.
    told: BTreeMap<u16, u32>,
    stalls: BTreeSet<(u64, u64)>,
    /// Breaches until now of rules whose breach is proof.
    violations: u64,
    /// Sockets that were opened, and that are gone.
    opened: u64,
    gone: u64,
    finished: bool,
    left_out: BTreeSet<Indicator>,
}

impl Series {
    /// Leaves an indicator out: what is counted of it in this run is none of the target's doing.
    pub fn leave_out(&mut self, indicator: Indicator) {
        self.left_out.insert(indicator);
    }

    /// Takes an entry of the journal.
    pub fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Flow { thread, second, flow } => self.flow(*thread, *second, flow),
            Entry::End(_) => self.finished = true,
            Entry::Cut { .. } => {}
            Entry::Begin(_) | Entry::Clients { .. } => {}
        }
    }

    fn flow(&mut self, thread: u16, second: u32, flow: &Flow) {
        let told = self.told.entry(thread).or_insert(0);
        // Seconds, from 1, up to which the thread has told everything.
        *told = (*told).max(second.saturating_add(1));
        self.stalls.extend(flow.stalls().all().iter().map(|stall| (stall.from, stall.to)));
        let proofs = Rule::ALL.iter().filter(|rule| rule.kind() == RuleKind::Proof);
        self.violations += proofs.map(|rule| flow.tally().count(*rule)).sum::<u64>();
        let (opened, gone) = flow.sockets();
        self.opened += opened;
        self.gone += gone;
        let metrics = flow.metrics();
        let row = self.seconds.entry(second).or_default();
        for (key, count) in metrics.counts() {
            let Some(indicator) = of(key.metric) else { continue };
            let counts = row.entry(indicator).or_default();
            counts.bad += count.hits;
            counts.all += count.all;
        }
        for (key, distribution) in metrics.distributions() {
            if key.metric == MetricId::ReplayLag {
                let counts = row.entry(Indicator::ReplayLag).or_default();
                for cluster in distribution.clusters.values() {
                    counts.bad += cluster.at_least(LAG_MAX_EVENTS + 1);
                    counts.all += cluster.len();
                }
            }
        }
    }

    /// Seconds from `from_us` to `until_us` of the run, in order. Of the first and the last that part is observed which
    /// lies between; what is counted in them is counted as a whole.
    #[must_use]
    pub fn between(&self, from_us: u64, until_us: u64) -> Vec<Second> {
        let told = self.told.values().copied().min().unwrap_or(0);
        let second = |us: u64| u32::try_from(us / 1_000_000).unwrap_or(u32::MAX);
        let (from, until) = (second(from_us), second(until_us.saturating_add(999_999)));
        let counts = |second: u32| {
            let mut counts = self.seconds.get(&second).cloned().unwrap_or_default();
            counts.retain(|indicator, _| !self.left_out.contains(indicator));
            counts
        };
        (from..until)
            .map(|second| Second {
                observed_ms: if second < told {
                    self.observed_ms(second, from_us, until_us)
                } else {
                    0
                },
                counts: counts(second),
            })
            .collect()
    }

    /// How much of a second lies between two moments and saw no thread stand still; overlaps are counted once.
    fn observed_ms(&self, second: u32, from_us: u64, until_us: u64) -> u32 {
        let from = (u64::from(second) * 1_000_000).max(from_us);
        let until = (u64::from(second + 1) * 1_000_000).min(until_us);
        let (mut stalled, mut counted_to) = (0, from);
        for &(begins, ends) in &self.stalls {
            let (begins, ends) = (begins.max(counted_to), ends.min(until));
            if begins < ends {
                stalled += ends - begins;
                counted_to = ends;
            }
        }
        u32::try_from(until.saturating_sub(from).saturating_sub(stalled) / 1_000).unwrap_or(0)
    }

    /// The last second of which everything was told, from 0; `None` before there is one.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.told.values().copied().min()?.checked_sub(1)
    }

    /// Breaches that were noticed until now, of rules whose breach is proof: lateness is the judge's, who knows how fit
    /// the generator was.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// Sockets that are open now; `None` before the first one was.
    #[must_use]
    pub fn open(&self) -> Option<u64> {
        (self.opened > 0).then(|| self.opened.saturating_sub(self.gone))
    }

    /// Whether the run came to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}

fn of(metric: MetricId) -> Option<Indicator> {
    Some(match metric {
        MetricId::AuthErrors => Indicator::AuthFailures,
        MetricId::MintErrors => Indicator::MintFailures,
        MetricId::UnplannedStale => Indicator::UnplannedStale,
        MetricId::Reconnects => Indicator::Reconnects,
        MetricId::HeartbeatTimeouts => Indicator::HeartbeatTimeouts,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(told: &[(u16, u32)], stalls: &[(u64, u64)]) -> Series {
        Series {
            told: told.iter().copied().collect(),
            stalls: stalls.iter().copied().collect(),
            ..Series::default()
        }
    }

    fn observed(series: &Series, from_us: u64, until_us: u64) -> Vec<u32> {
        series.between(from_us, until_us).iter().map(|second| second.observed_ms).collect()
    }

    #[test]
    fn a_second_is_observed_when_every_thread_told_it() {
        let told = series(&[(0, 5), (1, 3)], &[]);
        assert_eq!(observed(&told, 0, 6_000_000), [1_000, 1_000, 1_000, 0, 0, 0]);
        assert_eq!(observed(&told, 1_500_000, 2_700_000), [500, 700], "as far as they lie between");
        assert_eq!(told.last(), Some(2));
        assert_eq!(observed(&series(&[], &[]), 0, 2_000_000), [0, 0], "nobody told anything");
    }

    #[test]
    fn what_is_left_out_is_in_no_second() {
        let mut series = series(&[(0, 1)], &[]);
        let counts = Counts { bad: 1, all: 2 };
        let row = [(Indicator::ReplayLag, counts), (Indicator::Reconnects, counts)];
        series.seconds.insert(0, row.into_iter().collect());
        series.leave_out(Indicator::ReplayLag);
        let [second] = &series.between(0, 1_000_000)[..] else { panic!("one second") };
        assert_eq!(second.counts.keys().collect::<Vec<_>>(), [&Indicator::Reconnects]);
    }

    #[test]
    fn what_the_generator_stood_still_is_not_observed() {
        let stalls = [(500_000, 900_000), (700_000, 1_000_000), (2_000_000, 4_500_000)];
        assert_eq!(observed(&series(&[(0, 5)], &stalls), 0, 5_000_000), [500, 1_000, 0, 0, 500]);
    }
}
