//! Rule `no_convergence`: from each connect, a live client has its replay complete and reaches head
//! within the bound.
//!
//! The clock starts when the client first gets a socket and is *not* restarted by reconnects that
//! the target's silence forced, or a target that never answers would never be late. A planned fault
//! stops it. Lateness: undecided when the generator is unfit. Cases still open at the end of the run
//! within the bound are undecided. While the harness keeps a client slow its clock stands still, and
//! starts anew when it is let go. Cases: waits that ended, or that outlasted the bound.

use std::time::Duration;

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::Micros;

/// Judges a client that took from `since` to `at` to converge, or has not by `at`.
pub fn judge(
    client: u32,
    since: Micros,
    at: Micros,
    converged: bool,
    bound: Duration,
    tally: &mut Tally,
) {
    let waited = Duration::from_micros(at.saturating_sub(since));
    tally.judged(Rule::NoConvergence, u64::from(converged || waited > bound));
    if waited > bound {
        let message = if converged {
            format!("replay complete and at head only after {waited:.1?}; the bound is {bound:?}")
        } else {
            format!("no replay complete and at head after {waited:.1?}; the bound is {bound:?}")
        };
        let violation = Violation {
            at_us: since.saturating_add(u64::try_from(bound.as_micros()).unwrap_or(u64::MAX)),
            rule: Rule::NoConvergence,
            client: Some(client),
            topic: None,
            seqs: None,
            epoch: None,
            message,
        };
        tally.violate(violation, 0);
    } else if !converged {
        tally.undecided(Rule::NoConvergence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_itself_is_in_time_and_an_open_wait_within_it_is_undecided() {
        const RULE: Rule = Rule::NoConvergence;
        let of = |waited: u64, converged| {
            let mut tally = Tally::new(1);
            judge(1, 50, 50 + waited, converged, Duration::from_micros(1_000), &mut tally);
            let counted = tally.rule(RULE);
            assert!(tally.kept().iter().all(|violation| violation.at_us == 1_050));
            (tally.count(RULE), counted.judged, counted.undecided)
        };
        assert_eq!(of(1_000, true), (0, 1, 0));
        assert_eq!(of(1_001, true), (1, 1, 0));
        assert_eq!(of(1_000, false), (0, 0, 1));
        assert_eq!(of(1_001, false), (1, 1, 0));
        assert_eq!(of(10, false), (0, 0, 1));
    }
}
