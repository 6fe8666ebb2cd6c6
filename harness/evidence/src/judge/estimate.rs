//! The estimators: a claim and its samples to bounds and a verdict.
//!
//! Proportions: one-sided 95 % Clopper-Pearson bounds on x/deff of n/deff ([`stats::binomial`]), deff
//! from the intra-cluster correlation ([`stats::cluster`]). Rates: Garwood bounds ([`stats::poisson`]),
//! scaled by the groups' index of dispersion. Counts: exact. Percentiles are in `percentile`.

use khala_plan::model::Comparison;

use super::{CONFIDENCE, Verdict};
use crate::shard::metrics::{Count, Distribution};
use crate::stats;

/// Bounds on a share or a rate, and what they were made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Lower one-sided bound.
    pub lower: f64,
    /// Upper one-sided bound.
    pub upper: f64,
    /// Design effect.
    pub deff: f64,
}

impl Bounds {
    /// Verdict of "the true value is below (or at) `limit`".
    pub fn verdict(&self, limit: f64) -> Verdict {
        if self.upper <= limit {
            Verdict::Pass
        } else if self.lower > limit {
            Verdict::Fail
        } else {
            Verdict::Inconclusive
        }
    }
}

/// Bounds on a proportion.
pub fn proportion(count: &Count) -> Option<Bounds> {
    let clusters: Vec<_> = count.clusters.values().map(|&(hits, all)| (all, hits)).collect();
    let deff = stats::cluster::clustering(&clusters)?.deff;
    share(count.hits, count.all, deff)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn share(bad: u64, n: u64, deff: f64) -> Option<Bounds> {
    let (x, n) = (bad as f64 / deff, n as f64 / deff);
    Some(Bounds {
        lower: stats::binomial::lower(x, n, CONFIDENCE)?,
        upper: stats::binomial::upper(x, n, CONFIDENCE)?,
        deff,
    })
}

/// Bounds on a rate per second. `groups`: how many groups of clients there could have been, two or
/// more.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn rate(count: &Count, groups: u32, exposure_s: f64) -> Option<Bounds> {
    let deff = dispersion(count, groups);
    let x = count.hits as f64 / deff;
    let exposure = exposure_s / deff;
    Some(Bounds {
        lower: stats::poisson::lower(x, exposure, CONFIDENCE)?,
        upper: stats::poisson::upper(x, exposure, CONFIDENCE)?,
        deff,
    })
}

/// Index of dispersion of the groups' counts: variance over mean, at least 1.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn dispersion(count: &Count, groups: u32) -> f64 {
    if count.hits == 0 {
        return 1.0;
    }
    let groups = f64::from(groups);
    let mean = count.hits as f64 / groups;
    let present: f64 = count.clusters.values().map(|&(hits, _)| (hits as f64 - mean).powi(2)).sum();
    let absent = (groups - count.clusters.len() as f64).max(0.0) * mean.powi(2);
    ((present + absent) / (groups - 1.0) / mean).max(1.0)
}

/// The smallest value that breaks `value < bound` (or `<=`).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a checked claim's bound is a positive number of microseconds"
)]
pub fn threshold(comparison: Comparison, bound: f64) -> u64 {
    match comparison {
        Comparison::Less => bound.ceil() as u64,
        // The next bucket: what the histogram cannot tell from the bound is within it.
        Comparison::LessOrEqual | Comparison::Equal => next_bucket(bound.floor() as u64),
    }
}

/// Samples that break `value < bound` (or `<=`): at or beyond it.
pub fn exceeding(sample: &Distribution, comparison: Comparison, bound: f64) -> u64 {
    let threshold = threshold(comparison, bound);
    sample.clusters.values().map(|cluster| cluster.at_least(threshold)).sum()
}

fn next_bucket(value: u64) -> u64 {
    let here = crate::hist::bucket(value);
    let width = 1_u64 << (u64::BITS - here.max(1).leading_zeros()).saturating_sub(11);
    here + width
}

/// Verdict of an exact comparison.
pub fn exact(value: f64, comparison: Comparison, bound: f64) -> Verdict {
    let holds = match comparison {
        Comparison::Less => value < bound,
        Comparison::LessOrEqual => value <= bound,
        #[expect(clippy::float_cmp, reason = "both are whole counts")]
        Comparison::Equal => value == bound,
    };
    if holds { Verdict::Pass } else { Verdict::Fail }
}

#[cfg(test)]
mod tests {
    use khala_plan::metric::MetricId;

    use super::*;
    use crate::shard::metrics::{Key, Metrics};

    fn sample(values: &[u64]) -> Distribution {
        let mut metrics = Metrics::default();
        let key = Key { metric: MetricId::TimeToRecovered, phase: 0, surface: None };
        for (client, &value) in (0_u32..).zip(values) {
            metrics.sample(key, client, 0, value, value);
        }
        metrics.distribution(MetricId::TimeToRecovered, &[0], None)
    }

    #[test]
    fn a_threshold_is_exceeded_at_it_or_beyond_it_as_the_comparison_says() {
        let sample = sample(&[999, 1_000, 1_001]);
        assert_eq!(exceeding(&sample, Comparison::Less, 1_000.0), 2);
        assert_eq!(exceeding(&sample, Comparison::LessOrEqual, 1_000.0), 1);
    }

