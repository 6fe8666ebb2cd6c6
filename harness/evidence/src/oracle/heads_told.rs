//! Where the target says that a topic stands, held against what the client got: what `no_convergence` has of a
//! live client whose target nobody publishes to, so that no ledger tells what it is owed.
//!
//! A heartbeat is answered with watermarks, and by the settle bound the client has all up to them: a gap shows
//! only when something comes after it. Judged in passive runs. A client that goes offline, is slow, or
//! subscribes again is owed by its next subscribe. Cases: watermarks. Undecided: those of the last moments.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::Micros;
use crate::shard::stalls::Own;

/// A watermark that a client has not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    at: Micros,
    head: u64,
}

/// What one client was told and has not reached: of each topic the oldest, and the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeadsTold {
    open: BTreeMap<TopicId, Open>,
}

/// Watermarks of a topic that were not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    oldest: Told,
    newest: Told,
}

/// What a client has of a topic at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Has {
    /// The client.
    pub client: u32,
    /// The topic.
    pub topic: TopicId,
    /// Its highest seq.
    pub seq: u64,
    /// When.
    pub at: Micros,
}

impl HeadsTold {
    /// Whether nothing is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A heartbeat's answer named a watermark.
    pub fn told(&mut self, has: Has, head: u64, tally: &mut Tally) {
        if has.seq >= head {
            tally.judged(Rule::NoConvergence, 1);
        } else {
            let told = Told { at: has.at, head };
            let open = self.open.entry(has.topic).or_insert(Open { oldest: told, newest: told });
            // One that is no higher is reached with it.
            if head > open.newest.head {
                open.newest = told;
            }
        }
    }

    /// The client has something new.
    pub fn came(&mut self, has: Has, own: &Own, bound: Duration, tally: &mut Tally) {
        let Some(Open { oldest, newest }) = self.open.get(&has.topic).copied() else { return };
        if has.seq < oldest.head {
            return;
        }
        self.open.remove(&has.topic);
        judge(has, oldest, own, bound, tally);
        if newest.head > has.seq {
            self.open.insert(has.topic, Open { oldest: newest, newest });
        }
    }

    /// What is owed from here on is its next subscribe's.
    pub fn forget(&mut self) {
        self.open.clear();
    }

    /// Nothing more comes. `seq_of`: what the client has of a topic.
    pub fn settle(
        &self,
        (client, at): (u32, Micros),
        seq_of: impl Fn(TopicId) -> u64,
        own: &Own,
        bound: Duration,
        tally: &mut Tally,
    ) {
        for (&topic, &Open { oldest, .. }) in &self.open {
            judge(Has { client, topic, seq: seq_of(topic), at }, oldest, own, bound, tally);
        }
    }
}

/// Judges a watermark that was reached, or was not by the end.
fn judge(has: Has, told: Told, own: &Own, bound: Duration, tally: &mut Tally) {
    let Has { client, topic, seq, at } = has;
    let at = at.saturating_sub(own.within(told.at, at));
    let waited = Duration::from_micros(at.saturating_sub(told.at));
    let reached = seq >= told.head;
    if waited <= bound {
        match reached {
            true => tally.judged(Rule::NoConvergence, 1),
            false => tally.undecided(Rule::NoConvergence),
        }
        return;
    }
    tally.judged(Rule::NoConvergence, 1);
    let head = told.head;
    let came = match reached {
        true => format!("which came only {waited:.1?} later"),
        false => format!("and {waited:.1?} later it has seq {seq}"),
    };
    let violation = Violation {
        at_us: told.at.saturating_add(u64::try_from(bound.as_micros()).unwrap_or(u64::MAX)),
        rule: Rule::NoConvergence,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((head, head)),
        epoch: None,
        message: format!(
            "the target told the live client that the topic stands at seq {head}, {came}; the bound is {bound:?}"
        ),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_micros(1_000);
    const TOPIC: TopicId = TopicId::WORKER_EVENTS;

    fn has(seq: u64, at: Micros) -> Has {
        Has { client: 3, topic: TOPIC, seq, at }
    }

    fn counted(tally: &Tally) -> (u64, u64, u64) {
        let of = tally.rule(Rule::NoConvergence);
        (of.violations, of.judged, of.undecided)
    }

    #[test]
    fn a_watermark_is_reached_within_the_bound_or_broken() {
        for (came_at, found) in [(5_999, (0, 1, 0)), (6_000, (0, 1, 0)), (6_001, (1, 1, 0))] {
            let (mut heads, mut tally) = (HeadsTold::default(), Tally::new(5));
            heads.told(has(7, 5_000), 8, &mut tally);
            heads.came(has(8, came_at), &Own::default(), BOUND, &mut tally);
            assert_eq!(counted(&tally), found, "at {came_at}");
            assert!(heads.is_empty());
        }
        let mut tally = Tally::new(5);
        let mut heads = HeadsTold::default();
        heads.told(has(8, 5_000), 8, &mut tally);
        assert_eq!((counted(&tally), heads.is_empty()), ((0, 1, 0), true), "it had it already");
    }

    #[test]
    fn the_oldest_that_is_open_counts_and_what_never_came_is_broken_at_the_end() {
        let settled = |until: Micros| {
            let (mut heads, mut tally) = (HeadsTold::default(), Tally::new(5));
            heads.told(has(7, 5_000), 8, &mut tally);
            heads.told(has(7, 5_900), 9, &mut tally);
            heads.came(has(7, 5_950), &Own::default(), BOUND, &mut tally);
            let own = Own::default();
            heads.settle((3, until), |_| 7, &own, BOUND, &mut tally);
            counted(&tally)
        };
        assert_eq!((settled(6_000), settled(6_001)), ((0, 0, 1), (1, 1, 0)));
    }

    #[test]
    fn a_newer_one_stays_open_when_the_oldest_is_reached() {
        let (mut heads, mut tally) = (HeadsTold::default(), Tally::new(5));
        heads.told(has(7, 5_000), 8, &mut tally);
        heads.told(has(7, 5_500), 12, &mut tally);
        heads.told(has(7, 5_700), 12, &mut tally);
        heads.came(has(9, 5_800), &Own::default(), BOUND, &mut tally);
        assert_eq!((counted(&tally), heads.is_empty()), ((0, 1, 0), false));
        heads.settle((3, 6_501), |_| 9, &Own::default(), BOUND, &mut tally);
        assert_eq!(counted(&tally), (1, 2, 0), "by its own time");
    }

    #[test]
    fn a_client_that_begins_anew_is_owed_nothing_by_what_it_was_told() {
        let (mut heads, mut tally) = (HeadsTold::default(), Tally::new(5));
        heads.told(has(7, 5_000), 8, &mut tally);
        heads.forget();
        heads.settle((3, 99_000), |_| 7, &Own::default(), BOUND, &mut tally);
        assert_eq!(counted(&tally), (0, 0, 0));
    }
}
