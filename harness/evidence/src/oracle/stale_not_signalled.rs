//! Rule `stale_not_signalled`: a cursor below the retention floor, or further behind head than the
//! replay budget, is refused with `stale_cursor`.
//!
//! Bounds: floor and head only rise, so the last windows answered before the subscribe was sent
//! prove a cursor stale. Cases: cursors that were stale for sure, accepted or refused. Undecided: an
//! accepted cursor that the windows leave open (an ok reply's watermark bounds head as well), and one
//! in a list that was refused for another topic. Without any window of the topic nothing is judged.
//! Memory: the facts of [`cursors`](super::cursors).

use super::cursors::{Answer, Case};
use super::rule::Rule;
use super::tally::Tally;
use super::windows::Bounds;

/// Judges a cursor and what became of it.
pub fn judge(case: &Case<'_>, bounds: &Bounds, tally: &mut Tally) {
    let cursor = case.fact.cursor;
    if bounds.must_be_fresh(cursor) {
        return;
    }
    match case.fact.answer {
        Answer::Accepted { watermark } if bounds.must_be_stale(cursor) => {
            tally.judged(Rule::StaleNotSignalled, 1);
            let why = if cursor < bounds.floor_lo {
                format!("the floor was at {} or above", bounds.floor_lo)
            } else {
                let lag = bounds.head_lo.saturating_sub(cursor);
                format!("it was {lag} or more behind head, beyond the budget")
            };
            let message = format!(
                "cursor {cursor} was accepted, although {why} before the subscribe was sent{}",
                watermark.map(|seq| format!("; answered at {seq}")).unwrap_or_default()
            );
            tally.violate(case.violation(Rule::StaleNotSignalled, message), 0);
        }
        Answer::Accepted { watermark } => {
            // The reply says where the socket stands, so what was replayed was within the budget.
            let own = Bounds { head_hi: watermark.or(bounds.head_hi), ..*bounds };
            if !own.must_be_fresh(cursor) {
                tally.undecided(Rule::StaleNotSignalled);
            }
        }
        Answer::Refused { .. } => {
            let stale = u64::from(bounds.must_be_stale(cursor));
            tally.judged(Rule::StaleNotSignalled, stale);
        }
        Answer::RefusedForAnother => tally.undecided(Rule::StaleNotSignalled),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cursors::tests::{
        accepted, for_another, judged, refused, windows, windows_between,
    };
    use super::*;
    use crate::record::StaleReason;

    const RULE: Rule = Rule::StaleNotSignalled;

    #[test]
    fn an_accepted_cursor_below_the_floor_or_beyond_the_budget_is_a_violation() {
        let below = "the floor was at 10 or above";
        let beyond = "it was 51 or more behind head, beyond the budget";
        let at_the_floor = "it was 90 or more behind head, beyond the budget";
        for (cursor, budget, why) in [(9, 500, below), (49, 50, beyond), (10, 50, at_the_floor)] {
            let tally = judged(&[accepted(cursor, 100)], &windows(10, 100, budget));
            assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
            let message = &tally.kept()[0].message;
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn a_cursor_at_the_floor_or_at_the_budget_is_accepted() {
        let list = [accepted(10, 100), accepted(50, 100)];
        let tally = judged(&list, &windows(10, 100, 90));
        assert_eq!((tally.count(RULE), tally.undecided_total()), (0, 0));
    }

    #[test]
    fn a_stale_cursor_that_is_refused_is_a_case_that_held() {
        let tally = judged(&[refused(9, StaleReason::RetentionFloor)], &windows(10, 100, 500));
        assert_eq!((tally.total(), tally.rule(RULE).judged), (0, 1));
    }

    #[test]
    fn what_was_refused_for_another_topic_is_open_and_without_windows_nothing_is_judged() {
        let tally = judged(&[for_another(9)], &windows(10, 100, 500));
        assert_eq!(tally.rule(RULE).undecided, 1);
        let tally = judged(&[for_another(9), accepted(9, 100)], &Default::default());
        assert!(!tally.exercised(RULE));
    }

    #[test]
    fn the_replys_own_watermark_bounds_head() {
        // The later window is far ahead; the reply says where head was.
        let windows = windows_between((10, 100), (10, 200), 95);
        let tally = judged(&[accepted(10, 100)], &windows);
        assert_eq!(tally.undecided_total(), 0);
        let tally = judged(&[accepted(10, 106)], &windows);
        assert_eq!((tally.total(), tally.rule(RULE).undecided), (0, 1));
    }
}
