//! Exact (Garwood) bounds on a rate, from a count of events and the exposure it was seen in.
//!
//! Source: F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936), in
//! its gamma form: the lower bound on the mean is the `1 - confidence` quantile of Gamma(count),
//! the upper one the `confidence` quantile of Gamma(count + 1) (half the chi-square quantiles with
//! twice the degrees of freedom). Gamma quantiles take real arguments, so that clustered events
//! can be put in as `count/deff` in `exposure/deff`.
//!
//! Must never answer for an exposure of zero: nobody looked.

use super::is_confidence;
use super::special::gamma_quantile;

/// Two bounds on a rate, in events per unit of exposure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The rate is above this, or nothing was seen and this is 0.
    pub lower: f64,
    /// The rate is below this.
    pub upper: f64,
}

/// One-sided: the rate that the true one exceeds with `confidence`. 0 when `count` is 0.
///
/// `None` unless `count >= 0` and `exposure > 0`, both finite, and `0 < confidence < 1`.
#[must_use]
pub fn lower(count: f64, exposure: f64, confidence: f64) -> Option<f64> {
    check(count, exposure, confidence)?;
    Some(if count == 0.0 { 0.0 } else { gamma_quantile(count, 1.0 - confidence) / exposure })
}

/// One-sided: the rate that the true one stays below with `confidence`.
///
/// `None` as in [`lower`].
#[must_use]
pub fn upper(count: f64, exposure: f64, confidence: f64) -> Option<f64> {
    check(count, exposure, confidence)?;
    let mean = if count == 0.0 {
        // No event: e^(-mean) = 1 - confidence.
        -(-confidence).ln_1p()
    } else {
        gamma_quantile(count + 1.0, confidence)
    };
    Some(mean / exposure)
}

/// Two-sided: what is not `confidence` is halved, one half outside each end.
///
/// `None` as in [`lower`].
#[must_use]
pub fn interval(count: f64, exposure: f64, confidence: f64) -> Option<Interval> {
    check(count, exposure, confidence)?;
    let one_sided = 0.5 + confidence / 2.0;
    Some(Interval {
        lower: lower(count, exposure, one_sided)?,
        upper: upper(count, exposure, one_sided)?,
    })
}

/// The rule of three: what "none was seen" in `n` trials, or in an exposure of `n`, still allows
/// at 95 %, namely 3/n.
///
/// A rounding of ln 20 = 2.996 that errs on the safe side for rates and for proportions alike
/// (J. A. Hanley and A. Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249,
/// 1983). It stands beside counts that must be zero; verdicts use the exact bounds. `None` unless
/// `n` is positive and finite.
#[must_use]
pub fn rule_of_three(n: f64) -> Option<f64> {
    (n > 0.0 && n.is_finite()).then(|| 3.0 / n)
}

fn check(count: f64, exposure: f64, confidence: f64) -> Option<()> {
    let sample = 0.0 <= count && count.is_finite() && exposure > 0.0 && exposure.is_finite();
    (sample && is_confidence(confidence)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::super::assert_close;
    use super::*;

    #[test]
    fn two_sided_bounds_are_those_of_the_published_table() {
        // Garwood (1936), 95 %, as every table of Poisson limits repeats it.
        for (count, low, high) in [
            (0.0, "0.000", "3.689"),
            (1.0, "0.025", "5.572"),
            (5.0, "1.623", "11.668"),
            (10.0, "4.795", "18.390"),
        ] {
            let got = interval(count, 1.0, 0.95).expect("an exposure");
            assert_eq!(format!("{:.3}", got.lower), low);
            assert_eq!(format!("{:.3}", got.upper), high);
        }
    }

    #[test]
    fn one_sided_bounds_agree_with_scipy_for_whole_and_real_counts() {
        // scipy 1.17: `gammaincinv(count, 1-c)` and `gammaincinv(count+1, c)`.
        for (count, c, low, high) in [
            (1.0, 0.95, 0.0512932943876, 4.74386451839),
            (5.0, 0.95, 1.97014956806, 10.5130349087),
            (10.0, 0.95, 5.42540569709, 16.9622192357),
            (2.5, 0.95, 0.572738113031, 7.03357022467),
            (0.3, 0.99, 1.50222265524e-7, 5.26131062939),
            (1e6, 0.95, 998355.715084, 1001646.42277),
            (1e7, 0.95, 9994799.08470, 10005203.0526),
        ] {
            assert_close(lower(count, 1.0, c).expect("an exposure"), low, 1e-10);
            assert_close(upper(count, 1.0, c).expect("an exposure"), high, 1e-10);
        }
    }

    #[test]
    fn exposure_divides_and_each_half_is_one_sided() {
        let got = interval(7.0, 600.0, 0.9).expect("an exposure");
        let one_sided = (lower(7.0, 1.0, 0.95), upper(7.0, 1.0, 0.95));
        assert_close(got.lower * 600.0, one_sided.0.expect("an exposure"), 1e-12);
        assert_close(got.upper * 600.0, one_sided.1.expect("an exposure"), 1e-12);
    }

    #[test]
    fn no_event_leaves_ln_20_and_the_rule_of_three_rounds_it_up() {
        assert_eq!(lower(0.0, 50.0, 0.95), Some(0.0));
        let exact = upper(0.0, 50.0, 0.95).expect("an exposure");
        assert_close(exact * 50.0, 20.0_f64.ln(), 1e-14);
        let rule = rule_of_three(50.0).expect("an exposure");
        assert!(exact < rule && rule < exact * 1.002, "{exact} {rule}");
        // The upper bound has no step at the first sliver of an event.
        assert_close(upper(1e-9, 50.0, 0.95).expect("an exposure"), exact, 1e-8);
    }

    #[test]
    fn where_nobody_looked_there_is_no_bound() {
        for (count, exposure, c) in [
            (0.0, 0.0, 0.95),
            (1.0, -1.0, 0.95),
            (-1.0, 1.0, 0.95),
            (f64::NAN, 1.0, 0.95),
            (f64::INFINITY, 1.0, 0.95),
            (1.0, f64::NAN, 0.95),
            (1.0, 1.0, 1.0),
            (1.0, 1.0, -0.5),
            (1.0, 1.0, f64::NAN),
        ] {
            assert_eq!(lower(count, exposure, c), None, "{count} in {exposure} at {c}");
            assert_eq!(upper(count, exposure, c), None, "{count} in {exposure} at {c}");
            assert_eq!(interval(count, exposure, c), None, "{count} in {exposure} at {c}");
        }
        assert_eq!((rule_of_three(0.0), rule_of_three(f64::NAN)), (None, None));
    }
}
