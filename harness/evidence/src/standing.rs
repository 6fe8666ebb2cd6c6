//! What a run comes to so far, for those who watch it: the flows of its shards added up, coarsely.
//!
//! It decides nothing: bounds are rough, and what needs the whole run is not in it. Its size is
//! bounded by the plan (metrics, phases, surfaces, rules) and not by the run's length.

mod blocks;
pub mod seconds;

use std::collections::BTreeMap;

use khala_plan::metric::MetricId;
use khala_plan::stability::Incident;
use khala_plan::surface::Surface;

pub use self::blocks::Bounds;
use self::blocks::{Blocks, Spread, Sum};
use self::seconds::Seconds;
use crate::hist::{Hist, Sparse};
use crate::oracle::Rule;
use crate::render::report_html::so_far::DRAWN;
use crate::shard::metrics::Key;
use crate::shard::stability::Blame;
use crate::shard::{Flow, Totals};

/// Upper bounds of the buckets that are counted exactly, in microseconds (or plain numbers, for
/// magnitudes); those of the histograms that are exposed to Prometheus.
pub const BOUNDS: [u64; 18] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
];

/// Bits of a value that percentiles are told by: 1.6 % wide at the most.
const BITS: u32 = 7;

/// A distribution, coarsely.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coarse {
    /// Samples by the lowest value of their bucket.
    values: BTreeMap<u64, u64>,
    bounds: [u64; BOUNDS.len()],
    sum: u64,
    len: u64,
    censored: u64,
    max: u64,
}

impl Coarse {
    /// Adds a cluster's samples, and tells how they are spread.
    fn add(&mut self, cluster: &Sparse) -> Spread {
        let mut spread = Spread::default();
        for (value, count) in cluster.iter() {
            let at = self.add_so_many(value, count.into());
            spread[at] += count;
        }
        self.len += cluster.censored();
        self.censored += cluster.censored();
        spread[BOUNDS.len()] += u32::try_from(cluster.censored()).unwrap_or(u32::MAX);
        spread
    }

    /// Some samples.
    #[cfg(test)]
    pub(crate) fn of(samples: &Sparse) -> Self {
        let mut coarse = Self::default();
        coarse.add(samples);
        coarse
    }

    /// Adds so many samples of a value, and tells the bucket of [`BOUNDS`] that they are in.
    fn add_so_many(&mut self, value: u64, count: u64) -> usize {
        let dropped = (u64::BITS - value.leading_zeros()).saturating_sub(BITS);
        *self.values.entry(value >> dropped << dropped).or_default() += count;
        let at = BOUNDS.partition_point(|it| *it < value);
        if let Some(bucket) = self.bounds.get_mut(at) {
            *bucket += count;
        }
        self.sum = self.sum.saturating_add(value.saturating_mul(count));
        self.max = self.max.max(value);
        self.len += count;
        at
    }

    /// Adds a histogram's samples.
    fn add_all(&mut self, hist: &Hist) {
        for step in hist.inner().iter_recorded() {
            self.add_so_many(step.value_iterated_to(), step.count_at_value().into());
        }
    }

    /// Samples that ended by the lowest value of their bucket, in order.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.values.iter().map(|(&value, &count)| (value, count))
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        for (&value, &count) in &other.values {
            *self.values.entry(value).or_default() += count;
        }
        self.bounds.iter_mut().zip(&other.bounds).for_each(|(ours, theirs)| *ours += theirs);
        self.sum = self.sum.saturating_add(other.sum);
        self.len += other.len;
        self.censored += other.censored;
        self.max = self.max.max(other.max);
    }

    /// Samples, those that had not ended when they had to included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Samples that had not ended when they had to: beyond every bound.
    #[must_use]
    pub fn censored(&self) -> u64 {
        self.censored
    }

    /// Sum of the samples that ended.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The largest sample; none where there is none, or where one had not ended.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.len > 0 && self.censored == 0).then_some(self.max)
    }

    /// Samples up to each of [`BOUNDS`] and beyond the one before, not added up.
    #[must_use]
    pub fn buckets(&self) -> &[u64; BOUNDS.len()] {
        &self.bounds
    }

    /// The q-th percentile, q in percent, to within 1.6 %: `None` without a sample, or where the sample that
    /// decides it had not ended.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among counts far below 2^52"
    )]
    pub fn percentile(&self, q: f64) -> Option<u64> {
        // As the histograms of a report: 99.9 % of 1,000 samples are exactly 999.
        self.ranked(((q / 100.0 - 1e-12) * self.len as f64).ceil().max(1.0) as u64)
    }

    /// The sample of a rank, from 1 for the smallest: `None` where it had not ended, or is none.
    fn ranked(&self, rank: u64) -> Option<u64> {
        let mut below = 0;
        let found = self.values.iter().find(|(_, count)| {
            below += **count;
            below >= rank
        });
        found.map(|(&value, _)| value)
    }
}

