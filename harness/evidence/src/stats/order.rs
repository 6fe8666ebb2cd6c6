//! Confidence intervals for a quantile by the ranks of the sample, whatever the distribution.
//!
//! Source: W. J. Conover, "Practical Nonparametric Statistics" (3rd ed.), 3.2. The number of
//! observations at or below the true p-quantile is binomial(n, p); call it B. The l-th smallest
//! observation lies above the quantile only if `B <= l - 1`, the u-th smallest lies below it only
//! if `B >= u`. Each tail gets *its own half* of what is not confidence, so that each end is a
//! one-sided bound too: `l` is the largest rank with `P(B <= l - 1) <= (1 - confidence)/2`, `u` the
//! smallest with `P(B >= u) <= (1 - confidence)/2`. Shorter intervals exist that share the two
//! tails unequally; they are not used, because their ends bound nothing by themselves.
//!
//! The coverage is exact for a continuous distribution and at least as high with ties. Must never
//! give a rank outside the sample: where no observation is extreme enough, there is no bound.

use super::is_confidence;
use super::special::beta_cdf;

/// Ranks, from 1 for the smallest observation, between which a quantile lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranks {
    /// Rank of the lower end.
    pub lower: u64,
    /// Rank of the upper end; above `lower`.
    pub upper: u64,
    /// Probability that the quantile lies between the two: at least the confidence asked for.
    pub coverage: f64,
}

/// Two-sided interval for the `p`-quantile of a sample of `n`.
///
/// `None` when the sample is too small to bound both sides, or when `p` or `confidence` does not
/// lie strictly between 0 and 1.
#[must_use]
pub fn interval(n: u64, p: f64, confidence: f64) -> Option<Ranks> {
    check(p, confidence)?;
    let one_sided = 0.5 + confidence / 2.0;
    let (lower, upper) = (lower_rank(n, p, one_sided)?, upper_rank(n, p, one_sided)?);
    let coverage = at_most(upper - 1, n, p) - at_most(lower - 1, n, p);
    Some(Ranks { lower, upper, coverage })
}

/// One-sided: the largest rank whose observation is at or below the `p`-quantile with
/// `confidence`. `None` when even the smallest observation is not sure to be.
#[must_use]
pub fn lower_rank(n: u64, p: f64, confidence: f64) -> Option<u64> {
    check(p, confidence)?;
    // at_most(rank - 1) rises with the rank.
    let too_high = first(n, |rank| at_most(rank - 1, n, p) > 1.0 - confidence);
    too_high.checked_sub(1).filter(|&rank| rank > 0)
}

/// One-sided: the smallest rank whose observation is at or above the `p`-quantile with
/// `confidence`. `None` when even the largest observation is not sure to be.
#[must_use]
pub fn upper_rank(n: u64, p: f64, confidence: f64) -> Option<u64> {
    check(p, confidence)?;
    let rank = first(n, |rank| at_least(rank, n, p) <= 1.0 - confidence);
    (rank <= n).then_some(rank)
}

/// P(B <= k) for k < n
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    1.0 - at_least(k + 1, n, p)
}

/// P(B >= k) for 1 <= k <= n
fn at_least(k: u64, n: u64, p: f64) -> f64 {
    beta_cdf(k as f64, (n - k) as f64 + 1.0, p)
}

/// The first of `1..=n` for which `holds`, which holds for all after it; `n + 1` when none does.
fn first(n: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut no, mut yes) = (0, n.saturating_add(1));
    while yes - no > 1 {
        let middle = no + (yes - no) / 2;
        if holds(middle) { yes = middle } else { no = middle }
    }
    yes
}

