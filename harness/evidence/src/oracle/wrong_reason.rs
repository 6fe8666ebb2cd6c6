//! Rule `wrong_reason`: a stale cursor is refused with the reason that applies, and with figures
//! that agree with it and with one another.
//!
//! By the refusal's own figures: below the floor is `retention_floor_breach` (looked at first), else
//! beyond the budget is `replay_budget_exceeded`; the lag is head less cursor; the cursor is the one
//! that was sent. Of figures that are not there nothing is said: a reason is wrong then if those that are
//! rule it out. Figures that say fresh are `false_stale`'s. Where windows prove that the reason
//! cannot apply, whatever the figures say, that is a breach as well. Cases: refused cursors. Nothing
//! is undecided: what neither figures nor windows refute is taken at the target's word. Memory: the
//! facts of [`cursors`](super::cursors).

use super::cursors::{Answer, Case};
use super::rule::Rule;
use super::tally::Tally;
use super::windows::Bounds;
use crate::record::{StaleReason, StaleTopic};

/// Why a reason does not apply to a cursor by a refusal's own figures, as far as it has any.
fn misnamed(cursor: u64, said: &StaleTopic) -> Option<String> {
    let reason = said.reason;
    let (below, beyond) = (said.is_below_floor(cursor), said.is_beyond_budget(cursor));
    let expected = match (below, beyond) {
        _ if reason == StaleReason::Unsaid => return None,
        (Some(true), _) => StaleReason::RetentionFloor,
        (Some(false), Some(true)) => StaleReason::ReplayBudget,
        (Some(false), None) if reason == StaleReason::RetentionFloor => StaleReason::ReplayBudget,
        (None, Some(false)) if reason == StaleReason::ReplayBudget => StaleReason::RetentionFloor,
        // Fresh, or it may be either.
        _ => {
            let other = reason == StaleReason::Other;
            return other.then(|| "the reason is none of the contract's".to_owned());
        }
    };
    let figures = said.figures();
    (expected != reason)
        .then(|| format!("the reason is {reason:?} and not {expected:?} ({figures})"))
}

/// Judges a refusal by its own figures; says whether they break the rule.
pub fn judge_figures(case: &Case<'_>, said: &StaleTopic, tally: &mut Tally) -> bool {
    let cursor = case.fact.cursor;
    let StaleTopic { reason, head, lag, .. } = *said;
    let says_something = reason != StaleReason::Unsaid || head.is_some() && lag.is_some();
    let mut wrong = Vec::new();
    if said.cursor != cursor {
        wrong.push(format!("the cursor named is {}", said.cursor));
    }
    if let (Some(lag), Some(head)) = (lag, head)
        && lag != head.saturating_sub(cursor)
    {
        wrong.push(format!("the lag named is {lag} at head {head}"));
    }
    wrong.extend(misnamed(cursor, said));
    tally.judged(Rule::WrongReason, u64::from(says_something || !wrong.is_empty()));
    if wrong.is_empty() {
        return false;
    }
    let message = format!("cursor {cursor} was refused, but {}", wrong.join(", and "));
    tally.violate(case.violation(Rule::WrongReason, message), 0);
    true
}

/// Judges a refusal's reason by the windows.
pub fn judge(case: &Case<'_>, bounds: &Bounds, tally: &mut Tally) {
    let cursor = case.fact.cursor;
    let Answer::Refused { reason, wrong_by_figures: false, false_by_figures: false } =
        case.fact.answer
    else {
        return;
    };
    if bounds.must_be_fresh(cursor) {
        return;
    }
    let why = match (reason, bounds.floor_hi) {
        (StaleReason::RetentionFloor, Some(floor)) if cursor >= floor => {
            format!("the floor was at {floor} or below")
        }
        (StaleReason::ReplayBudget, _) if cursor < bounds.floor_lo => {
            format!("the floor was at {} or above, and is looked at first", bounds.floor_lo)
        }
        _ => return,
    };
    let message = format!("cursor {cursor} was refused with {reason:?}, although {why}");
    tally.violate(case.violation(Rule::WrongReason, message), 0);
}

#[cfg(test)]
mod tests {
    use super::super::cursors::tests::{Did, figures, judged, refused, windows};
    use super::*;
    use crate::record::StaleReason::{Other, ReplayBudget, RetentionFloor, Unsaid};

