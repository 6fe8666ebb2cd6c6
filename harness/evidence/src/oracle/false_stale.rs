//! Rule `false_stale`: a cursor at or above the retention floor and within the replay budget is not
//! refused; nor is a topic without a cursor.
//!
//! Bounds: floor and head only rise, so the first windows asked after the reply prove a cursor fresh.
//! A refusal whose own floor, head and budget say fresh needs no windows; one that lacks any of them says
//! nothing. Cases: cursors that were
//! fresh for sure, and refusals that contradict themselves. Undecided: refusals that the windows
//! leave open, but not those of a snapshot's watermark, which are `bad_snapshot`'s. Without any
//! window of the topic only the refusal's own figures are judged. Memory: the facts of
//! [`cursors`](super::cursors).

use super::cursors::{Answer, Case};
use super::rule::Rule;
use super::tally::Tally;
use super::windows::Bounds;
use crate::record::StaleTopic;

/// Judges a refusal by its own figures; says whether they break the rule.
pub fn judge_figures(case: &Case<'_>, said: &StaleTopic, tally: &mut Tally) -> bool {
    let cursor = case.fact.cursor;
    let says_stale = [said.is_below_floor(cursor), said.is_beyond_budget(cursor)];
    if says_stale != [Some(false); 2] {
        return false;
    }
    let StaleTopic { floor, head, budget, lag, .. } = *said;
    let head = head.or(lag.map(|lag| cursor.saturating_add(lag))).unwrap_or_default();
    let message = format!(
        "cursor {cursor} was refused as stale, although by the refusal's own figures it is not \
         below the floor {} and within the budget {} of head {head}",
        floor.unwrap_or_default(),
        budget.unwrap_or_default()
    );
    tally.judged(Rule::FalseStale, 1);
    tally.violate(case.violation(Rule::FalseStale, message), 0);
    true
}

/// A subscription is told that it has ended as stale on a topic that it does not have.
pub fn not_subscribed(case: &Case<'_>, tally: &mut Tally) {
    let message = "the topic was called stale, although it was not subscribed to".to_owned();
    tally.judged(Rule::FalseStale, 1);
    tally.violate(case.violation(Rule::FalseStale, message), 0);
}

/// A refusal names a topic for which no cursor was sent.
pub fn without_a_cursor(case: &Case<'_>, tally: &mut Tally) {
    let message = "the topic was refused as stale, although no cursor was sent for it".to_owned();
    tally.judged(Rule::FalseStale, 1);
    tally.violate(case.violation(Rule::FalseStale, message), 0);
}

/// Judges a cursor and what became of it by the windows.
pub fn judge(case: &Case<'_>, bounds: &Bounds, of_snapshot: bool, tally: &mut Tally) {
    let cursor = case.fact.cursor;
    let fresh = bounds.must_be_fresh(cursor);
    match case.fact.answer {
        Answer::Accepted { .. } => tally.judged(Rule::FalseStale, u64::from(fresh)),
        Answer::Refused { false_by_figures: true, .. } | Answer::RefusedForAnother => {}
        Answer::Refused { .. } if fresh => {
            let message = format!(
                "cursor {cursor} was refused as stale, although after the reply the floor was at \
                 most {} and head at most {}, within the budget",
                bounds.floor_hi.unwrap_or_default(),
                bounds.head_hi.unwrap_or_default()
            );
            tally.judged(Rule::FalseStale, 1);
            tally.violate(case.violation(Rule::FalseStale, message), 0);
        }
        Answer::Refused { .. } if bounds.must_be_stale(cursor) || of_snapshot => {}
        Answer::Refused { .. } => tally.undecided(Rule::FalseStale),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cursors::tests::{
        Did, accepted, figures, for_another, judged, refused, windows, windows_between,
    };
    use super::*;
    use crate::record::StaleReason::{ReplayBudget, RetentionFloor};

    const RULE: Rule = Rule::FalseStale;

    #[test]
    fn a_refusal_that_the_windows_refute_is_a_violation() {
        for reason in [RetentionFloor, ReplayBudget] {
            let tally = judged(&[refused(10, reason)], &windows(10, 100, 90));
            assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
            assert_eq!(tally.total(), 1, "the reason is not judged apart");
        }
    }

    #[test]
    fn a_refusal_that_its_own_figures_refute_is_one_violation_with_windows_or_without() {
        let own = || Did::Refused(10, vec![figures(10, RetentionFloor, 10, 100, 90)]);
        for windows in [windows(10, 100, 90), windows(11, 100, 90), Default::default()] {
            let tally = judged(&[own()], &windows);
            assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
        }
    }

    #[test]
    fn a_refusal_that_the_windows_bear_out_is_accepted() {
        let list = [refused(9, RetentionFloor), refused(9, ReplayBudget), accepted(50, 100)];
        let tally = judged(&list, &windows(10, 100, 90));
        assert_eq!((tally.count(RULE), tally.rule(RULE).undecided), (0, 0));
        assert_eq!(tally.rule(RULE).judged, 1, "the fresh cursor that was accepted");
    }

    #[test]
    fn a_refusal_between_the_bounds_is_open_and_without_windows_not_judged() {
        let between = windows_between((5, 50), (20, 100), 1_000);
        let tally = judged(&[refused(10, RetentionFloor)], &between);
        assert_eq!((tally.count(RULE), tally.rule(RULE).undecided), (0, 1));
        let tally = judged(&[refused(10, RetentionFloor)], &Default::default());
        assert!(!tally.exercised(RULE));
    }

    #[test]
    fn a_topic_that_no_cursor_was_sent_for_is_never_stale() {
        let mut other = figures(3, RetentionFloor, 10, 100, 90);
        other.topic = khala_wire::topic::TopicId::WORKER_EVENTS;
        let tally = judged(&[Did::Refused(50, vec![other])], &Default::default());
        assert_eq!(tally.count(RULE), 1);
        assert_eq!(judged(&[for_another(50)], &windows(10, 100, 90)).total(), 0);
    }
}
