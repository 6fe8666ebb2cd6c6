//! An interval for a quantile of a sample that comes in units which hang together: the seconds of a
//! run, in the order of time, or groups of clients.
//!
//! The interval is made of two, and is as wide as the wider of them at either end:
//!
//! - The *block bootstrap* of the quantile: blocks of units are drawn, [`blocks::length`] says how
//!   long for seconds (groups are drawn singly), and the quantile of each resample is taken. Of few
//!   blocks the spread of the resamples says little: on a logarithmic scale the ends are moved out by
//!   the ratio of Student's quantile with as many degrees of freedom as there are blocks, less one, to
//!   the normal one. Sources as in [`super::bootstrap`]; for t and few batches, B. Schmeiser, "Batch
//!   size effects in the analysis of simulation output", Operations Research 30 (1982).
//! - The *ranks* of the sample, since resamples cannot exceed their sample: between its k-th largest
//!   and l-th largest, by the bounds of Clopper and Pearson on n/deff samples ([`binomial`]). deff is
//!   the variance of the share beyond a threshold over the same resamples, against that of independent
//!   samples: the larger of those at the sample's own 90th percentile (which is there to be seen before
//!   a rarer one is) and at the quantile itself, times the same allowance for few blocks. Where n
//!   independent samples were enough to bound the quantile and n/deff are not, the tail goes on beyond
//!   the largest sample as the sample's own largest tenth falls off: I. Weissman, "Estimation of
//!   parameters and large quantiles based on the k largest observations", JASA 73 (1978), with B. M.
//!   Hill's estimate of the index (Annals of Statistics 3, 1975).
//!
//! Draws from nothing but the seed it is given. Memory: [`UNITS_MAX`] units at most, longer series are
//! added up by twos, threes and so on.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::special::beta_quantile;
use super::{binomial, blocks};

/// Resamples: 999 make whole ranks of 5 %.
pub const RESAMPLES: usize = 999;
/// Confidence of a claim that rests on either end alone.
const CLAIMED: f64 = 0.95;
/// Confidence of either end, were all that it rests on known. Half of what is not claimed is left to
/// what it rests on and is estimated itself: the design effect and the length of the blocks.
const CONFIDENCE: f64 = 0.975;
/// Rank, from 1, of the resample that is the lower end: 0.025 (999 + 1).
const TAIL: usize = 25;
/// Standard normal quantile of [`CONFIDENCE`].
const NORMAL: f64 = 1.959_963_984_540_054;
/// Units that are resampled, at most.
pub const UNITS_MAX: usize = 2_048;

/// How the units of a sample hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// A series in the order of time: neighbours resemble one another.
    Series,
    /// Groups whose order says nothing.
    Groups,
}

/// An interval for a quantile, and what it was made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The sample's own quantile.
    pub estimate: u64,
    /// A bound from below, at 95 % and more.
    pub lower: u64,
    /// A bound from above, at 95 % and more; `None` where the sample is too small to have one.
    pub upper: Option<u64>,
    /// Units in a block.
    pub block_len: usize,
    /// Design effect, at least 1: how many samples count as one.
    pub deff: f64,
}

/// The interval of the `q`-quantile (0 < q < 1) of a sample, of which each unit is its values with
/// their counts, by `seed`.
///
/// `None` without a sample, or where fewer than two blocks of like weight leave nothing to exchange.
#[must_use]
pub fn interval(units: &[BTreeMap<u64, u64>], kind: Units, q: f64, seed: u64) -> Option<Interval> {
    let sample = Sample::of(units)?;
    let estimate = sample.first(|index| sample.beyond_all(index + 1) <= allowed(sample.n, q));
    let p90 = sample.first(|index| sample.beyond_all(index + 1) <= allowed(sample.n, 0.9));
    let p50 = sample.first(|index| sample.beyond_all(index + 1) <= allowed(sample.n, 0.5));
    let block_len = match kind {
        Units::Groups => 1,
        Units::Series => {
            let of = |index| blocks::length(&sample.shares(index));
            // What the autocorrelation does not show may be there all the same: at least the usual length,
            // n^(1/3) (P. Hall, J. L. Horowitz and B.-Y. Jing, Biometrika 82, 1995).
            let usual = ((sample.units.len() as f64).cbrt() - 1e-9).ceil() as usize;
            of(estimate).max(of(p90)).max(of(p50)).max(usual)
        }
    };
    let blocks = sample.effective_units() / block_len as f64;
    if blocks < 2.0 {
        return None;
    }
    let widening = student(blocks - 1.0) / NORMAL;
    let draws = Draws::new(&sample, block_len, seed);
    let resampled =
        |rank: usize| sample.first(|index| draws.not_beyond(&sample, index + 1, q) >= rank);
    let value = |index: usize| sample.values[index];
    let away = |end: usize| logarithm(value(end)) - logarithm(value(estimate));
    let moved = |end: usize| (logarithm(value(estimate)) + away(end) * widening).exp() - 1.0;
    let thresholds = [p90, p90 + 1, estimate, estimate + 1];
    let deff = thresholds.into_iter().map(|index| draws.deff(&sample, index)).fold(1.0, f64::max);
    let deff = (deff * blocks / (blocks - 1.0) * widening * widening).max(1.0);
    let ranked = sample.by_ranks(deff, q);
    // To a whole number, outwards.
    let lower = (moved(resampled(TAIL)) + 1e-6).floor().max(0.0) as u64;
    let upper = (moved(resampled(RESAMPLES + 1 - TAIL)) - 1e-6).ceil() as u64;
    Some(Interval {
        estimate: value(estimate),
        lower: lower.min(ranked.0),
        upper: ranked.1.map(|ranked| ranked.max(upper)),
        block_len,
        deff,
    })
}

