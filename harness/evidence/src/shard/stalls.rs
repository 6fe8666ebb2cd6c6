//! When the generator itself stood still, so that nobody else is blamed for it.
//!
//! A thread's stall excuses what that thread did: its own clients, or the commands of the publishers'
//! thread. Another thread's clients read on meanwhile, and what came late to them came late.
//!
//! An operation that was under way during a stall says nothing about the target: its service time is
//! left out and the sample counted apart. Waits are judged without the stalls in them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::Micros;

/// Stalls remembered of a thread, the latest. At least 100 ms each (that is what the engine reports),
/// they are more than a minute and a half of standing still, which no verdict survives anyway. A bound
/// for each thread: what one forgets does not depend on the others.
const STALLS_MAX: usize = 1_024;

/// A time in which a thread of the generator did nothing although it was due.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Stall {
    /// When it was seen to be over.
    pub to: Micros,
    /// When it was last seen alive before.
    pub from: Micros,
    /// Which thread, as [`khala_plan::model::Generator`] numbers them.
    #[serde(default)]
    pub thread: u16,
}

/// The stalls of a run, by thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stalls(BTreeMap<u16, Own>);

/// The stalls of one thread, the latest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own(BTreeSet<Stall>);

/// Those of a thread that never stood still.
static NONE: Own = Own(BTreeSet::new());

impl Stalls {
    /// Adds one.
    pub fn add(&mut self, stall: Stall) {
        let own = self.0.entry(stall.thread).or_default();
        own.0.insert(stall);
        own.trim();
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        for (&thread, theirs) in &other.0 {
            let own = self.0.entry(thread).or_default();
            own.0.extend(&theirs.0);
            own.trim();
        }
    }

    /// Those of one thread: nobody else is excused by them.
    #[must_use]
    pub fn of(&self, thread: u16) -> &Own {
        self.0.get(&thread).unwrap_or(&NONE)
    }

    /// How much of the time from `since` to `until` any thread was stalled, overlaps counted once.
    #[must_use]
    pub fn of_any_within(&self, since: Micros, until: Micros) -> Micros {
        let (mut stalled, mut counted_to) = (0, since);
        let mut all = self.all();
        all.sort_unstable_by_key(|stall| stall.from);
        for Stall { from, to, .. } in all {
            let (from, to) = (from.max(counted_to), to.min(until));
            if from < to {
                stalled += to - from;
                counted_to = to;
            }
        }
        stalled
    }

    /// All of them, in order of their ends.
    #[must_use]
    pub fn all(&self) -> Vec<Stall> {
        let mut all: Vec<_> = self.0.values().flat_map(|own| &own.0).copied().collect();
        all.sort_unstable();
        all
    }
}

impl Own {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stalls(list: &[(u16, Micros, Micros)]) -> Stalls {
        let mut stalls = Stalls::default();
        list.iter().for_each(|&(thread, from, to)| stalls.add(Stall { to, from, thread }));
        stalls
    }

    #[test]
    fn the_time_in_which_any_thread_stood_still_counts_once() {
        let stalls = stalls(&[(0, 10, 20), (1, 15, 30), (0, 40, 50), (2, 42, 45)]);
        for ((since, until), stalled) in
            [((0, 100), 30), ((12, 18), 6), ((25, 41), 6), ((30, 40), 0), ((60, 50), 0)]
        {
            assert_eq!(stalls.of_any_within(since, until), stalled, "{since} to {until}");
        }
    }

    #[test]
    fn what_was_under_way_is_covered_and_what_began_or_ended_outside_is_not() {
        let stalls = stalls(&[(0, 100, 200), (0, 500, 600)]);
        for (start, done, covered) in [
            (50, 250, true),
            (150, 160, true),
            (50, 100, false),
            (200, 400, false),
            (550, 700, true),
        ] {
            assert_eq!(stalls.of(0).cover(start, done), covered, "{start} to {done}");
        }
    }

    #[test]
    fn a_stall_shows_if_it_is_long_enough_and_lies_where_one_looks() {
        let stalls = stalls(&[(0, 100, 200), (0, 500, 1_000)]);
        let own = stalls.of(0);
        assert!(own.shows(500, 999, 1_001) && own.shows(500, 0, 501));
        assert!(!own.shows(500, 1_000, 2_000), "it was over");
        assert!(!own.shows(500, 0, 500), "it had not begun");
        assert!(!own.shows(501, 0, 2_000), "none was so long");
    }

    #[test]
    fn a_stall_excuses_its_own_thread_alone() {
        let stalls = stalls(&[(0, 100, 200), (1, 150, 400)]);
        assert!(stalls.of(1).cover(300, 350) && !stalls.of(0).cover(300, 350));
        let within = |thread| stalls.of(thread).within(0, 1_000);
        assert_eq!([0, 1, 2].map(within), [100, 250, 0]);
    }

    #[test]
    fn time_that_was_lost_twice_is_lost_once() {
        let stalls = stalls(&[(0, 100, 200), (0, 150, 220), (0, 500, 600)]);
        let own = stalls.of(0);
        assert_eq!(own.within(0, 1_000), 220);
        assert_eq!(own.within(180, 550), 90);
        assert_eq!(own.within(230, 400), 0);
    }

    #[test]
    fn the_latest_of_each_thread_are_kept_in_whatever_order_they_come() {
        let mut many: Vec<_> = (0..3_000).map(|n| (0, n * 10, n * 10 + 5)).collect();
        many.push((1, 1, 2));
        let forward = stalls(&many);
        let backward = stalls(&many.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(forward, backward);
        assert_eq!(forward.all().len(), STALLS_MAX + 1);
        assert!(forward.of(1).cover(0, 5), "another thread's do not push it out");
    }
}
