//! The seconds of a run so far, as the charts of a report draw them.
//!
//! The latest are kept apart, for a second still changes when its late updates come. Older ones are thinned as a
//! report's are, to their smallest and largest values, so that a day takes no more room than an hour.

use std::collections::VecDeque;
use std::sync::Arc;

use khala_plan::metric::MetricId;

use crate::hist::Sparse;
use crate::record::second_of;
use crate::render::report_html::thin;
use crate::report::Second;
use crate::shard::stability::TICK_US;
use crate::shard::{Flow, series};

/// Seconds that may still change: what comes later than that is missing in the live charts alone.
pub const RECENT: usize = 60;
/// Older points at the most: a screen has fewer columns.
const POINTS_MAX: usize = 2_400;
/// A gap longer than this is no gap, but a clock that went astray.
const GAP_MAX: u32 = 86_400;

/// A second that may still change.
#[derive(Clone, Debug, Default, PartialEq)]
struct Recent {
    counts: series::Second,
    violations: u64,
    unplanned_ends: u64,
    delivery: Sparse,
}

/// The seconds of a run so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seconds {
    /// The older ones. Shared, because whoever looks takes a copy of all that stands.
    older: Arc<Vec<Second>>,
    /// Seconds that two of the older points stand for, as a power of two; 0 while each has a point of its own.
    doubled: u32,
    /// Seconds that are too few for two points yet.
    bucket: Vec<Second>,
    /// The first of the recent seconds.
    first: u32,
    recent: VecDeque<Recent>,
    /// Sockets open before the first of the recent seconds.
    opened: u64,
    closed: u64,
}

impl Seconds {
    /// Adds what a shard gathered.
    pub(super) fn add(&mut self, flow: &Flow) {
        for (second, counts) in flow.series.seconds() {
            match self.at(second) {
                Some(recent) => recent.counts.add(counts),
                // Too late for its second, and a socket all the same.
                None => {
                    self.opened += counts.connected;
                    self.closed += counts.disconnected;
                }
            }
        }
        for (second, violations) in flow.tally.seconds() {
            if let Some(recent) = self.at(second) {
                recent.violations += violations;
            }
        }
        for (tick, what) in flow.stability.ticks() {
            let second = second_of(tick * TICK_US);
            if let Some(recent) = self.at(second) {
                recent.unplanned_ends += what.ended.iter().map(|(_, n)| *n).sum::<u64>();
            }
        }
        let delivery =
            flow.metrics.distributions().iter().filter(|(key, _)| key.metric == MetricId::Delivery);
        for (&second, cluster) in delivery.flat_map(|(_, cell)| &cell.clusters) {
            if let Some(recent) = self.at(second) {
                recent.delivery.merge(cluster);
            }
        }
    }

    /// A second that may still change; none if it is older than those.
    fn at(&mut self, second: u32) -> Option<&mut Recent> {
        let at = usize::try_from(second.checked_sub(self.first)?).ok()?;
        let end = u32::try_from(self.recent.len()).ok()? + self.first;
        if second.saturating_sub(end) > GAP_MAX {
            return None;
        }
        let mut at = at;
        while at >= self.recent.len() {
            self.recent.push_back(Recent::default());
            if self.recent.len() > RECENT {
                self.retire();
                at -= 1;
            }
        }
        self.recent.get_mut(at)
    }

    /// Makes a point of the first of the recent seconds.
    fn retire(&mut self) {
        let Some(second) = self.recent(usize::MAX).next() else { return };
        if let Some(gone) = self.recent.pop_front() {
            self.opened += gone.counts.connected;
            self.closed += gone.counts.disconnected;
        }
        self.first += 1;
        self.bucket.push(second);
        if self.bucket.len() < 1 << self.doubled {
            return;
        }
        let older = Arc::make_mut(&mut self.older);
        older.extend(ends(&std::mem::take(&mut self.bucket)));
        if older.len() >= POINTS_MAX {
            *older = older.chunks(4).flat_map(ends).collect();
            // Four seconds on two points at first, then twice as many each time.
            self.doubled = if self.doubled == 0 { 2 } else { self.doubled + 1 };
        }
    }

    /// The first `most` of the recent seconds, as a report has them.
    fn recent(&self, most: usize) -> impl Iterator<Item = Second> + '_ {
        let mut open = self.opened.saturating_sub(self.closed);
        let seconds = (self.first..).zip(self.recent.iter().take(most));
        seconds.map(move |(second, it)| {
            open = (open + it.counts.connected).saturating_sub(it.counts.disconnected);
            Second {
                second,
                open,
                violations: it.violations,
                unplanned_ends: it.unplanned_ends,
                counts: it.counts,
                ..Second::of_delivery(&it.delivery)
            }
        })
    }

    /// The seconds before `until`: those that may still change, or all of them, older ones thinned.
    #[must_use]
    pub fn before(&self, until: u32, all: bool) -> Vec<Second> {
        let most = usize::try_from(until.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let older = self.older.iter().chain(&self.bucket).filter(|_| all).cloned();
        older.chain(self.recent(most)).collect()
    }
}