/// What a run comes to so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    totals: Totals,
    rules: BTreeMap<Rule, u64>,
    distributions: BTreeMap<Key, Coarse>,
    /// From the actual start, of the latencies that are drawn.
    services: BTreeMap<Key, Coarse>,
    counts: BTreeMap<Key, (u64, u64)>,
    spreads: BTreeMap<Key, Blocks<Spread>>,
    shares: BTreeMap<Key, Blocks<(u64, u64)>>,
    /// The target's incidents and the occasions for them.
    incidents: BTreeMap<Incident, (u64, u64)>,
    seconds: Seconds,
    skips: u64,
}

impl Standing {
    /// Adds what a shard gathered.
    pub fn add(&mut self, flow: &Flow) {
        self.totals.merge(flow.totals());
        self.seconds.add(flow);
        self.skips += flow.skips;
        for &rule in Rule::ALL {
            let count = flow.tally().count(rule);
            if count > 0 {
                *self.rules.entry(rule).or_default() += count;
            }
        }
        for (&key, cell) in flow.metrics().distributions() {
            let coarse = self.distributions.entry(key).or_default();
            let blocks = self.spreads.entry(key).or_default();
            for (&id, cluster) in &cell.clusters {
                blocks.add(id, &coarse.add(cluster));
            }
            if DRAWN.contains(&key.metric) && !cell.service.is_empty() {
                self.services.entry(key).or_default().add_all(&cell.service);
            }
        }
        for (&key, cell) in flow.metrics().counts() {
            let ours = self.counts.entry(key).or_default();
            ours.0 += cell.hits;
            ours.1 += cell.all;
            let blocks = self.shares.entry(key).or_default();
            cell.clusters.iter().for_each(|(&id, sum)| blocks.add(id, sum));
        }
        for &incident in Incident::ALL {
            let theirs = flow.stability().told(incident, Blame::Target);
            let (bad, occasions) =
                (theirs.map_or(0, |told| told.count()), flow.stability().occasions(incident));
            if (bad, occasions) != (0, 0) {
                let ours = self.incidents.entry(incident).or_default();
                ours.0 += bad;
                ours.1 += occasions;
            }
        }
    }

    /// Plain counts.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The seconds so far.
    #[must_use]
    pub fn seconds(&self) -> &Seconds {
        &self.seconds
    }

    /// Violations of each rule that has any.
    #[must_use]
    pub fn rules(&self) -> &BTreeMap<Rule, u64> {
        &self.rules
    }

    /// Times that clients saw seqs skipped: losses, unless what is missing still comes or was never made. The
    /// rules that judge them have no violation before the end.
    #[must_use]
    pub fn skips(&self) -> u64 {
        self.skips
    }

