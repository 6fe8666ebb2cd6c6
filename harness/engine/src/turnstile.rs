//! The ceiling of connects (`target.connect_rate_max`): every connect of a client takes its turn, first ones and
//! returns, over all threads. A connect is due when its turn comes, so that what it waits for is none of `connect`;
//! `time_to_recovered`, which runs from the cut, has it in it, as it has the back-off.

use std::sync::atomic::{AtomicU64, Ordering};

use khala_evidence::record::Micros;
use khala_plan::Plan;

/// Gives turns at equal gaps.
#[derive(Debug)]
pub struct Turnstile {
    gap_us: u64,
    next: AtomicU64,
}

impl Turnstile {
    /// That of a plan; `None` where nothing holds connects down.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a checked plan's rate is at least 0.01 a second"
    )]
    pub fn of(plan: &Plan) -> Option<Self> {
        let per_s = plan.target.connect_rate_max?;
        Some(Self { gap_us: (1e6 / per_s).ceil() as u64, next: AtomicU64::new(0) })
    }

    /// The next turn, not before `now`; whoever asks has taken it.
    pub fn turn(&self, now: Micros) -> Micros {
        let after = |next: Micros| Some(next.max(now).saturating_add(self.gap_us));
        let before = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        before.unwrap_or_else(|next| next).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_a_gap_apart_and_what_nobody_took_is_not_caught_up() {
        let turnstile = Turnstile { gap_us: 200, next: AtomicU64::new(0) };
        let at_once: Vec<_> = (0..4).map(|_| turnstile.turn(1_000)).collect();
        assert_eq!(at_once, [1_000, 1_200, 1_400, 1_600]);
        assert_eq!(turnstile.turn(1_500), 1_800, "the others are in front");
        assert_eq!((turnstile.turn(9_000), turnstile.turn(9_000)), (9_000, 9_200));
    }
}
