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
