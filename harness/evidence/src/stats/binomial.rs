//! One-sided Clopper-Pearson bounds on a proportion, and the sample that a claim needs.
//!
//! Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated
//! in the case of the binomial", Biometrika 26 (1934), in its beta form: the lower bound is the
//! `1 - confidence` quantile of Beta(x, n - x + 1), the upper one the `confidence` quantile of
//! Beta(x + 1, n - x). Beta quantiles take real arguments, so that a clustered sample can be put
//! in as `x/deff` of `n/deff` (E. L. Korn and B. I. Graubard, Survey Methodology 24, 1998).
//!
//! Must never round x or n to whole numbers, and never answer for a sample that is none.

use super::is_confidence;
use super::special::{beta_cdf, beta_quantile};

/// Above this, a whole number of trials is not a whole number as an `f64`.
const N_MAX: u64 = 1 << 53;

/// The proportion that the true one exceeds with `confidence`, from `x` bad ones in `n`.
///
/// 0 when `x` is 0. `None` unless `0 <= x <= n`, `n > 0` and `0 < confidence < 1`.
#[must_use]
pub fn lower(x: f64, n: f64, confidence: f64) -> Option<f64> {
    check(x, n, confidence)?;
    Some(if x == 0.0 {
        0.0
    } else if x == n {
        // All bad: (1 - confidence)^(1/n).
        ((-confidence).ln_1p() / n).exp()
    } else {
        beta_quantile(x, n - x + 1.0, 1.0 - confidence)
    })
}

/// The proportion that the true one stays below with `confidence`, from `x` bad ones in `n`.
///
/// 1 when `x` is `n`. `None` as in [`lower`].
#[must_use]
pub fn upper(x: f64, n: f64, confidence: f64) -> Option<f64> {
    check(x, n, confidence)?;
    Some(if x == n {
        1.0
    } else if x == 0.0 {
        // None bad: 1 - (1 - confidence)^(1/n).
        -((-confidence).ln_1p() / n).exp_m1()
    } else {
        beta_quantile(x + 1.0, n - x, confidence)
    })
}

/// The fewest independent trials, `bad` of them bad, from which "the proportion is at most `p`"
/// follows with `confidence`: the smallest n with `upper(bad, n, confidence) <= p`.
///
/// `None` unless `p` and `confidence` lie strictly between 0 and 1, or when no countable sample
/// is enough.
#[must_use]
pub fn min_n_for_claim(p: f64, confidence: f64, bad: u64) -> Option<u64> {
    if !(0.0 < p && p < 1.0 && is_confidence(confidence)) {
        return None;
    }
    // The upper bound is at most p where the chance of no more than `bad` is at most
    // 1 - confidence, and that chance falls as n grows.
    let enough = |n: u64| beta_cdf(bad as f64 + 1.0, (n - bad) as f64, p) >= confidence;
    // One trial more than bad ones is the least that has an upper bound below 1.
    let mut few = bad.checked_add(1)?;
    if enough(few) {
        return Some(few);
    }
    let mut many = few;
    while !enough(many) {
        few = many;
        many = many.checked_mul(2).filter(|&n| n <= N_MAX)?;
    }
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        if enough(middle) { many = middle } else { few = middle }
    }
    Some(many)
}