    #[test]
    fn what_is_not_a_number_passes_nothing() {
        for (lower, upper, limit) in
            [(f64::NAN, f64::NAN, 0.01), (0.0, f64::NAN, 0.01), (0.0, 0.0, f64::NAN)]
        {
            let bounds = Bounds { lower, upper, deff: 1.0 };
            assert_eq!(bounds.verdict(limit), Verdict::Inconclusive, "{bounds:?} {limit}");
        }
        for comparison in [Comparison::Less, Comparison::LessOrEqual, Comparison::Equal] {
            assert_ne!(exact(f64::NAN, comparison, 1.0), Verdict::Pass);
            assert_ne!(exact(1.0, comparison, f64::NAN), Verdict::Pass);
        }
        assert_eq!(share(0, 100, f64::NAN).map(|bounds| bounds.verdict(0.5)), None);
    }

    #[test]
    fn occurrences_that_cluster_widen_a_rate() {
        let even = Count {
            hits: 64,
            all: 64,
            clusters: (0..64).map(|g| (g, (1, 1))).collect(),
            ..Count::default()
        };
        let one = Count {
            hits: 64,
            all: 64,
            clusters: [(3, (64, 64))].into_iter().collect(),
            ..Count::default()
        };
        let (even, one) = (rate(&even, 64, 600.0), rate(&one, 64, 600.0));
        assert!(even.expect("bounds").upper < one.expect("bounds").upper);
    }

    #[test]
    fn a_lower_bound_at_the_limit_breaks_nothing_and_an_upper_one_clears_it() {
        let verdict = |lower, upper| Bounds { lower, upper, deff: 1.0 }.verdict(0.25);
        assert_eq!(verdict(0.25, 0.5), Verdict::Inconclusive);
        assert_eq!(verdict(0.26, 0.5), Verdict::Fail);
        assert_eq!(verdict(0.0, 0.25), Verdict::Pass);
    }

    #[test]
    fn dispersion_is_the_variance_of_all_groups_over_their_mean() {
        let of = |clusters: &[u64], groups| {
            let hits = clusters.iter().sum();
            let clusters = (0..).zip(clusters).map(|(g, &hits)| (g, (hits, hits))).collect();
            dispersion(&Count { hits, all: hits, clusters, ..Count::default() }, groups)
        };
        // Mean 2; (7 - 2)^2 + (1 - 2)^2 + 2 * 2^2 over 3 is the variance.
        assert!((of(&[7, 1], 4) - 34.0 / 3.0 / 2.0).abs() < 1e-12);
        assert!((of(&[4], 2) - 4.0).abs() < 1e-12, "mean 2, variance 2^2 + 2^2");
        for clusters in [&[2, 2, 2, 2][..], &[]] {
            assert!((of(clusters, 4) - 1.0).abs() < 1e-12, "{clusters:?}");
        }
    }

    #[test]
    fn as_many_samples_as_the_design_effect_says_count_as_one() {
        let (half, whole) = (share(2, 200, 2.0), share(1, 100, 1.0));
        let (half, whole) = (half.expect("bounds"), whole.expect("bounds"));
        assert_eq!((half.lower, half.upper), (whole.lower, whole.upper));
        let clusters = [(0, (7, 7)), (1, (1, 1))].into_iter().collect();
        let found = rate(&Count { hits: 8, all: 8, clusters, ..Count::default() }, 4, 10.0)
            .expect("bounds");
        let (x, exposure) = (8.0 / found.deff, 10.0 / found.deff);
        assert!(found.deff > 1.5, "{found:?}");
        assert_eq!(Some(found.lower), stats::poisson::lower(x, exposure, CONFIDENCE));
        assert_eq!(Some(found.upper), stats::poisson::upper(x, exposure, CONFIDENCE));
    }

    #[test]
    fn a_proportion_is_bounded_by_its_hits_among_all() {
        let clusters: std::collections::BTreeMap<_, _> = (0..50).map(|g| (g, (0, 2))).collect();
        let none = Count { hits: 0, all: 100, clusters, ..Count::default() };
        let none = proportion(&none).expect("bounds");
        // Without a hit: 1 - 0.05^(1/n).
        assert!((none.upper - (1.0 - 0.05_f64.powf(0.01))).abs() < 1e-9, "{none:?}");
        assert!(none.lower.abs() < 1e-12, "{none:?}");
    }

    #[test]
    fn ten_bad_of_a_hundred_have_the_bounds_of_clopper_and_pearson() {
        // By the sums of the binomial distribution, bisected.
        for (bad, n, deff) in [(10, 100, 1.0), (25, 250, 2.5)] {
            let found = share(bad, n, deff).expect("bounds");
            assert!((found.lower - 0.055_263_237_7).abs() < 1e-9, "{found:?}");
            assert!((found.upper - 0.163_717_623_3).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn the_next_bucket_is_the_first_that_the_histogram_tells_from_this_one() {
        for (value, next) in
            [(0, 1), (1_000, 1_001), (2_047, 2_048), (2_048, 2_050), (4_096, 4_100)]
        {
            assert_eq!(next_bucket(value), next);
        }
        for value in [0, 7, 2_047, 2_049, 5_000, 123_456, 98_765_432] {
            let next = next_bucket(value);
            assert_eq!(crate::hist::bucket(next), next, "{value}");
            assert_eq!(crate::hist::bucket(next - 1), crate::hist::bucket(value), "{value}");
        }
    }

    #[test]
    fn an_exact_comparison_holds_as_it_is_written() {
        let holds = |comparison| {
            [1.0, 2.0, 3.0].map(|value| exact(value, comparison, 2.0) == Verdict::Pass)
        };
        assert_eq!(holds(Comparison::Less), [true, false, false]);
        assert_eq!(holds(Comparison::LessOrEqual), [true, true, false]);
        assert_eq!(holds(Comparison::Equal), [false, true, false]);
    }
}
