//! Rule `state_stale` within the run: a version, or a later one, comes within the settle bound of its
//! acknowledgement, whatever comes later and pushes it out.
//!
//! For clients that were live since before the version was begun, and that the harness never made slow.
//! What counts is the oldest version that a delivery brings: the one after the version that the client had.
//! The stalls of the client's own thread are not counted. Settled at the merge, for the acknowledgements may
//! be on another shard. Cases: deliveries that bring an acknowledged version of the load. Memory: what
//! `LATEST_MAX` clients got latest, for each jump from one version to another; of which all were late,
//! further ones are undecided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::ledger::{Acknowledged, Ledger};
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Micros, PublishId};
use crate::shard::stalls;

/// Arrivals kept of each jump.
const LATEST_MAX: usize = 32;

/// From one version of a document to another, on a seq of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Jump {
    /// The state topic.
    pub topic: TopicId,
    /// The seq.
    pub seq: u64,
    /// Whose document.
    pub worker: u16,
    /// The oldest version that the client did not have.
    pub owed: u64,
    /// The version that came.
    pub to: u64,
}

/// A jump at a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Arrival {
    /// When.
    pub at: Micros,
    /// The client.
    pub client: u32,
    /// Since when it had been live on the topic.
    pub since: Micros,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Arrivals {
    count: u64,
    latest: BTreeSet<Arrival>,
}

impl Arrivals {
    fn add(&mut self, count: u64, arrivals: impl IntoIterator<Item = Arrival>) {
        self.count += count;
        self.latest.extend(arrivals);
        while self.latest.len() > LATEST_MAX {
            self.latest.pop_first();
        }
    }
}

/// All jumps of a shard's live clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jumps {
    #[serde(with = "crate::pairs")]
    jumps: BTreeMap<Jump, Arrivals>,
}

impl Jumps {
    /// Enters one.
    pub fn add(&mut self, jump: Jump, arrival: Arrival) {
        self.jumps.entry(jump).or_default().add(1, [arrival]);
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        for (jump, arrivals) in other.jumps {
            self.jumps.entry(jump).or_default().add(arrivals.count, arrivals.latest);
        }
    }