    /// Violations of all rules.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.rules.values().sum()
    }

    /// The target's incidents of a kind, and the occasions for them.
    #[must_use]
    pub fn incidents(&self, incident: Incident) -> (u64, u64) {
        self.incidents.get(&incident).copied().unwrap_or_default()
    }

    /// Distributions by metric, phase and surface.
    #[must_use]
    pub fn distributions(&self) -> &BTreeMap<Key, Coarse> {
        &self.distributions
    }

    /// (hits, all) by metric, phase and surface.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<Key, (u64, u64)> {
        &self.counts
    }

    /// The distribution over some phases and, where one is named, of one surface.
    #[must_use]
    pub fn distribution(
        &self,
        metric: MetricId,
        phases: &[u16],
        surface: Option<Surface>,
    ) -> Coarse {
        let mut all = Coarse::default();
        let cells = self.distributions.iter();
        for (_, cell) in cells.filter(|(key, _)| key.is_of(metric, phases, surface)) {
            all.merge(cell);
        }
        all
    }

    /// The same from the actual start, uncorrected: of the latencies that are drawn.
    #[must_use]
    pub fn service(&self, metric: MetricId, phases: &[u16], surface: Option<Surface>) -> Coarse {
        let mut all = Coarse::default();
        let cells = self.services.iter();
        for (_, cell) in cells.filter(|(key, _)| key.is_of(metric, phases, surface)) {
            all.merge(cell);
        }
        all
    }

    /// (hits, all) over some phases and, where one is named, of one surface.
    #[must_use]
    pub fn count_of(
        &self,
        metric: MetricId,
        phases: &[u16],
        surface: Option<Surface>,
    ) -> (u64, u64) {
        let cells = self.counts.iter().filter(|(key, _)| key.is_of(metric, phases, surface));
        cells.fold((0, 0), |sum, (_, cell)| (sum.0 + cell.0, sum.1 + cell.1))
    }
}

impl Standing {
    /// The bounds of a percentile, q in percent, over some phases and, where one is named, of one surface.
    #[must_use]
    pub fn percentile_bounds(
        &self,
        metric: MetricId,
        phases: &[u16],
        surface: Option<Surface>,
        q: f64,
    ) -> Bounds {
        let sample = self.distribution(metric, phases, surface);
        together(&self.spreads, metric, phases, surface).percentile(&sample, q)
    }

    /// The same of a share.
    #[must_use]
    pub fn share_bounds(
        &self,
        metric: MetricId,
        phases: &[u16],
        surface: Option<Surface>,
    ) -> Bounds {
        together(&self.shares, metric, phases, surface).share()
    }

    /// The same of what happened in a second, over so many seconds.
    #[must_use]
    pub fn rate_bounds(
        &self,
        metric: MetricId,
        phases: &[u16],
        surface: Option<Surface>,
        seconds: f64,
    ) -> Bounds {
        together(&self.shares, metric, phases, surface).rate(seconds)
    }
}

fn together<T: Sum>(
    cells: &BTreeMap<Key, Blocks<T>>,
    metric: MetricId,
    phases: &[u16],
    surface: Option<Surface>,
) -> Blocks<T> {
    let mut all = Blocks::default();
    for (_, cell) in cells.iter().filter(|(key, _)| key.is_of(metric, phases, surface)) {
        all.merge(cell);
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hist::HIGHEST_US;

    fn coarse(values: &[u64]) -> Coarse {
        let mut cluster = Sparse::default();
        values.iter().for_each(|&value| cluster.add(value));
        let mut coarse = Coarse::default();
        coarse.add(&cluster);
        coarse
    }

    proptest! {
        #[test]
        fn a_percentile_is_told_to_within_two_percent(
            mut values in prop::collection::vec(1_u64..HIGHEST_US, 1..300),
            q in 1_u32..100,
        ) {
            let told = coarse(&values).percentile(q.into()).expect("all ended");
            values.sort_unstable();
            let rank = (values.len() * q as usize).div_ceil(100);
            let is = values[rank - 1];
            prop_assert!(told <= is && is - told <= is / 50, "{told} of {is}");
        }

        #[test]
        fn the_order_of_adding_up_changes_nothing(
            some in prop::collection::vec(1_u64..HIGHEST_US, 0..50),
            others in prop::collection::vec(1_u64..HIGHEST_US, 0..50),
        ) {
            let mut merged = coarse(&some);
            merged.merge(&coarse(&others));
            let all: Vec<_> = others.iter().chain(&some).copied().collect();
            prop_assert_eq!(merged, coarse(&all));
        }
    }

    #[test]
    fn what_never_ended_is_beyond_every_bound() {
        let mut cluster = Sparse::default();
        cluster.add(1_000);
        cluster.add_censored();
        let mut coarse = Coarse::default();
        coarse.add(&cluster);
        assert_eq!((coarse.len(), coarse.censored(), coarse.max()), (2, 1, None));
        assert_eq!((coarse.percentile(50.0), coarse.percentile(51.0)), (Some(1_000), None));
        assert_eq!((coarse.buckets()[0], coarse.buckets().iter().sum::<u64>()), (1, 1));
    }
}
