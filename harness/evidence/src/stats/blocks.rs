//! How long the blocks of a bootstrap have to be: by the autocorrelation of the series itself.
//!
//! Source: D. N. Politis and H. White, "Automatic block-length selection for the dependent
//! bootstrap", Econometric Reviews 23 (2004), with the correction of A. Patton, D. N. Politis and
//! H. White, Econometric Reviews 28 (2009), for blocks of a fixed length (circular or moving). The
//! constants (at least 5 lags looked at, c = 2, blocks of at most 3 √n and a third of the series)
//! are those of Patton's own implementation.

/// The length of a moving block for a series in the order of time, in elements: at least 1.
///
/// 1 for a series that does not vary, or that is too short to say anything (fewer than 8).
#[must_use]
pub fn length(series: &[f64]) -> usize {
    let len = series.len();
    if len < 8 || series.iter().any(|value| !value.is_finite()) {
        return 1;
    }
    let n = len as f64;
    let mean = series.iter().sum::<f64>() / n;
    let centred: Vec<f64> = series.iter().map(|value| value - mean).collect();
    let covariance =
        |lag: usize| centred[lag..].iter().zip(&centred).map(|(a, b)| a * b).sum::<f64>() / n;
    let variance = covariance(0);
    if variance <= f64::EPSILON * mean * mean {
        return 1;
    }
    let looked_at = (n.log10().sqrt().ceil() as usize).max(5);
    let lag_max = (n.sqrt().ceil() as usize + looked_at).min(len - 1);
    let covariances: Vec<f64> = (0..=lag_max).map(covariance).collect();
    let noise = 2.0 * (n.log10() / n).sqrt() * variance;
    let silent =
        |lag: &usize| (lag + 1..=lag + looked_at).all(|lag| covariances[lag].abs() < noise);
    // The lag after which nothing stands out of the noise; else the last that does.
    let last = (0..=lag_max - looked_at).find(silent).unwrap_or_else(|| {
        (1..=lag_max).rev().find(|&lag| covariances[lag].abs() >= noise).unwrap_or(1)
    });
    let window = (2 * last.max(1)).min(lag_max);
    let (mut spectrum, mut slope) = (variance, 0.0);
    for (lag, covariance) in covariances.iter().enumerate().take(window + 1).skip(1) {
        // The flat-top window: 1 for half of it, then down to 0.
        let weight = (2.0 * (1.0 - lag as f64 / window as f64)).min(1.0);
        spectrum += 2.0 * weight * covariance;
        slope += 2.0 * weight * lag as f64 * covariance;
    }
    let longest = (3.0 * n.sqrt()).min(n / 3.0).ceil();
    if spectrum <= 0.0 {
        return longest as usize;
    }
    let optimal = (1.5 * slope * slope / (spectrum * spectrum)).cbrt() * n.cbrt();
    optimal.clamp(1.0, longest).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First-order autoregression by a fixed linear congruential generator.
    fn series(len: usize, phi: f64) -> Vec<f64> {
        let mut state = 12_345_u64;
        let mut last = 0.0;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            last = phi * last + (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
            last
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn blocks_grow_with_the_autocorrelation_and_keep_to_a_third_of_the_series() {
        let of = |phi| length(&series(2_000, phi));
        let (none, some, much) = (of(0.0), of(0.5), of(0.94));
        assert!(none <= 5, "{none}");
        // For a first-order autoregression the optimum is (√6 φ/(1 - φ²))^(2/3) n^(1/3): 17 and 93.
        assert!((12..=24).contains(&some), "{some}");
        assert!((60..=135).contains(&much), "{much}");
        assert!(length(&series(30, 0.99)) <= 10);
    }

    #[test]
    fn what_does_not_vary_or_is_too_short_takes_single_draws() {
        assert_eq!((length(&[]), length(&[1.0; 7]), length(&[0.3; 400])), (1, 1, 1));
        assert_eq!(length(&[f64::NAN; 40]), 1);
    }
}
