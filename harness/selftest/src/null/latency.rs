//! How long a delivery takes: a distribution, and the draw of one delivery.

use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, LogNormal};

/// From taking an event to handing it to a client's socket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Always the same.
    Constant(Duration),
    /// `median · exp(sigma · z)`, z standard normal.
    LogNormal {
        /// Half of the draws are below it.
        median: Duration,
        /// Spread of the logarithm, 0 to 3.
        sigma: f64,
    },
}

impl Latency {
    /// Largest spread of a lognormal: at 3, one draw in a thousand is ten thousand times the median.
    pub const SIGMA_MAX: f64 = 3.0;
    /// Longest delay there is, whatever is drawn.
    pub const MAX: Duration = Duration::from_secs(60);

    /// The delay of one event for one client: a function of its arguments alone.
    #[must_use]
    pub fn draw(self, seed: u64, client: u64, event: u64) -> Duration {
        match self {
            Self::Constant(delay) => delay.min(Self::MAX),
            Self::LogNormal { median, sigma } => {
                let sigma = if sigma.is_nan() { 0.0 } else { sigma.clamp(0.0, Self::SIGMA_MAX) };
                let Ok(factor) = LogNormal::new(0.0, sigma) else { return median };
                let factor = factor.sample(&mut rng(seed, client, event));
                // Bounded before it becomes a duration, which has a largest one.
                let seconds = (median.as_secs_f64() * factor).min(Self::MAX.as_secs_f64());
                Duration::from_secs_f64(seconds)
            }
        }
    }
}

fn rng(seed: u64, client: u64, event: u64) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, client, event]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arguments_draw_alike_and_each_counts() {
        let latency = Latency::LogNormal { median: Duration::from_millis(200), sigma: 0.5 };
        let base = latency.draw(1, 2, 3);
        assert_eq!(base, latency.draw(1, 2, 3));
        for (seed, client, event) in [(9, 2, 3), (1, 9, 3), (1, 2, 9)] {
            assert_ne!(base, latency.draw(seed, client, event));
        }
    }

    #[test]
    fn a_lognormal_has_its_median_and_its_99th_percentile() {
        let median = Duration::from_millis(200);
        let latency = Latency::LogNormal { median, sigma: 0.5 };
        let mut draws: Vec<_> = (0..20_000).map(|event| latency.draw(7, 0, event)).collect();
        draws.sort_unstable();
        let at = |rank: usize| draws[rank].as_secs_f64();
        assert!((at(10_000) / 0.2 - 1.0).abs() < 0.02, "{}", at(10_000));
        // exp(0.5 · 2.3263) of the median.
        assert!((at(19_800) / (0.2 * 3.2) - 1.0).abs() < 0.05, "{}", at(19_800));
    }

    #[test]
    fn no_draw_is_longer_than_the_longest() {
        let median = Duration::from_secs(50);
        for latency in [
            Latency::LogNormal { median, sigma: f64::INFINITY },
            Latency::LogNormal { median, sigma: f64::NAN },
            Latency::Constant(Duration::MAX),
        ] {
            assert!((0..1_000).all(|event| latency.draw(1, 0, event) <= Latency::MAX));
        }
    }
}
