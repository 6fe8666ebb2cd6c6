//! The regularised incomplete beta function and the quantiles of the beta and gamma laws.
//!
//! Exists because statrs (0.19) does not carry the sizes of a load test: its `beta_reg` stops its
//! continued fraction after 140 terms (off by 0.14 of probability for Beta(5e6, 5e6 + 1) at the
//! median), and its `inv_beta_reg` does not return for Beta(1, 1e7) at 0.95, which is no failure
//! in ten million. Its `gamma_lr` is good to 1e-7 up to shapes of 1e8 and is used here; its gamma
//! quantile loses shapes far below one, so quantiles are found by bisection.
//!
//! Sources: the continued fraction is Numerical Recipes (3rd ed.) 6.4 by Lentz's method; the
//! factor before it is C. Loader, "Fast and accurate computation of binomial probabilities"
//! (2000), which keeps full relative precision where differences of log-gammas cancel.
//!
//! Must never be asked for arguments outside a function's domain: callers check their own.

use std::f64::consts::PI;

use statrs::function::gamma::{gamma_lr, ln_gamma};

/// More terms than a continued fraction needs below shapes of 1e12 (it needs some √shape).
const TERMS_MAX: u32 = 10_000_000;

/// P(X <= x) of Beta(a, b), for a, b > 0.
pub(super) fn beta_cdf(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = beta_front(a, b, x);
    // The fraction converges fast only below the mean; above it, the mirror image is below.
    let value = if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, 1.0 - x) / b
    };
    value.clamp(0.0, 1.0)
}

/// The x with P(X <= x) = q of Beta(a, b), to the last bit that the cdf can tell.
pub(super) fn beta_quantile(a: f64, b: f64, q: f64) -> f64 {
    bisect(1.0, |x| beta_cdf(a, b, x) < q)
}

/// The x with P(X <= x) = q of Gamma(shape, 1), for shape > 0 and 0 < q < 1.
pub(super) fn gamma_quantile(shape: f64, q: f64) -> f64 {
    let mut high = shape.max(1.0);
    while gamma_lr(shape, high) < q {
        high *= 2.0;
    }
    bisect(high, |x| gamma_lr(shape, x) < q)
}

/// The smallest x in `(0, high]` that is not `below`, for a `below` that is true first and then
/// false. Halves the *bit patterns*: positive floats stand in the order of their bits, so that 63
/// steps give full relative precision near 0 as well.
fn bisect(high: f64, below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0, high.to_bits());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if below(f64::from_bits(middle)) { low = middle } else { high = middle }
    }
    f64::from_bits(high)
}

/// x^a (1-x)^b / B(a, b)
fn beta_front(a: f64, b: f64, x: f64) -> f64 {
    let n = a + b;
    let log = stirling_error(n)
        - stirling_error(a)
        - stirling_error(b)
        - deviance(a, n * x)
        - deviance(b, n * (1.0 - x));
    log.exp() * (a * b / (2.0 * PI * n)).sqrt()
}

/// ln Γ(z+1) minus Stirling's formula for it.
fn stirling_error(z: f64) -> f64 {
    if z <= 15.0 {
        return ln_gamma(z + 1.0) - (z + 0.5) * z.ln() + z - 0.5 * (2.0 * PI).ln();
    }
    let w = 1.0 / (z * z);
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - w / 1188.0) * w) * w) * w) / z
}

/// x ln(x/mean) + mean - x, without the cancellation when x is near the mean.
fn deviance(x: f64, mean: f64) -> f64 {
    if (x - mean).abs() >= 0.1 * (x + mean) {
        return x * (x / mean).ln() + mean - x;
    }
    let v = (x - mean) / (x + mean);
    let mut sum = (x - mean) * v;
    let mut term = 2.0 * x * v;
    let mut odd = 1.0;
    loop {
        term *= v * v;
        odd += 2.0;
        let next = sum + term / odd;
        if next == sum {
            return sum;
        }
        sum = next;
    }
}

/// Lentz's evaluation of the continued fraction of the incomplete beta function.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..TERMS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for numerator in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + numerator * d);
            c = away_from_zero(1.0 + numerator / c);
            step = c * d;
            value *= step;
        }
        if (step - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::assert_close;
    use super::*;

    #[test]
    fn the_beta_cdf_is_right_from_small_shapes_to_ten_million() {
        // The first three: mpmath 1.4 `betainc(..., regularized=True)` at 40 digits; the others:
        // scipy 1.17 `betainc` (Boost), where statrs is off by up to 0.14.
        for (a, b, x, expected) in [
            (2.5, 7.25, 0.3, 0.660482273582),
            (0.1, 10.9, 1e-12, 0.0838662711696),
            (1.0, 1e7, 3e-7, 0.950212954036),
            (5e6, 5_000_001.0, 0.5, 0.500126156623),
            (5e6, 5_000_001.0, 0.4999, 0.263647919838),
            (3_000_001.0, 7e6, 0.3002, 0.916139689000),
            (500_001.0, 500_000.0, 0.4992, 0.0546883018596),
        ] {
            assert_close(beta_cdf(a, b, x), expected, 1e-10);
            if x > 0.001 {
                // The mirror image, where 1 - x has digits enough to tell x.
                assert_close(1.0 - beta_cdf(b, a, 1.0 - x), expected, 1e-8);
            }
        }
    }

    #[test]
    fn the_beta_cdf_ends_at_nought_and_one() {
        assert_eq!(beta_cdf(3.0, 4.0, 0.0).to_bits(), 0);
        assert_eq!(beta_cdf(3.0, 4.0, 1.0).to_bits(), 1.0_f64.to_bits());
        // No further below one than the last bit, and never above.
        let nearly = beta_cdf(3.0, 0.001, 1.0 - f64::EPSILON);
        assert!(0.0 < nearly && nearly < 1.0, "{nearly}");
    }

    #[test]
    fn quantiles_invert_their_cdf() {
        for shape in [0.3, 1.0, 17.5, 1e4, 1e7] {
            for q in [0.01, 0.05, 0.5, 0.95, 0.99] {
                // The factor before statrs' series loses digits with the shape; see the head.
                assert_close(gamma_lr(shape, gamma_quantile(shape, q)), q, 1e-7);
                for other in [0.7, 3.0, 1e7] {
                    // Next to 1 the last bit of x is worth as much as 1e-7 of probability.
                    assert_close(beta_cdf(shape, other, beta_quantile(shape, other, q)), q, 1e-6);
                }
            }
        }
    }

    #[test]
    fn quantiles_keep_their_digits_next_to_nought() {
        // scipy 1.17 `betaincinv` and `gammaincinv`; statrs answers 4.4e-18 and 9.3e-10.
        assert_close(beta_quantile(0.01, 1.99, 0.01), 3.721_033_266_422_804e-201, 1e-10);
        assert_close(gamma_quantile(0.1, 0.01), 6.073_048_362_407_912e-21, 1e-10);
    }
}
