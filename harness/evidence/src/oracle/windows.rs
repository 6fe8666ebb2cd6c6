//! Where floor and head were at an instant, in bounds, from windows read off the target's metrics.
//!
//! A window shows some instant between its question and its answer. Floors and heads never go down,
//! so every window answered before an instant bounds it from below, and every one asked after it
//! from above. Windows that contradict one another (a target that lost its log) bound nothing.
//! One that shows a lower head than somebody had been sent before it was asked for is old: a cached view. Then every
//! window may be as old as the oldest of them ([`Windows::age`]).
//! Memory: [`WINDOWS_MAX`] a topic; later ones are not kept, and what they would have bounded is
//! left open.

use std::collections::{BTreeMap, BTreeSet};

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use crate::record::{Micros, Tier};

/// Windows kept of a topic, the earliest: more than an hour at ten a second.
pub const WINDOWS_MAX: usize = 65_536;

/// A topic's window. Ordered by time first, so that the earliest are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// When it was asked for.
    pub asked: Micros,
    /// When it was there.
    pub answered: Micros,
    /// Lowest cursor that retention still serves.
    pub floor: u64,
    /// Head.
    pub head: u64,
    /// Replay budget, in events.
    pub budget: u64,
}

impl Window {
    /// The floor of a topic: one below the oldest seq retained, or the head of one pruned empty.
    #[must_use]
    pub fn floor(oldest: Option<u64>, head: u64) -> u64 {
        oldest.map_or(head, |oldest| oldest.saturating_sub(1))
    }
}

/// The windows of a shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    topics: BTreeMap<TopicId, BTreeSet<Window>>,
    /// The tiers that were shown of each topic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tiers: BTreeMap<TopicId, BTreeSet<Tier>>,
}

impl Windows {
    /// Enters a window.
    pub fn add(&mut self, topic: TopicId, window: Window) {
        let windows = self.topics.entry(topic).or_default();
        windows.insert(window);
        if windows.len() > WINDOWS_MAX {
            windows.pop_last();
        }
    }

    /// Enters the tier that a window shows.
    pub fn add_tier(&mut self, topic: TopicId, tier: Tier) {
        self.tiers.entry(topic).or_default().insert(tier);
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        for (topic, windows) in other.topics {
            windows.into_iter().for_each(|window| self.add(topic, window));
        }
        for (topic, tiers) in other.tiers {
            self.tiers.entry(topic).or_default().extend(tiers);
        }
    }

    /// Every window, with its topic.
    pub fn all(&self) -> impl Iterator<Item = (TopicId, &Window)> {
        let topics = self.topics.iter();
        topics.flat_map(|(&topic, windows)| windows.iter().map(move |window| (topic, window)))
    }

    /// How far they were there to be seen.
    #[must_use]
    pub fn sight(&self) -> Sight {
        let all = || self.topics.values();
        let back = |windows: &BTreeSet<Window>| {
            let pairs = windows.iter().zip(windows.iter().skip(1));
            let mut back = pairs.filter(|(one, next)| {
                next.asked >= one.answered && (next.head < one.head || next.floor < one.floor)
            });
            back.next().map(|(_, next)| next.answered)
        };
        Sight {
            last_answered: all().filter_map(|it| it.iter().map(|one| one.answered).max()).max(),
            went_back: all().filter_map(back).min(),
        }
    }

    /// How old they may be, by what clients had been sent (each topic's seqs with when somebody had them first):
    /// zero where none shows it. A window whose head lags shows some instant after its head had come to be, which
    /// was a settle bound before somebody had it, at the most.
    #[must_use]
    pub fn age(&self, seen: &BTreeMap<TopicId, Vec<(Micros, u64)>>, settle_us: Micros) -> Micros {
        let mut age = 0;
        for (topic, windows) in &self.topics {
            let Some(seen) = seen.get(topic) else { continue };
            let mut heads = seen.clone();
            heads.sort_unstable();
            let mut highest = 0;
            heads.retain(|&(_, seq)| {
                let rises = seq > highest;
                highest = highest.max(seq);
                rises
            });
            for window in windows {
                let before = heads.partition_point(|&(at, _)| at < window.asked);
                let lags = before > 0 && heads[before - 1].1 > window.head;
                if lags {
                    let shown = heads.partition_point(|&(_, seq)| seq <= window.head);
                    let since = shown.checked_sub(1).map_or(0, |index| heads[index].0);
                    age = age.max(window.asked - since.saturating_sub(settle_us).min(window.asked));
                }
            }
        }
        age
    }

    /// What they say about every instant, if they may be so old.
    #[must_use]
    pub fn timelines(&self, age: Micros) -> Timelines {
        let topics =
            self.topics.iter().map(|(&topic, windows)| (topic, Timeline::of(windows, age)));
        Timelines { topics: topics.collect(), tiers: self.tiers.clone() }
    }
}

