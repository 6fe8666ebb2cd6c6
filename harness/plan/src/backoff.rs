//! Reconnect delays of the real clients: fixed, or exponential with a cap, with jitter or without.

use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::draw::{self, Purpose};

/// A reconnect delay as a function of the attempt (1 is the first reconnect).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// Delay of the first step.
    base: Duration,
    /// Subtracted from the attempt to get the exponent.
    exponent_offset: u32,
    /// Largest exponent; 0 makes the delay fixed.
    exponent_max: u32,
    /// Largest delay before jitter.
    cap: Duration,
    /// Largest share of the delay that is added, drawn evenly; 0 is no jitter.
    jitter: f64,
}

impl Backoff {
    /// The same delay at every attempt.
    #[must_use]
    pub fn fixed(delay: Duration) -> Self {
        Self { base: delay, exponent_offset: 0, exponent_max: 0, cap: delay, jitter: 0.0 }
    }

    /// `base × 2^min(attempt − offset, exponent_max)`, at most `cap`, plus up to `jitter` of it.
    #[must_use]
    pub fn exponential(
        base: Duration,
        exponent_offset: u32,
        exponent_max: u32,
        cap: Duration,
        jitter: f64,
    ) -> Self {
        Self { base, exponent_offset, exponent_max, cap, jitter }
    }

    /// Delay before reconnect number `attempt` (from 1) of a client.
    #[must_use]
    pub fn delay(&self, seed: u64, client: u32, attempt: u32) -> Duration {
        let exponent = attempt.saturating_sub(self.exponent_offset).min(self.exponent_max);
        let delay = self.base.saturating_mul(1_u32 << exponent.min(31)).min(self.cap);
        if self.jitter <= 0.0 {
            return delay;
        }
        let share = draw::rng(seed, Purpose::Jitter, client.into(), attempt.into())
            .random_range(0.0..=self.jitter);
        delay + delay.mul_f64(share)
    }

    /// Base, exponent offset, largest exponent, cap and jitter: what a scenario says of it.
    pub(crate) fn parts(&self) -> (Duration, u32, u32, Duration, f64) {
        (self.base, self.exponent_offset, self.exponent_max, self.cap, self.jitter)
    }

    /// The longest delay there can be, jitter included.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.cap + self.cap.mul_f64(self.jitter.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use crate::surface::Surface;

    fn delays_ms(surface: Surface, attempts: std::ops::RangeInclusive<u32>) -> Vec<u128> {
        let backoff = surface.default_backoff();
        attempts.map(|attempt| backoff.delay(42, 7, attempt).as_millis()).collect()
    }

    #[test]
    fn surfaces_without_jitter_follow_the_contract_to_the_millisecond() {
        assert_eq!(delays_ms(Surface::Desktop, 1..=3), [2_000, 2_000, 2_000]);
        assert_eq!(delays_ms(Surface::WebShell, 1..=6), [750, 1_500, 3_000, 6_000, 8_000, 8_000]);
    }

    #[test]
    fn ios_adds_up_to_half_and_the_same_seed_adds_the_same() {
        for (attempt, base) in [(1, 250), (2, 500), (3, 1_000), (6, 8_000), (40, 8_000)] {
            let delay = delays_ms(Surface::Ios, attempt..=attempt)[0];
            assert!((base..=base * 3 / 2).contains(&delay), "attempt {attempt}: {delay} ms");
        }
        assert_eq!(delays_ms(Surface::Ios, 1..=9), delays_ms(Surface::Ios, 1..=9));
    }

    #[test]
    fn the_longest_delay_bounds_every_attempt() {
        for surface in Surface::ALL {
            let backoff = surface.default_backoff();
            assert!((0..50).all(|attempt| backoff.delay(1, 1, attempt) <= backoff.longest()));
        }
    }
}