fn check(p: f64, confidence: f64) -> Option<()> {
    (is_confidence(p) && is_confidence(confidence)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::super::assert_close;
    use super::*;

    #[test]
    fn ranks_are_those_of_the_r_package_confintr() {
        // `ci_quantile(exp(seq(0, 1, by = 0.01)), ...)`, as scipy's tests of `quantile_test` record
        // it: exp(0.20) and exp(0.39) for p = 0.3 at 95 %, exp(0.41) and exp(0.59) for p = 0.5 at
        // 90 %. The sample's rank r is exp((r - 1) / 100). Coverages: scipy 1.17 `binom.cdf`.
        for (p, c, lower, upper, coverage) in
            [(0.3, 0.95, 21, 40, 0.960924137552), (0.5, 0.90, 42, 60, 0.927242993122)]
        {
            let ranks = interval(101, p, c).expect("enough of them");
            assert_eq!((ranks.lower, ranks.upper), (lower, upper));
            assert_close(ranks.coverage, coverage, 1e-12);
        }
        // One-sided, from the same place: exp(0.33) for p = 0.25 at 95 %, exp(0.75) for p = 0.8
        // at 90 %.
        assert_eq!(upper_rank(101, 0.25, 0.95), Some(34));
        assert_eq!(lower_rank(101, 0.8, 0.90), Some(76));
    }

    #[test]
    fn each_rank_is_the_last_that_keeps_to_its_tail() {
        // By summing the binomial's terms, which shares nothing with the incomplete beta function.
        fn at_most_by_terms(k: u64, n: u64, p: f64) -> f64 {
            let mut term = (1.0 - p).powi(i32::try_from(n).expect("small"));
            let mut sum = term;
            for i in 0..k {
                term *= (n - i) as f64 / (i + 1) as f64 * p / (1.0 - p);
                sum += term;
            }
            sum
        }
        for n in [30, 100, 299] {
            for p in [0.1, 0.5, 0.9] {
                let Ranks { lower, upper, coverage } = interval(n, p, 0.8).expect("enough of them");
                let tail = 0.1;
                assert!(at_most_by_terms(lower - 1, n, p) <= tail, "{n} {p}");
                assert!(at_most_by_terms(lower, n, p) > tail, "{n} {p}");
                assert!(1.0 - at_most_by_terms(upper - 1, n, p) <= tail, "{n} {p}");
                assert!(1.0 - at_most_by_terms(upper - 2, n, p) > tail, "{n} {p}");
                assert!(coverage >= 0.8 && lower < upper, "{n} {p}");
            }
        }
    }

    #[test]
    fn a_sample_without_an_extreme_enough_observation_has_no_bound() {
        // Published: the median needs 6 for a 95 % interval; the maximum of 59 bounds the 95th
        // percentile, that of 299 the 99th, with 95 %.
        assert_eq!(interval(5, 0.5, 0.95), None);
        let six = interval(6, 0.5, 0.95).expect("six are enough");
        assert_eq!((six.lower, six.upper), (1, 6));
        assert_eq!((upper_rank(58, 0.95, 0.95), upper_rank(59, 0.95, 0.95)), (None, Some(59)));
        assert_eq!((upper_rank(298, 0.99, 0.95), upper_rank(299, 0.99, 0.95)), (None, Some(299)));
        assert_eq!(interval(298, 0.99, 0.90), None, "one side is not an interval");
        assert_eq!((interval(0, 0.5, 0.95), lower_rank(0, 0.5, 0.95)), (None, None));
    }

    #[test]
    fn large_samples_are_no_harder() {
        // scipy 1.17: binom(1e7, 0.99).ppf(0.025) and .ppf(0.975) + 1.
        let ranks = interval(10_000_000, 0.99, 0.95).expect("enough of them");
        assert_eq!((ranks.lower, ranks.upper), (9_899_383, 9_900_617));
    }

    #[test]
    fn what_is_no_probability_has_no_rank() {
        for (p, c) in [(0.0, 0.9), (1.0, 0.9), (f64::NAN, 0.9), (0.5, 0.0), (0.5, 1.0), (0.5, -0.5)]
        {
            assert_eq!(interval(100, p, c), None, "{p} {c}");
        }
        assert_eq!(interval(100, 0.5, f64::NAN), None);
    }
}
