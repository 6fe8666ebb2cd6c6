//! Rule `wrong_reason`: a stale cursor is refused with the reason that applies, and with figures
//! that agree with it and with one another.
//!
//! By the refusal's own figures: below the floor is `retention_floor_breach` (looked at first), else
//! beyond the budget is `replay_budget_exceeded`; the lag is head less cursor; the cursor is the one
//! that was sent. Of figures that are not there nothing is said: a reason is wrong then if those that are
//! rule it out. Figures that say fresh are `false_stale`'s. Where windows prove that the reason
//! cannot apply, whatever the figures say, that is a breach as well; and so it is where they prove that floor, head,
//! budget or tier are not what is said. What is said may be as old as the settle bound. Cases: refused cursors.
//! Nothing is undecided: what neither figures nor windows refute is taken at the target's word. Memory: the facts of
//! [`cursors`](super::cursors).

use super::cursors::{Answer, Case, Figures};
use super::rule::Rule;
use super::tally::Tally;
use super::windows::Bounds;
use crate::record::{StaleReason, StaleTopic, Tier};

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

/// What the target's metrics show of the time of a refusal and the settle bound before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// Floor, head and budget.
    pub bounds: Bounds,
    /// Tier of service, where they always show the same.
    pub tier: Option<Tier>,
}

impl Shown {
    /// What of a refusal's figures is not so.
    fn refutes(&self, figures: &Figures) -> Option<String> {
        let Self { bounds, tier } = self;
        let outside = |name: &str, said: Option<u64>, least: u64, most: Option<u64>| {
            let said =
                said.filter(|said| *said < least || most.is_some_and(|most| *said > most))?;
            let to = most.map_or_else(|| " or above".to_owned(), |most| format!(" to {most}"));
            Some(format!("it names {name} {said}, which was {least}{to}"))
        };
        let budget = figures.budget.zip(bounds.budget).filter(|(said, shown)| said != shown);
        let tier = figures.tier.zip(*tier).filter(|(said, shown)| said != shown);
        outside("floor", figures.floor, bounds.floor_lo, bounds.floor_hi)
            .or_else(|| outside("head", figures.head, bounds.head_lo, bounds.head_hi))
            .or_else(|| {
                budget.map(|(said, shown)| {
                    format!("it names budget {said}, which was {shown} before and after")
                })
            })
            .or_else(|| {
                tier.map(|(said, shown)| {
                    format!("it names tier {said:?}, and the metrics have {shown:?}")
                })
            })
    }
}

/// Judges a refusal's reason and figures by the windows.
pub fn judge(case: &Case<'_>, bounds: &Bounds, shown: &Shown, tally: &mut Tally) {
    let cursor = case.fact.cursor;
    let Answer::Refused { reason, figures, wrong_by_figures: false, false_by_figures: false } =
        case.fact.answer
    else {
        return;
    };
    if bounds.must_be_fresh(cursor) {
        return;
    }
    let why = match (reason, bounds.floor_hi) {
        (StaleReason::RetentionFloor, Some(floor)) if cursor >= floor => {
            Some(format!("the floor was at {floor} or below"))
        }
        (StaleReason::ReplayBudget, _) if cursor < bounds.floor_lo => {
            Some(format!("the floor was at {} or above, and is looked at first", bounds.floor_lo))
        }
        _ => None,
    };
    let why = why.map(|why| format!("with {reason:?}, although {why}"));
    let why = why.or_else(|| Some(format!("as stale, and {}", shown.refutes(&figures)?)));
    if let Some(why) = why {
        let message = format!("cursor {cursor} was refused {why}");
        tally.violate(case.violation(Rule::WrongReason, message), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::cursors::tests::{
        AFTER, Did, SENT, SETTLE, TOPIC, figures, judged, refused, windows, windows_between,
    };
    use super::super::windows::{Window, Windows};
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
    fn figures_that_the_windows_refute_are_a_violation_although_the_reason_applies() {
        // Stale for its lag: floor 10, head 200, budget 90 all the time.
        let windows = windows(10, 200, 90);
        let right = figures(50, ReplayBudget, 10, 200, 90);
        let with_lag = |head: u64| StaleTopic { head: Some(head), lag: Some(head - 50), ..right };
        let wrong = |said| {
            let tally = judged(&[Did::Refused(50, vec![said])], &windows);
            assert_eq!(tally.total(), tally.count(RULE), "{said:?}");
            tally.kept().first().map(|kept| kept.message.clone())
        };
        let none = StaleTopic { floor: None, head: None, budget: None, lag: None, ..right };
        for said in [right, none] {
            assert_eq!(wrong(said), None, "{said:?}");
        }
        for (said, why) in [
            (StaleTopic { floor: Some(9), ..right }, "it names floor 9, which was 10 to 10"),
            (StaleTopic { floor: Some(11), ..right }, "it names floor 11"),
            (with_lag(199), "it names head 199, which was 200 to 200"),
            (with_lag(1_200), "it names head 1200"),
            (StaleTopic { budget: Some(91), ..right }, "budget 91, which was 90 before and after"),
        ] {
            assert!(wrong(said).is_some_and(|told| told.contains(why)), "{said:?}");
        }
    }

    #[test]
    fn figures_may_be_as_old_as_the_settle_bound_and_lie_between_the_windows() {
        // The head rose from 200 to 300 just before the cursor was sent, which was at 1,010.
        let rose = |at: u64| {
            let mut all = windows_between((10, 200), (10, 300), 90);
            all.add(TOPIC, Window { asked: at, answered: at, floor: 10, head: 300, budget: 90 });
            all
        };
        let of = |head: u64, windows: &Windows| {
            let said = figures(50, ReplayBudget, 10, head, 90);
            judged(&[Did::Refused(50, vec![said])], windows).count(RULE)
        };
        let (late, early) = (SENT + 10 - SETTLE + 1, SENT + 10 - SETTLE);
        assert_eq!((of(200, &rose(late)), of(200, &rose(early))), (0, 1));
        assert_eq!((of(250, &rose(late)), of(301, &rose(late))), (0, 1));
        let other_budget = windows_between((10, 200), (10, 200), 90);
        let mut renewed = other_budget.clone();
        let (asked, floor, head) = (AFTER - 1, 10, 200);
        renewed.add(TOPIC, Window { asked, answered: asked, floor, head, budget: 80 });
        let said = || figures(50, ReplayBudget, 10, 200, 85);
        let budget = |windows| judged(&[Did::Refused(50, vec![said()])], windows).count(RULE);
        assert_eq!((budget(&other_budget), budget(&renewed)), (1, 0), "it was changed meanwhile");
    }

    #[test]
    fn the_tier_is_the_one_that_the_metrics_always_show() {
        let of = |shown: &[Tier], said: Option<Tier>| {
            let mut windows = windows(10, 200, 90);
            shown.iter().for_each(|&tier| windows.add_tier(TOPIC, tier));
            let said = StaleTopic { tier: said, ..figures(50, ReplayBudget, 10, 200, 90) };
            judged(&[Did::Refused(50, vec![said])], &windows).count(RULE)
        };
        let (warm, cold) = (Tier::Warm, Tier::Cold);
        assert_eq!(of(&[warm, warm], Some(cold)), 1);
        assert_eq!(of(&[warm], Some(warm)), 0);
        assert_eq!(of(&[warm], None), 0, "none is named");
        assert_eq!(of(&[warm, cold], Some(cold)), 0, "it was changed");
        assert_eq!(of(&[], Some(cold)), 0, "the metrics do not say");
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