/// The `q`-quantile of a sample by itself; `None` without a sample.
#[must_use]
pub fn estimate(units: &[BTreeMap<u64, u64>], q: f64) -> Option<u64> {
    let sample = Sample::of(units)?;
    let at = sample.first(|index| sample.beyond_all(index + 1) <= allowed(sample.n, q));
    Some(sample.values[at])
}

/// Samples of `n` that may be beyond the `q`-quantile.
#[must_use]
pub fn allowed(n: u64, q: f64) -> u64 {
    // 1e-9: 99.9 % of 1,000 are 999, whatever the floating point says.
    n - ((q * n as f64 - 1e-9).ceil().max(1.0) as u64).min(n)
}

/// 0 has none: everything is moved by 1, which is what the histograms tell apart.
fn logarithm(value: u64) -> f64 {
    (value as f64).ln_1p()
}

/// Student's quantile of [`CONFIDENCE`], of any degrees of freedom above 0.
fn student(freedom: f64) -> f64 {
    let x = beta_quantile(freedom / 2.0, 0.5, 2.0 * (1.0 - CONFIDENCE));
    (freedom * (1.0 - x) / x).sqrt()
}

/// A sample by the ranks of its values.
struct Sample {
    /// The distinct values, in order.
    values: Vec<u64>,
    /// Per unit: the index of each of its values, and how many of its samples are at or beyond it.
    units: Vec<Vec<(usize, u64)>>,
    n: u64,
}

impl Sample {
    fn of(units: &[BTreeMap<u64, u64>]) -> Option<Self> {
        let present = units.iter().filter(|unit| unit.values().any(|&count| count > 0));
        let present: Vec<_> = present.collect();
        let together = present.len().div_ceil(UNITS_MAX).max(1);
        let merged: Vec<BTreeMap<u64, u64>> = present
            .chunks(together)
            .map(|chunk| {
                let mut sum = BTreeMap::new();
                for (&value, &count) in chunk.iter().copied().flatten() {
                    *sum.entry(value).or_default() += count;
                }
                sum
            })
            .collect();
        let mut values: Vec<u64> = merged.iter().flat_map(|unit| unit.keys().copied()).collect();
        values.sort_unstable();
        values.dedup();
        let cumulative = |unit: &BTreeMap<u64, u64>| {
            let mut beyond = 0;
            let mut out: Vec<(usize, u64)> = unit
                .iter()
                .rev()
                .map(|(value, count)| {
                    beyond += count;
                    (values.partition_point(|other| other < value), beyond)
                })
                .collect();
            out.reverse();
            out
        };
        let units: Vec<_> = merged.iter().map(cumulative).collect();
        let n = units.iter().filter_map(|unit| unit.first()).map(|&(_, all)| all).sum();
        (n > 0).then_some(Self { values, units, n })
    }

    /// The first index for which `holds`, which holds for all after it; the last if for none.
    fn first(&self, holds: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.values.len() - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// Samples of each unit at or beyond the value at `index`.
    fn beyond(&self, index: usize) -> impl Iterator<Item = u64> + '_ {
        self.units.iter().map(move |unit| {
            let at = unit.partition_point(|&(here, _)| here < index);
            unit.get(at).map_or(0, |&(_, beyond)| beyond)
        })
    }

    fn beyond_all(&self, index: usize) -> u64 {
        self.beyond(index).sum()
    }

    /// Share of each unit's samples at or beyond the value at `index`.
    fn shares(&self, index: usize) -> Vec<f64> {
        self.beyond(index).zip(self.beyond(0)).map(|(x, n)| x as f64 / n as f64).collect()
    }