fn check(x: f64, n: f64, confidence: f64) -> Option<()> {
    // Written so that a NaN anywhere fails it.
    let sample = n > 0.0 && n.is_finite() && 0.0 <= x && x <= n;
    (sample && is_confidence(confidence)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::super::assert_close;
    use super::*;

    #[test]
    fn bounds_agree_with_scipy_for_whole_and_real_arguments() {
        // scipy 1.17: `betaincinv(x, n-x+1, 1-c)` and `betaincinv(x+1, n-x, c)`.
        for (x, n, c, low, high) in [
            (3.0, 10.0, 0.95, 0.0872644339142, 0.606624216105),
            (1.0, 10.0, 0.95, 0.00511619689182, 0.394163302437),
            (9.0, 1000.0, 0.975, 0.00412339566034, 0.0170157830699),
            (2.5, 40.25, 0.95, 0.0143974168117, 0.165139442751),
            (0.4, 12.5, 0.99, 5.79203862893e-7, 0.359190800323),
            (12.0, 299.5, 0.95, 0.0232789962799, 0.0641094197171),
            (1.0, 1e7, 0.95, 5.12932942560e-9, 4.74386362984e-7),
            (1e5, 1e7, 0.95, 0.00994830067050, 0.0100519090144),
            (1e6, 1e7, 0.99, 0.0997794109653, 0.100220904434),
            (5e6, 1e7, 0.95, 0.499739875830, 0.500260124170),
            (1e7 - 1.0, 1e7, 0.95, 0.999999525614, 0.999999994871),
        ] {
            assert_close(lower(x, n, c).expect("a sample"), low, 1e-10);
            assert_close(upper(x, n, c).expect("a sample"), high, 1e-10);
        }
    }

    #[test]
    fn none_bad_and_all_bad_are_exact() {
        // Closed forms, the numbers from mpmath: 1 - 0.05^(1/n) and 0.05^(1/n).
        for (n, none_bad) in [(10.0, 0.258865550893), (1e7, 2.99573182483e-7)] {
            assert_eq!(lower(0.0, n, 0.95), Some(0.0));
            assert_close(upper(0.0, n, 0.95).expect("a sample"), none_bad, 1e-11);
            assert_eq!(upper(n, n, 0.95), Some(1.0));
            assert_close(lower(n, n, 0.95).expect("a sample"), 1.0 - none_bad, 1e-11);
        }
    }

    #[test]
    fn the_bounds_have_no_step_where_a_closed_form_takes_over() {
        let (near, at) = (upper(1e-9, 50.0, 0.95), upper(0.0, 50.0, 0.95));
        assert_close(near.expect("a sample"), at.expect("a sample"), 1e-8);
        let (near, at) = (lower(50.0 - 1e-9, 50.0, 0.95), lower(50.0, 50.0, 0.95));
        assert_close(near.expect("a sample"), at.expect("a sample"), 1e-8);
    }

    #[test]
    fn a_design_effect_widens_both_bounds() {
        let (x, n) = (20.0, 1000.0);
        let width = |deff: f64| {
            let high = upper(x / deff, n / deff, 0.95).expect("a sample");
            high - lower(x / deff, n / deff, 0.95).expect("a sample")
        };
        assert!(width(1.0) < width(2.0) && width(2.0) < width(7.3));
        // A design effect as large as the sample leaves next to nothing known.
        assert!(width(1000.0) > 0.9, "{}", width(1000.0));
    }

    #[test]
    fn what_is_no_sample_has_no_bound() {
        for (x, n, c) in [
            (0.0, 0.0, 0.95),
            (-1.0, 5.0, 0.95),
            (6.0, 5.0, 0.95),
            (f64::NAN, 5.0, 0.95),
            (1.0, f64::NAN, 0.95),
            (1.0, f64::INFINITY, 0.95),
            (1.0, 5.0, 0.0),
            (1.0, 5.0, 1.0),
            (1.0, 5.0, f64::NAN),
        ] {
            assert_eq!((lower(x, n, c), upper(x, n, c)), (None, None), "{x} of {n} at {c}");
        }
    }

    #[test]
    fn a_claim_needs_the_published_number_of_samples() {
        // Published tables of success-run and c = 1, 2, 3, 5 plans, and scipy's `binom.cdf`.
        for (p, confidence, bad, n) in [
            (0.01, 0.95, 0, 299),
            (0.01, 0.95, 1, 473),
            (0.01, 0.95, 2, 628),
            (0.01, 0.95, 3, 773),
            (0.01, 0.95, 5, 1049),
            (0.001, 0.95, 0, 2995),
            (0.001, 0.95, 1, 4742),
            (0.001, 0.99, 0, 4603),
            (0.05, 0.95, 0, 59),
            (0.05, 0.95, 1, 93),
            (0.5, 0.95, 0, 5),
            (0.5, 0.95, 4, 16),
        ] {
            assert_eq!(min_n_for_claim(p, confidence, bad), Some(n), "{bad} bad at {p}");
            let bound = |n: u64| upper(bad as f64, n as f64, confidence).expect("a sample");
            assert!(bound(n) <= p && p < bound(n - 1), "the bound says the same");
        }
    }

    #[test]
    fn a_claim_that_no_sample_can_carry_has_no_size() {
        for p in [0.0, 1.0, -0.1, f64::NAN, 1e-300] {
            assert_eq!(min_n_for_claim(p, 0.95, 0), None, "{p}");
        }
        assert_eq!(min_n_for_claim(0.01, 1.0, 0), None);
        assert_eq!(min_n_for_claim(0.01, 0.95, u64::MAX), None);
        // One trial is enough when little is claimed.
        assert_eq!(min_n_for_claim(0.99, 0.95, 0), Some(1));
    }
}
