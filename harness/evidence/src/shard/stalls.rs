//! When the generator itself stood still, so that nobody else is blamed for it.
//!
//! An operation that was under way during a stall says nothing about the target: its service time is
//! left out and the sample counted apart. Waits are judged without the stalls in them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::record::Micros;

/// Stalls remembered, the latest. At least 100 ms each (that is what the engine reports), they are
/// more than a minute and a half of standing still, which no verdict survives anyway.
const STALLS_MAX: usize = 1_024;

/// A time in which a thread of the generator did nothing although it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stall {
    /// When it was seen to be over.
    pub to: Micros,
    /// When it was last seen alive before.
    pub from: Micros,
}

/// The stalls of a run, the latest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stalls(BTreeSet<Stall>);

impl Stalls {
    /// Adds one.
    pub fn add(&mut self, stall: Stall) {
        self.0.insert(stall);
        self.trim();
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend(&other.0);
        self.trim();
    }

    fn trim(&mut self) {
        while self.0.len() > STALLS_MAX {
            self.0.pop_first();
        }
    }

    /// Whether something begun at `start` and done at `done` was under way during one.
    #[must_use]
    pub fn cover(&self, start: Micros, done: Micros) -> bool {
        // The latest first: most questions are about now.
        let later = self.0.iter().rev().take_while(|stall| stall.to > start);
        later.into_iter().any(|stall| stall.from < done)
    }

    /// Whether one of at least `min` ended after `from` and had begun before `to`.
    #[must_use]
    pub fn shows(&self, min: Micros, from: Micros, to: Micros) -> bool {
        let later = self.0.iter().rev().take_while(|stall| stall.to > from);
        later.into_iter().any(|stall| stall.from < to && stall.to - stall.from >= min)
    }

    /// How much of the time from `since` to `until` was stalled, overlaps counted once.
    #[must_use]
    pub fn within(&self, since: Micros, until: Micros) -> Micros {
        let (mut stalled, mut counted_from) = (0, until);
        for stall in self.0.iter().rev() {
            if stall.to <= since {
                break;
            }
            let (from, to) = (stall.from.max(since), stall.to.min(counted_from));
            if from < to {
                stalled += to - from;
                counted_from = from;
            }
        }
        stalled
    }

    /// All of them, in order of their ends.
    pub fn iter(&self) -> impl Iterator<Item = &Stall> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stalls(list: &[(Micros, Micros)]) -> Stalls {
        let mut stalls = Stalls::default();
        list.iter().for_each(|&(from, to)| stalls.add(Stall { to, from }));
        stalls
    }

    #[test]
    fn what_was_under_way_is_covered_and_what_began_or_ended_outside_is_not() {
        let stalls = stalls(&[(100, 200), (500, 600)]);
        for (start, done, covered) in [
            (50, 250, true),
            (150, 160, true),
            (50, 100, false),
            (200, 400, false),
            (550, 700, true),
        ] {
            assert_eq!(stalls.cover(start, done), covered, "{start} to {done}");
        }
    }

    #[test]
    fn a_stall_shows_if_it_is_long_enough_and_lies_where_one_looks() {
        let stalls = stalls(&[(100, 200), (500, 1_000)]);
        assert!(stalls.shows(500, 999, 1_001) && stalls.shows(500, 0, 501));
        assert!(!stalls.shows(500, 1_000, 2_000), "it was over");
        assert!(!stalls.shows(500, 0, 500), "it had not begun");
        assert!(!stalls.shows(501, 0, 2_000), "none was so long");
    }

    #[test]
    fn time_that_two_threads_lost_together_is_lost_once() {
        let stalls = stalls(&[(100, 200), (150, 220), (500, 600)]);
        assert_eq!(stalls.within(0, 1_000), 220);
        assert_eq!(stalls.within(180, 550), 90);
        assert_eq!(stalls.within(230, 400), 0);
    }

    #[test]
    fn the_latest_are_kept_in_whatever_order_they_come() {
        let many: Vec<_> = (0..3_000).map(|n| (n * 10, n * 10 + 5)).collect();
        let forward = stalls(&many);
        let backward = stalls(&many.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(forward, backward);
        assert_eq!(forward.iter().count(), STALLS_MAX);
    }
}