    /// As many units as would weigh alike: (Σn)² / Σn².
    fn effective_units(&self) -> f64 {
        let squares: f64 = self.beyond(0).map(|n| (n as f64).powi(2)).sum();
        (self.n as f64).powi(2) / squares
    }

    /// The interval by the ranks of the sample, of which `deff` count as one.
    fn by_ranks(&self, deff: f64, q: f64) -> (u64, Option<u64>) {
        let (n, share) = (self.n as f64 / deff, 1.0 - q);
        let last = self.values.len() - 1;
        let upper_share = |x: u64| binomial::upper(x as f64 / deff, n, CONFIDENCE).unwrap_or(1.0);
        let too_many = |index: usize| {
            let x = self.beyond_all(index) as f64 / deff;
            binomial::lower(x.min(n), n, CONFIDENCE).is_some_and(|lower| lower > share)
        };
        let lower = match self.first(|index| !too_many(index)) {
            0 if !too_many(0) => 0,
            // Of the last one there may be too many as well.
            index if too_many(index) => self.values[index],
            index => self.values[index - 1],
        };
        // An allowance for what the inversion of the bounds leaves of the last bit.
        let enough = |upper: f64| upper <= share * (1.0 + 1e-9);
        if !binomial::upper(0.0, self.n as f64, CLAIMED).is_some_and(enough) {
            return (lower, None);
        }
        let reached = upper_share(0);
        if enough(reached) {
            let upper = self.first(|index| enough(upper_share(self.beyond_all(index + 1))));
            return (lower, Some(self.values[upper]));
        }
        let largest = logarithm(self.values[last]);
        let upper = largest + self.tail_index() * (reached / share).ln();
        (lower, Some((upper.exp() - 1.0 - 1e-6).ceil() as u64))
    }

    /// Hill's estimate from the largest tenth.
    fn tail_index(&self) -> f64 {
        let from = self.first(|index| self.beyond_all(index + 1) <= allowed(self.n, 0.9));
        let base = logarithm(self.values[from]);
        let counts = (from + 1..=self.values.len()).map(|index| self.beyond_all(index));
        let counts: Vec<u64> = counts.collect();
        let tail = counts.windows(2).zip(&self.values[from + 1..]);
        let sum: f64 = tail.map(|(x, &v)| (x[0] - x[1]) as f64 * (logarithm(v) - base)).sum();
        sum / (allowed(self.n, 0.9).max(1)) as f64
    }
}

/// Where the blocks of each resample start.
struct Draws {
    starts: Vec<Vec<u32>>,
    /// Samples of each resample.
    sizes: Vec<u64>,
    len: usize,
    block_len: usize,
}

impl Draws {
    fn new(sample: &Sample, block_len: usize, seed: u64) -> Self {
        let len = sample.units.len();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let last = u32::try_from(len - block_len).unwrap_or(u32::MAX);
        let mut one = || (0..len.div_ceil(block_len)).map(|_| rng.random_range(0..=last)).collect();
        let starts = (0..RESAMPLES).map(|_| one()).collect();
        let mut draws = Self { starts, sizes: Vec::new(), len, block_len };
        draws.sizes = draws.sums(sample.beyond(0)).collect();
        draws
    }

    /// The sums over each resample of what each unit has.
    fn sums(&self, of_units: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
        let mut before = vec![0];
        for here in of_units {
            before.push(before.last().copied().unwrap_or(0) + here);
        }
        self.starts.iter().map(move |starts| {
            let mut left = self.len;
            let block = |&start: &u32| {
                let taken = self.block_len.min(left);
                left -= taken;
                before[start as usize + taken] - before[start as usize]
            };
            starts.iter().map(block).sum()
        })
    }

    /// Resamples whose `q`-quantile is below the value at `index`.
    fn not_beyond(&self, sample: &Sample, index: usize, q: f64) -> usize {
        let both = self.sums(sample.beyond(index)).zip(&self.sizes);
        both.filter(|&(x, &n)| x <= allowed(n, q)).count()
    }

    /// Variance of the share at or beyond the value at `index`, over that of independent samples; 0
    /// where none or all are.
    fn deff(&self, sample: &Sample, index: usize) -> f64 {
        let share = sample.beyond_all(index) as f64 / sample.n as f64;
        if share <= 0.0 || share >= 1.0 {
            return 0.0;
        }
        let both = self.sums(sample.beyond(index)).zip(&self.sizes);
        let shares: Vec<f64> = both.map(|(x, &n)| x as f64 / n as f64).collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let squares = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>();
        squares / (shares.len() - 1) as f64 / (share * (1.0 - share) / sample.n as f64)
    }
}

#[cfg(test)]
mod tests;
