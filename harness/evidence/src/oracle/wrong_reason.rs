//! Rule `wrong_reason`: a stale cursor is refused with the reason that applies, and with figures
//! that agree with it and with one another.
//!
//! By the refusal's own figures: below the floor is `retention_floor_breach` (looked at first), else
//! beyond the budget is `replay_budget_exceeded`; the lag is head less cursor; the cursor is the one
//! that was sent. Figures that say fresh are `false_stale`'s. Where windows prove that the reason
//! cannot apply, whatever the figures say, that is a breach as well. Cases: refused cursors. Nothing
//! is undecided: what neither figures nor windows refute is taken at the target's word. Memory: the
//! facts of [`cursors`](super::cursors).

use super::cursors::{Answer, Case};
use super::rule::Rule;
use super::tally::Tally;
use super::windows::Bounds;
use crate::record::{StaleReason, StaleTopic};

/// The reason that applies to a cursor by a refusal's own figures; `None` when it is fresh.
#[must_use]
pub fn expected(cursor: u64, said: &StaleTopic) -> Option<StaleReason> {
    if cursor < said.floor {
        Some(StaleReason::RetentionFloor)
    } else if said.head.saturating_sub(cursor) > said.budget {
        Some(StaleReason::ReplayBudget)
    } else {
        None
    }
}

/// Judges a refusal by its own figures; says whether they break the rule.
pub fn judge_figures(case: &Case<'_>, said: &StaleTopic, tally: &mut Tally) -> bool {
    let cursor = case.fact.cursor;
    let StaleTopic { reason, floor, head, budget, lag, .. } = *said;
    tally.judged(Rule::WrongReason, 1);
    let mut wrong = Vec::new();
    if said.cursor != cursor {
        wrong.push(format!("the cursor named is {}", said.cursor));
    }
    if lag != head.saturating_sub(cursor) {
        wrong.push(format!("the lag named is {lag} at head {head}"));
    }
    match expected(cursor, said) {
        Some(expected) if expected != reason => wrong.push(format!(
            "the reason is {reason:?} and not {expected:?} (floor {floor}, head {head}, budget \
             {budget})"
        )),
        None if reason == StaleReason::Other => {
            wrong.push("the reason is none of the contract's".to_owned());
        }
        _ => {}
    }
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
    use crate::record::StaleReason::{Other, ReplayBudget, RetentionFloor};

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
        for said in [StaleTopic { lag: 90, ..right }, StaleTopic { cursor: 8, ..right }] {
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