/// A figure of a second.
type Count = fn(&mut Second) -> &mut u64;
type Latency = fn(&mut Second) -> &mut Option<u64>;

/// The figures that charts draw.
const COUNTS: [Count; 7] = [
    |it| &mut it.open,
    |it| &mut it.violations,
    |it| &mut it.unplanned_ends,
    |it| &mut it.counts.connects,
    |it| &mut it.counts.mints,
    |it| &mut it.counts.deliveries,
    |it| &mut it.counts.errors,
];
const LATENCIES: [Latency; 5] = [
    |it| &mut it.delivery_p50_us,
    |it| &mut it.delivery_p90_us,
    |it| &mut it.delivery_p99_us,
    |it| &mut it.delivery_p99_9_us,
    |it| &mut it.delivery_max_us,
];

/// Of some points in a row two: the smallest and the largest of each figure, the earlier of the two first.
fn ends(points: &[Second]) -> Vec<Second> {
    let (Some(last), true) = (points.last(), points.len() > 1) else { return points.to_vec() };
    // As the last two of them, since each may be of any: no figure stands before what made it, but the earlier of the
    // two by a second.
    let before = last.second.saturating_sub(1).max(points[points.len() - 2].second);
    let blank = |second| Second { second, ..Second::default() };
    let (mut one, mut other) = (blank(before), blank(last.second));
    let mut points = points.to_vec();
    for of in COUNTS {
        let values: Vec<_> = points.iter_mut().map(|it| Some(*of(it))).collect();
        let [a, b] = thin::pair(&values);
        (*of(&mut one), *of(&mut other)) = (a.unwrap_or_default(), b.unwrap_or_default());
    }
    for of in LATENCIES {
        let values: Vec<_> = points.iter_mut().map(|it| *of(it)).collect();
        let [a, b] = thin::pair(&values);
        (*of(&mut one), *of(&mut other)) = (a, b);
    }
    vec![one, other]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connects of each second, in its flow.
    fn flow(second: u32, connects: u64) -> Flow {
        let mut flow = Flow::new(1);
        let counts = flow.series.at(u64::from(second) * 1_000_000);
        counts.connects = connects;
        counts.connected = 1;
        flow
    }

    #[test]
    fn a_day_takes_no_more_room_than_an_hour_and_one_spike_is_seen() {
        let mut seconds = Seconds::default();
        (0..86_400).for_each(|second| {
            seconds.add(&flow(second, if second == 51_234 { 9_000 } else { 3 }));
        });
        let all = seconds.before(86_400, true);
        assert!(all.len() < POINTS_MAX + 4 * RECENT && all.len() > POINTS_MAX / 4, "{}", all.len());
        assert!(all.windows(2).all(|two| two[0].second < two[1].second), "in order");
        assert_eq!(all.iter().filter(|it| it.counts.connects == 9_000).count(), 1);
        // Two points are the last two of the seconds that they stand for.
        assert_eq!((all[0].second, all[1].second), (126, 127));
        assert_eq!(all.last().map(|it| it.second), Some(86_399));
        assert_eq!(all.last().map(|it| it.open), Some(86_400));
        let gap = all.windows(2).map(|two| two[1].second - two[0].second).max();
        assert_eq!(gap, Some(127), "what is older is not coarser");
        let spike = all.iter().find(|it| it.counts.connects == 9_000).expect("some");
        assert!(spike.second.abs_diff(51_234) < 256, "{}", spike.second);
        // Nothing stands before what made it, but the earlier of two by a second.
        assert!(spike.second + 1 >= 51_234, "{}", spike.second);
    }

    #[test]
    fn what_comes_late_is_of_its_second_for_a_minute_and_a_socket_is_one_at_any_time() {
        let mut seconds = Seconds::default();
        (0..200).for_each(|second| seconds.add(&flow(second, 1)));
        seconds.add(&flow(190, 5));
        seconds.add(&flow(3, 5));
        let last = seconds.before(199, false);
        assert_eq!((last.len(), last[0].second), (RECENT - 1, 140));
        let of = |second| last.iter().find(|it| it.second == second).expect("is there");
        assert_eq!((of(189).counts.connects, of(190).counts.connects), (1, 6));
        assert_eq!((of(189).open, of(190).open), (191, 193));
        let older = seconds.before(u32::MAX, true);
        assert_eq!(older[3].counts.connects, 1, "it is drawn already");
    }
}
