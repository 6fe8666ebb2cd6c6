//! How alike the samples of one time, or of one group of clients, are: what the bounds of a figure so far rest on.
//!
//! A report has each second apart. Here there are at most some dozen blocks of seconds, so that a day takes no more
//! room than a minute: bounds so far are near the judge's and not the same.

use std::collections::BTreeMap;

use super::{BOUNDS, Coarse};
use crate::judge::{CONFIDENCE, estimate};
use crate::shard::metrics::{CLIENT_GROUPS, Count};
use crate::stats::{cluster, order};

/// Blocks at the most: groups of clients are no more, and stay what they are.
const BLOCKS_MAX: usize = CLIENT_GROUPS as usize;

/// The 95 % bounds of a figure, as far as there are any: from below and from above.
pub type Bounds = (Option<f64>, Option<f64>);

/// What can be put together.
pub trait Sum: Copy + Default {
    /// Adds another.
    fn add(&mut self, other: &Self);
}

impl Sum for (u64, u64) {
    fn add(&mut self, other: &Self) {
        self.0 += other.0;
        self.1 += other.1;
    }
}

/// Samples up to each of [`BOUNDS`] and beyond the one before; the last are beyond all.
pub type Spread = [u32; BOUNDS.len() + 1];

impl Sum for Spread {
    fn add(&mut self, other: &Self) {
        self.iter_mut().zip(other).for_each(|(ours, theirs)| *ours += theirs);
    }
}

/// Sums by blocks of clusters (seconds, or groups of clients) in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks<T> {
    /// Clusters of a block.
    width: u32,
    sums: BTreeMap<u32, T>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { width: 1, sums: BTreeMap::new() }
    }
}

impl<T: Sum> Blocks<T> {
    /// Adds to the block of a cluster.
    pub fn add(&mut self, cluster: u32, sum: &T) {
        self.sums.entry(cluster / self.width).or_default().add(sum);
        while self.sums.len() > BLOCKS_MAX {
            self.widen(self.width * 2);
        }
    }

    /// Adds another's, in blocks as wide as the wider of the two.
    pub fn merge(&mut self, other: &Self) {
        self.widen(self.width.max(other.width));
        for (&block, sum) in &other.sums {
            self.add(block * other.width, sum);
        }
    }

    /// Widths are powers of two.
    fn widen(&mut self, width: u32) {
        let times = width / self.width;
        self.width = width;
        if times > 1 {
            for (block, sum) in std::mem::take(&mut self.sums) {
                self.sums.entry(block / times).or_default().add(&sum);
            }
        }
    }
}

impl Blocks<(u64, u64)> {
    fn count(self) -> Count {
        let (hits, all) = self.sums.values().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        Count { hits, all, clusters: self.sums, ..Count::default() }
    }

    /// Of a share.
    pub fn share(self) -> Bounds {
        ends(estimate::proportion(&self.count()))
    }

    /// Of what happened in a second, over so many seconds.
    pub fn rate(self, seconds: f64) -> Bounds {
        ends(estimate::rate(&self.count(), CLIENT_GROUPS, seconds))
    }
}

fn ends(bounds: Option<estimate::Bounds>) -> Bounds {
    (bounds.map(|it| it.lower), bounds.map(|it| it.upper))
}