/// How far windows were there to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// When the last was answered; `None` without one.
    pub last_answered: Option<Micros>,
    /// When one first showed a lower head or floor than one before it.
    pub went_back: Option<Micros>,
}

/// What the windows of each topic say about every instant.
#[derive(Clone, Debug, Default)]
pub struct Timelines {
    topics: BTreeMap<TopicId, Timeline>,
    tiers: BTreeMap<TopicId, BTreeSet<Tier>>,
}

#[derive(Clone, Debug, Default)]
struct Timeline {
    /// By answer; floor and head are those of the highest so far.
    below: Vec<Window>,
    /// By question; floor and head are those of the lowest from there on.
    above: Vec<Window>,
}

impl Timeline {
    fn of(windows: &BTreeSet<Window>, age: Micros) -> Self {
        let taken = |window: &Window| Window { asked: window.asked.saturating_sub(age), ..*window };
        let mut below: Vec<_> = windows.iter().map(taken).collect();
        below.sort_by_key(|window| (window.answered, *window));
        let (mut floor, mut head) = (0, 0);
        for window in &mut below {
            (floor, head) = (window.floor.max(floor), window.head.max(head));
            (window.floor, window.head) = (floor, head);
        }
        let mut above: Vec<_> = windows.iter().map(taken).collect();
        let (mut floor, mut head) = (u64::MAX, u64::MAX);
        for window in above.iter_mut().rev() {
            (floor, head) = (window.floor.min(floor), window.head.min(head));
            (window.floor, window.head) = (floor, head);
        }
        Self { below, above }
    }
}

/// Floor, head and budget at some instant of an interval, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The floor was at least this.
    pub floor_lo: u64,
    /// The floor was at most this.
    pub floor_hi: Option<u64>,
    /// Head was at least this.
    pub head_lo: u64,
    /// Head was at most this.
    pub head_hi: Option<u64>,
    /// The budget was at least this.
    pub budget_lo: Option<u64>,
    /// The budget was at most this.
    pub budget_hi: Option<u64>,
    /// The budget was this before and after.
    pub budget: Option<u64>,
}

impl Bounds {
    /// Whether a cursor was stale, wherever in the bounds floor and head were.
    #[must_use]
    pub fn must_be_stale(&self, cursor: u64) -> bool {
        let beyond = |budget| self.head_lo.saturating_sub(cursor) > budget;
        cursor < self.floor_lo || self.budget_hi.is_some_and(beyond)
    }

    /// Whether a cursor was fresh, wherever in the bounds floor and head were.
    #[must_use]
    pub fn must_be_fresh(&self, cursor: u64) -> bool {
        let (Some(floor), Some(head), Some(budget)) = (self.floor_hi, self.head_hi, self.budget_lo)
        else {
            return false;
        };
        cursor >= floor && head.saturating_sub(cursor) <= budget
    }
}

impl Timelines {
    /// Whether there is no window of any topic.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The tier that all windows of a topic show.
    #[must_use]
    pub fn tier(&self, topic: TopicId) -> Option<Tier> {
        let tiers = self.tiers.get(&topic)?;
        tiers.first().copied().filter(|_| tiers.len() == 1)
    }