    /// Judges them against the ledger. `stalls_of`: those of a client's thread.
    pub fn settle<'a>(
        &self,
        ledger: &Ledger,
        stalls_of: impl Fn(u32) -> &'a stalls::Own,
        settle_within: Duration,
        tally: &mut Tally,
    ) {
        let settle = u64::try_from(settle_within.as_micros()).unwrap_or(u64::MAX);
        let planned = |(publish, entry): (&PublishId, &Acknowledged)| {
            let planned = matches!(publish, PublishId::Planned(_));
            planned.then_some(((entry.worker, entry.worker_seq), *entry))
        };
        let acknowledged: BTreeMap<_, _> =
            ledger.acknowledged().iter().filter_map(planned).collect();
        for (&jump, arrivals) in &self.jumps {
            let Jump { topic, seq, worker, owed, to } = jump;
            let brought: Vec<_> = acknowledged
                .range((worker, owed)..=(worker, to))
                .map(|(_, entry)| *entry)
                .collect();
            if brought.is_empty() {
                continue;
            }
            tally.judged(Rule::StateStale, arrivals.count);
            let mut late = 0;
            for &Arrival { at, client, since } in &arrivals.latest {
                let waited = |entry: &Acknowledged| {
                    let waited = at.saturating_sub(entry.at);
                    let stalled = stalls_of(client).within(entry.at, at);
                    (waited.saturating_sub(stalled), entry.worker_seq)
                };
                let owed = brought.iter().filter(|entry| entry.begun >= since);
                let longest = owed.map(waited).max().filter(|(waited, _)| *waited > settle);
                let Some((waited, version)) = longest else { continue };
                late += 1;
                let violation = Violation {
                    at_us: at,
                    rule: Rule::StateStale,
                    client: Some(client),
                    topic: Some(topic),
                    seqs: Some((seq, seq)),
                    epoch: None,
                    message: format!(
                        "version {version} of worker {worker}'s document came {:.1?} after it was \
                         acknowledged",
                        Duration::from_micros(waited)
                    ),
                };
                tally.violate(violation, 0);
            }
            let kept = arrivals.latest.len() as u64;
            if late == kept {
                tally.undecided_cases(Rule::StateStale, arrivals.count - kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::stalls::{Stall, Stalls};
    use crate::testing;

    const TOPIC: TopicId = TopicId::WORKER_SUMMARIES;
    const RULE: Rule = Rule::StateStale;
    const SETTLE: Duration = Duration::from_micros(200);

    /// Versions 2 to 4 of worker 0 begun at 1,000 times their number and acknowledged 10 later.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for n in 2..=4_u32 {
            let start = u64::from(n) * 1_000;
            ledger.publish(&testing::published(
                PublishId::Planned(n),
                0,
                [start, start + 10],
                Some(n.into()),
            ));
        }
        ledger
    }

    fn jump(owed: u64, to: u64) -> Jump {
        Jump { topic: TOPIC, seq: to + 10, worker: 0, owed, to }
    }

    fn judged(jumps: &[(Jump, Arrival)], stalls: &Stalls) -> Tally {
        let mut all = Jumps::default();
        jumps.iter().for_each(|(jump, arrival)| all.add(*jump, *arrival));
        let mut tally = Tally::new(5);
        all.settle(&ledger(), |_| stalls.of(0), SETTLE, &mut tally);
        tally
    }

    fn one(owed: u64, to: u64, at: Micros, since: Micros) -> Tally {
        judged(&[(jump(owed, to), Arrival { at, client: 3, since })], &Stalls::default())
    }

    #[test]
    fn a_version_that_comes_after_the_bound_is_stale_alone_or_with_its_successor() {
        for (owed, to, at, late) in
            [(2, 2, 2_210, 0), (2, 2, 2_211, 1), (2, 3, 3_011, 1), (3, 3, 3_011, 0)]
        {
            let tally = one(owed, to, at, 500);
            assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (late, 1), "{owed} {to} {at}");
        }
        let told = &one(2, 3, 3_011, 500).kept()[0];
        assert_eq!((told.client, told.seqs, told.at_us), (Some(3), Some((13, 13)), 3_011));
        assert!(told.message.starts_with("version 2 of worker 0's document came 1.0ms after"));
    }

    #[test]
    fn what_was_begun_before_the_client_was_live_came_by_replay() {
        assert_eq!(one(2, 2, 9_000, 2_001).total(), 0);
        assert_eq!(one(2, 2, 9_000, 2_000).total(), 1);
        assert_eq!(one(2, 3, 3_011, 2_001).total(), 0, "the second was in time");
    }

    #[test]
    fn what_nobody_acknowledged_is_no_case() {
        assert!(!one(1, 1, 9_000, 500).exercised(RULE));
        assert!(!one(5, 9, 9_900, 500).exercised(RULE));
    }

    #[test]
    fn the_stalls_of_the_clients_own_thread_do_not_count() {
        let mut stalls = Stalls::default();
        stalls.add(Stall { to: 2_800, from: 2_100, thread: 0 });
        let late = |at| {
            let arrival = Arrival { at, client: 3, since: 500 };
            judged(&[(jump(2, 2), arrival)], &stalls).total()
        };
        assert_eq!((late(2_910), late(2_911)), (0, 1));
    }

    #[test]
    fn of_many_that_were_late_the_latest_are_told_and_the_others_undecided() {
        let most = u32::try_from(LATEST_MAX).expect("small");
        let of = |late: u32, timely: u32| {
            let arrivals = (0..late + timely).map(|client| {
                let at = if client < late { 2_500 } else { 2_100 };
                (jump(2, 2), Arrival { at, client, since: 500 })
            });
            let tally = judged(&arrivals.collect::<Vec<_>>(), &Stalls::default());
            let found = tally.rule(RULE);
            (found.violations, found.undecided, found.judged)
        };
        let bound = u64::from(most);
        assert_eq!(of(most - 1, 9), (bound - 1, 0, bound + 8));
        assert_eq!(of(most + 3, 9), (bound, 12, bound + 12));
    }
}