impl Blocks<Spread> {
    /// Of the `q`-th percentile of a sample, q in percent: by ranks of as many independent samples as these are worth.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts and ranks are far below 2^52"
    )]
    pub fn percentile(&self, sample: &Coarse, q: f64) -> Bounds {
        let worth = sample.len() as f64 / self.design_effect(q);
        let scale = sample.len() as f64 / worth.floor().max(1.0);
        let value = |rank: u64| sample.ranked((rank as f64 * scale).round() as u64);
        let end = |rank: Option<u64>| rank.and_then(value).map(|value| value as f64);
        let n = worth.floor() as u64;
        (
            end(order::lower_rank(n, q / 100.0, CONFIDENCE)),
            end(order::upper_rank(n, q / 100.0, CONFIDENCE)),
        )
    }

    /// Of what is beyond the bound that is nearest to the percentile: how many samples count as one.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn design_effect(&self, q: f64) -> f64 {
        let beyond = |at: usize| {
            let of = |sum: &Spread| {
                let all: u64 = sum.iter().map(|&n| u64::from(n)).sum();
                (all, sum.iter().skip(at + 1).map(|&n| u64::from(n)).sum())
            };
            self.sums.values().map(of).collect::<Vec<(u64, u64)>>()
        };
        let wanted = (1.0 - q / 100.0).max(1e-6).ln();
        let told = (0..BOUNDS.len()).map(beyond).filter_map(|blocks| {
            let (all, some) = blocks.iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
            let share = some as f64 / all as f64;
            (some > 0 && some < all).then(|| ((share.ln() - wanted).abs(), blocks))
        });
        let nearest = told.min_by(|(one, _), (other, _)| one.total_cmp(other));
        let clustering = match nearest {
            Some((_, blocks)) => cluster::clustering(&blocks),
            // All of them are between two bounds.
            None => cluster::clustering(&beyond(BOUNDS.len())),
        };
        clustering.map_or(1.0, |clustering| clustering.deff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::Sparse;

    fn sample(clusters: &[&[u64]]) -> (Coarse, Blocks<Spread>) {
        let (mut coarse, mut blocks) = (Coarse::default(), Blocks::default());
        for (cluster, values) in (0_u32..).zip(clusters) {
            let mut sparse = Sparse::default();
            values.iter().for_each(|&value| sparse.add(value));
            blocks.add(cluster, &coarse.add(&sparse));
        }
        (coarse, blocks)
    }

    #[test]
    fn a_percentile_lies_between_its_bounds_and_samples_that_are_alike_are_worth_less() {
        let mixed: Vec<u64> =
            (0..50).map(|n| if n % 5 == 0 { 80_000 } else { 2_000 + n }).collect();
        let (fast, slow): (Vec<u64>, Vec<u64>) = mixed.iter().partition(|value| **value < 10_000);
        let (apart, blocks) = sample(&[mixed.as_slice(); 40]);
        let (lower, upper) = blocks.percentile(&apart, 50.0);
        let figure = 2_020.0;
        assert!(
            lower.expect("one") <= figure && upper.expect("one") >= figure,
            "{lower:?} {upper:?}"
        );
        assert!(upper.expect("one") < 10_000.0, "{upper:?}");
        // A sample of which 6 % are slow: each second has some of them, or one second in five is slow as a whole.
        let some: Vec<u64> = fast[..32].iter().chain(&slow[..2]).copied().collect();
        let (each, blocks) = sample(&[some.as_slice(); 40]);
        assert!(blocks.percentile(&each, 90.0).1.expect("one") < 10_000.0);
        let seconds: Vec<&[u64]> =
            (0..40).map(|n| if n % 5 == 0 { &*slow } else { &*fast }).collect();
        let (whole, blocks) = sample(&seconds);
        assert_eq!((whole.len(), each.len()), (1_360, 1_360));
        let (lower, upper) = blocks.percentile(&whole, 90.0);
        assert!(lower.expect("one") < 10_000.0 && upper.expect("one") > 10_000.0, "{upper:?}");
        assert_eq!(blocks.percentile(&Coarse::default(), 50.0), (None, None));
    }

    #[test]
    fn blocks_are_few_however_many_seconds_there_are_and_groups_stay() {
        let mut day = Blocks::default();
        (0..86_400).for_each(|second| day.add(second, &(1_u64, 2_u64)));
        assert!(day.sums.len() <= BLOCKS_MAX && day.sums.len() > BLOCKS_MAX / 4);
        let mut groups = Blocks::default();
        (0..CLIENT_GROUPS).for_each(|group| groups.add(group, &(1_u64, 2_u64)));
        assert_eq!(groups.sums.len(), BLOCKS_MAX);
        let both = (groups.clone().count(), {
            day.merge(&groups);
            day.count()
        });
        assert_eq!((both.0.hits, both.1.hits, both.1.all), (64, 86_464, 172_928));
    }
}
