//! The smallest sample that can decide a claim.
//!
//! A percentile or a proportion passes when its one-sided 95 % bound clears the claim. With no
//! failure among n samples that bound is 1 − 0.05^(1/n) (Clopper and Pearson 1934, x = 0), so a
//! claim that at most a share f may fail needs n >= ln 0.05 / ln(1 − f): 29 for p(90), 299 for
//! p(99). Rates go by time: no event in t seconds bounds the rate by −ln 0.05 / t (Garwood 1936, x
//! = 0).

use crate::metric::{Clustering, MetricId};
use crate::model::{Claim, Comparison, Estimator};

/// Seconds with samples, without which a percentile of a metric that flows all the time is not decided.
pub const SECONDS_MIN: u64 = 20;

/// ln 0.05: the one-sided level at which claims are decided.
const LN_ALPHA: f64 = -2.995_732_273_553_991;

/// The smallest evidence on which a claim can pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Needs {
    /// This many samples, none of which fails.
    Samples(u64),
    /// This many seconds, in which nothing happens.
    Seconds(f64),
    /// No evidence is enough: the claim leaves no room for chance.
    Never,
}

/// The smallest evidence on which `claim` can pass.
#[must_use]
pub fn needs(claim: &Claim) -> Needs {
    match claim.estimator {
        Estimator::Percentile(q) => samples_without_failure(1.0 - q / 100.0),
        Estimator::Proportion => samples_without_failure(claim.bound),
        Estimator::Rate if claim.bound > 0.0 => Needs::Seconds(-LN_ALPHA / claim.bound),
        Estimator::Rate => Needs::Never,
        Estimator::Count if claim.comparison == Comparison::Less && claim.bound <= 0.0 => {
            Needs::Never
        }
        // A p99 on either side, with ten samples beyond it.
        Estimator::Ratio => Needs::Samples(1_000),
        Estimator::Count | Estimator::Max => Needs::Samples(1),
    }
}

/// Seconds with samples that a claim takes beside [`needs`]: of a percentile of a metric that flows all the
/// time [`SECONDS_MIN`], or as many as `reach` takes if none of them is worse; of all others nothing.
#[must_use]
pub fn seconds(metric: MetricId, claim: &Claim, reach: Option<f64>) -> Option<u64> {
    let flows = metric.clustering() == Clustering::Seconds;
    let percentile = matches!(claim.estimator, Estimator::Percentile(_));
    (flows && percentile).then(|| {
        let for_reach = reach.map_or(0, |share| match samples_without_failure(share) {
            Needs::Samples(seconds) => seconds,
            Needs::Seconds(_) | Needs::Never => u64::MAX,
        });
        SECONDS_MIN.max(for_reach)
    })
}

/// Samples of occasions, each of a client of its own and none like another, from which on the interval of a
/// percentile has a lower end, so that a claim can fail: of fewer, all of them may lie above the percentile by
/// chance. The judge's rule: with n groups deff is n / (n − 1) (t / z)², t and z Student's and the normal
/// quantile of 97.5 %, and the bound of Clopper and Pearson from n/deff samples, 0.025^(deff/n), must exceed
/// the share beyond the percentile.
#[must_use]
pub fn samples_to_fail(q: f64) -> u64 {
    let beyond = 1.0 - q / 100.0;
    let has_end = |n: &u64| {
        let n = *n as f64;
        let deff = n / (n - 1.0) * (student(n - 1.0) / NORMAL).powi(2);
        0.025_f64.powf(deff / n) > beyond
    };
    (SMALLEST_SAMPLE..=LARGEST_SAMPLE).find(has_end).unwrap_or(LARGEST_SAMPLE)
}

/// Of fewer, Student's quantile is not to be had by its expansion, and no percentile is decided.
const SMALLEST_SAMPLE: u64 = 5;
/// Where the search ends: p(0.1) takes less.
const LARGEST_SAMPLE: u64 = 100_000;
/// Standard normal quantile of 97.5 %.
const NORMAL: f64 = 1.959_963_984_540_054;

/// Student's quantile of 97.5 % by Fisher's expansion (Abramowitz and Stegun, 26.7.5); within 0.3 % from 4
/// degrees of freedom on.
fn student(freedom: f64) -> f64 {
    let z = NORMAL;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

/// `min_samples` of an objective that names none: what could decide the claim, else 1.
#[must_use]
pub fn default_min_samples(claim: &Claim) -> u64 {
    match needs(claim) {
        Needs::Samples(samples) => samples,
        Needs::Seconds(_) | Needs::Never => 1,
    }
}

fn samples_without_failure(share_failing: f64) -> Needs {
    if share_failing <= 0.0 {
        return Needs::Never;
    }
    let samples = (LN_ALPHA / (-share_failing).ln_1p()).ceil();
    Needs::Samples((samples as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs_of(estimator: Estimator, bound: f64) -> Needs {
        let comparison = Comparison::LessOrEqual;
        needs(&Claim { text: String::new(), estimator, comparison, bound })
    }

    #[test]
    fn the_constant_is_the_logarithm_of_five_percent() {
        assert!((LN_ALPHA - 0.05_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn percentiles_need_the_textbook_numbers() {
        for (q, n) in [(50.0, 5), (90.0, 29), (95.0, 59), (99.0, 299), (99.9, 2_995)] {
            assert_eq!(needs_of(Estimator::Percentile(q), 1.0), Needs::Samples(n), "p({q})");
        }
    }

    #[test]
    fn a_median_fails_from_nine_samples_on_and_a_high_percentile_before_it_can_pass() {
        for (q, n) in [(50.0, 9), (60.0, 8), (25.0, 17)] {
            assert_eq!(samples_to_fail(q), n, "p({q})");
        }
        for q in [70.0, 80.0, 90.0, 99.0, 99.9] {
            let Needs::Samples(passes) = needs_of(Estimator::Percentile(q), 1.0) else {
                panic!("samples")
            };
            assert!(samples_to_fail(q) <= passes, "p({q})");
        }
    }

    #[test]
    fn proportions_need_as_many_as_their_bound_says() {
        for (bound, n) in [(0.03, 99), (0.01, 299), (0.5, 5), (1.0, 1)] {
            assert_eq!(needs_of(Estimator::Proportion, bound), Needs::Samples(n), "{bound}");
        }
        assert_eq!(needs_of(Estimator::Proportion, 0.0), Needs::Never);
    }

    #[test]
    fn a_percentile_over_time_takes_twenty_seconds_or_what_its_reach_takes() {
        let claim = |estimator| {
            let comparison = Comparison::Less;
            Claim { text: String::new(), estimator, comparison, bound: 1.0 }
        };
        let p99 = claim(Estimator::Percentile(99.0));
        for (reach, needed) in [(None, 20), (Some(1.0), 20), (Some(0.1), 29), (Some(0.01), 299)] {
            assert_eq!(seconds(MetricId::Delivery, &p99, reach), Some(needed), "{reach:?}");
        }
        assert_eq!(seconds(MetricId::ResumeToLive, &p99, None), None);
        assert_eq!(seconds(MetricId::Delivery, &claim(Estimator::Max), None), None);
    }

    #[test]
    fn rates_need_time_and_counts_one_sample() {
        let Needs::Seconds(seconds) = needs_of(Estimator::Rate, 1.5) else { panic!("a rate") };
        assert!((seconds - 1.997).abs() < 0.001);
        assert_eq!(needs_of(Estimator::Rate, 0.0), Needs::Never);
        assert_eq!(needs_of(Estimator::Count, 0.0), Needs::Samples(1));
    }
}