    /// Bounds on what held at some instant from `from` to `until`; `None` when the topic has no
    /// window at all, so that nothing can be judged.
    #[must_use]
    pub fn bounds(&self, topic: TopicId, from: Micros, until: Micros) -> Option<Bounds> {
        let timeline = self.topics.get(&topic)?;
        let before = timeline.below.partition_point(|window| window.answered <= from);
        let before = before.checked_sub(1).map(|index| timeline.below[index]);
        let after = timeline.above.partition_point(|window| window.asked < until);
        let after = timeline.above.get(after).copied();
        let budgets = || before.into_iter().chain(after).map(|window| window.budget);
        let bounds = Bounds {
            floor_lo: before.map_or(0, |window| window.floor),
            floor_hi: after.map(|window| window.floor),
            head_lo: before.map_or(0, |window| window.head),
            head_hi: after.map(|window| window.head),
            budget_lo: budgets().min(),
            budget_hi: budgets().max(),
            budget: before.zip(after).filter(|(b, a)| b.budget == a.budget).map(|(b, _)| b.budget),
        };
        let contradictory = bounds.floor_hi.is_some_and(|floor| floor < bounds.floor_lo)
            || bounds.head_hi.is_some_and(|head| head < bounds.head_lo);
        Some(if contradictory { Bounds::default() } else { bounds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_lag_behind_what_was_sent_are_as_old_as_their_head() {
        const TOPIC: TopicId = TopicId::WORKER_EVENTS;
        let with = |windows: &[(Micros, u64)]| {
            let mut all = Windows::default();
            for &(asked, head) in windows {
                all.add(TOPIC, Window { asked, answered: asked + 5, floor: 0, head, budget: 9 });
            }
            all
        };
        let told = vec![(1_000, 1), (2_000, 2), (3_000, 3), (2_500, 1), (2_200, 2)];
        let seen = BTreeMap::from([(TOPIC, told)]);
        let age = |windows: &[(Micros, u64)]| with(windows).age(&seen, 100);
        assert_eq!(age(&[(500, 0), (1_500, 1), (2_500, 2), (3_500, 3)]), 0, "each as it was");
        assert_eq!(age(&[(1_500, 7)]), 0, "ahead of what anybody got");
        assert_eq!(age(&[(3_000, 2)]), 0, "sent in that very moment");
        assert_eq!(age(&[(3_500, 2)]), 1_600, "2 came to be at 1,900 at the earliest");
        assert_eq!(age(&[(3_500, 0), (3_600, 3)]), 3_500, "frozen since before the first");
        assert_eq!(age(&[(3_500, 2), (3_600, 1)]), 2_700);
        // What an old window shows is of before its question.
        let frozen = with(&[(3_500, 2)]).timelines(1_600);
        let head = |until| frozen.bounds(TOPIC, 0, until).expect("a window").head_hi;
        assert_eq!((head(1_900), head(1_901)), (Some(2), None));
    }

    const TOPIC: TopicId = TopicId::WORKER_SUMMARIES;

    fn windows(list: &[(Micros, u64, u64)]) -> Timelines {
        let mut windows = Windows::default();
        for &(at, floor, head) in list {
            let window = Window { asked: at, answered: at + 10, floor, head, budget: 50 };
            windows.add(TOPIC, window);
        }
        windows.timelines(0)
    }

    #[test]
    fn windows_before_bound_from_below_and_windows_after_from_above() {
        let timelines = windows(&[(0, 3, 20), (100, 5, 40), (200, 9, 90)]);
        let bounds = timelines.bounds(TOPIC, 110, 150).expect("windows");
        assert_eq!((bounds.floor_lo, bounds.floor_hi), (5, Some(9)));
        assert_eq!((bounds.head_lo, bounds.head_hi), (40, Some(90)));
        // One that was asked just then bounds it too.
        let bounds = timelines.bounds(TOPIC, 110, 200).expect("windows");
        assert_eq!(bounds.head_hi, Some(90));
        // One that was being answered bounds nothing.
        let bounds = timelines.bounds(TOPIC, 109, 201).expect("windows");
        assert_eq!((bounds.floor_lo, bounds.floor_hi), (3, None));
        assert_eq!(timelines.bounds(TopicId::RUN_SUMMARIES, 0, 1), None);
    }

    #[test]
    fn a_cursor_at_the_floor_or_at_the_budget_is_fresh_and_one_below_is_stale() {
        let bounds = windows(&[(0, 30, 80), (100, 30, 80)]).bounds(TOPIC, 50, 60).expect("windows");
        assert!(bounds.must_be_fresh(30) && !bounds.must_be_stale(30));
        assert!(bounds.must_be_stale(29) && !bounds.must_be_fresh(29));
        assert!(bounds.must_be_fresh(90), "beyond head is fresh");
        let bounds = windows(&[(0, 0, 80), (100, 0, 80)]).bounds(TOPIC, 50, 60).expect("windows");
        assert!(bounds.must_be_fresh(30) && bounds.must_be_stale(29));
    }

    #[test]
    fn windows_that_contradict_one_another_bound_nothing() {
        for (floor, head) in [(0, 5), (29, 90), (40, 79)] {
            let timelines = windows(&[(0, 30, 80), (100, floor, head)]);
            assert_eq!(timelines.bounds(TOPIC, 50, 60), Some(Bounds::default()), "{floor} {head}");
        }
        let bounds = windows(&[(0, 30, 80), (100, 30, 80)]).bounds(TOPIC, 50, 60);
        assert_eq!(bounds.and_then(|bounds| bounds.head_hi), Some(80));
    }

    #[test]
    fn the_earliest_are_kept_whichever_shard_they_come_from() {
        let window = |at| Window { asked: at, answered: at, floor: 0, head: at, budget: 50 };
        let (mut even, mut odd) = (Windows::default(), Windows::default());
        let most = WINDOWS_MAX as u64;
        for n in 0..=most / 2 {
            even.add(TOPIC, window(2 * n));
            odd.add(TOPIC, window(2 * n + 1));
        }
        even.merge(odd);
        let kept = &even.topics[&TOPIC];
        let span = (kept.first().map(|window| window.head), kept.last().map(|window| window.head));
        assert_eq!((kept.len(), span), (WINDOWS_MAX, (Some(0), Some(most - 1))));
    }

    #[test]
    fn a_topic_pruned_empty_has_its_head_as_floor() {
        assert_eq!((Window::floor(None, 7), Window::floor(Some(4), 7)), (7, 3));
    }
}