    const RULE: Rule = Rule::WrongReason;

    fn alone(said: StaleTopic) -> Tally {
        judged(&[Did::Refused(9, vec![said])], &Default::default())
    }

    #[test]
    fn the_reason_that_applies_is_accepted_and_the_other_is_not() {
        // Below the floor and beyond the budget: the floor is looked at first.
        for (floor, budget, right, wrong) in
            [(10, 50, RetentionFloor, ReplayBudget), (9, 50, ReplayBudget, RetentionFloor)]
        {
            let tally = alone(figures(9, right, floor, 100, budget));
            assert_eq!((tally.total(), tally.rule(RULE).judged), (0, 1));
            for wrong in [wrong, Other] {
                let tally = alone(figures(9, wrong, floor, 100, budget));
                assert_eq!((tally.total(), tally.count(RULE)), (1, 1));
            }
        }
    }

    #[test]
    fn figures_that_do_not_agree_are_a_violation() {
        let right = figures(9, RetentionFloor, 10, 100, 500);
        for said in [StaleTopic { lag: Some(90), ..right }, StaleTopic { cursor: 8, ..right }] {
            assert_eq!(alone(said).count(RULE), 1);
        }
    }

    #[test]
    fn a_reason_that_is_none_of_the_contracts_is_wrong_for_a_fresh_cursor_too() {
        for (reason, wrong) in [(Other, 1), (RetentionFloor, 0), (ReplayBudget, 0)] {
            let tally = alone(figures(9, reason, 9, 50, 500));
            assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (wrong, 1), "{reason:?}");
        }
    }

    #[test]
    fn figures_that_are_not_there_are_held_against_nothing_and_those_that_are_may_rule_a_reason_out()
     {
        let whole = |reason| figures(9, reason, 9, 100, 50);
        let judged_and_wrong = |said| {
            let tally = alone(said);
            assert_eq!(tally.count(Rule::FalseStale), 0, "{said:?}");
            (tally.rule(RULE).judged, tally.count(RULE))
        };
        // At the floor, and nobody knows the budget; within the budget, and nobody knows the floor.
        let no_budget = |reason| StaleTopic { budget: None, ..whole(reason) };
        let no_floor = |reason| StaleTopic { floor: None, budget: Some(91), ..whole(reason) };
        // Beyond the budget: the floor is looked at first.
        let far = |reason| StaleTopic { floor: None, ..whole(reason) };
        let none = |reason| StaleTopic { head: None, lag: None, floor: None, ..no_budget(reason) };
        for (said, wrong) in [
            (no_budget(RetentionFloor), 1),
            (no_budget(ReplayBudget), 0),
            (no_floor(RetentionFloor), 0),
            (no_floor(ReplayBudget), 1),
            (far(RetentionFloor), 0),
            (far(ReplayBudget), 0),
            (far(Other), 1),
            (none(RetentionFloor), 0),
            (none(ReplayBudget), 0),
            (none(Other), 1),
            // The lag alone says how far behind it is.
            (StaleTopic { head: None, lag: Some(51), ..whole(RetentionFloor) }, 1),
            (StaleTopic { head: None, lag: Some(51), ..whole(ReplayBudget) }, 0),
        ] {
            assert_eq!(judged_and_wrong(said), (1, wrong), "{said:?}");
        }
        assert_eq!(judged_and_wrong(none(Unsaid)), (0, 0));
        assert_eq!(judged_and_wrong(StaleTopic { lag: Some(1), ..whole(Unsaid) }), (1, 1));
    }

    #[test]
    fn a_reason_that_the_windows_refute_is_a_violation_although_its_figures_agree() {
        // Stale for its lag, refused for a floor that was never there.
        let tally = judged(&[refused(10, RetentionFloor)], &windows(10, 200, 90));
        assert_eq!((tally.total(), tally.count(RULE)), (1, 1));
        // Stale for the floor, refused for its lag.
        let tally = judged(&[refused(9, ReplayBudget)], &windows(10, 200, 500));
        assert_eq!((tally.total(), tally.count(RULE)), (1, 1));
        // Below the floor, and just at it with a lag beyond the budget.
        for right in [refused(9, RetentionFloor), refused(10, ReplayBudget)] {
            assert_eq!(judged(&[right], &windows(10, 200, 90)).total(), 0);
        }
    }
}
