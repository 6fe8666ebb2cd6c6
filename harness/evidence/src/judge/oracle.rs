//! The oracle's own gate: every rule, always, whatever the scenario gates.

use khala_plan::model::{Comparison, Objective};

use super::{Case, ObjectiveVerdict, Verdict, fitness, objective};
use crate::oracle::{Rule, RuleKind};
use crate::stats;

/// Share of judged deliveries that may be undecided.
pub const UNDECIDED_SHARE_MAX: f64 = 0.001;

/// One verdict for each rule.
pub fn judge(case: &Case<'_>) -> Vec<ObjectiveVerdict> {
    Rule::ALL
        .iter()
        .map(|&rule| judge_rule(case, rule, Comparison::Equal, 0.0, "count == 0"))
        .collect()
}

/// An objective on the metric `violations`: one rule, each rule (`*`), or all (no `where`).
pub fn judge_objective(case: &Case<'_>, objective: &Objective) -> Vec<ObjectiveVerdict> {
    let named = objective.selector.get("rule").map(String::as_str);
    let claim = &objective.require;
    let rules = Rule::ALL
        .iter()
        .copied()
        .filter(|rule| named.is_none_or(|name| name == "*" || name == rule.name()));
    rules
        .map(|rule| {
            let mut verdict = judge_rule(case, rule, claim.comparison, claim.bound, &claim.text);
            verdict.during = objective.during.clone();
            verdict
        })
        .collect()
}

fn judge_rule(
    case: &Case<'_>,
    rule: Rule,
    comparison: Comparison,
    bound: f64,
    claim: &str,
) -> ObjectiveVerdict {
    let n = case.settled.totals.deliveries;
    let tally = case.settled.tally.rule(rule);
    let (mut verdict, mut reason) = objective::violations(case, rule, comparison, bound);
    let unfit = match rule.kind() {
        RuleKind::Proof => None,
        RuleKind::Lateness => unfit_for_lateness(case),
    };
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let undecided_share = tally.undecided as f64 / n.max(1) as f64;
    if n == 0 && verdict == Verdict::Pass {
        verdict = Verdict::Inconclusive;
        reason = "nothing was delivered, so nothing was judged".to_owned();
    } else if let Some(unfit) = unfit {
        verdict = Verdict::Inconclusive;
        reason = format!("{reason}; {unfit}");
    } else if verdict == Verdict::Pass && undecided_share > UNDECIDED_SHARE_MAX {
        verdict = Verdict::Inconclusive;
        reason = format!("{} cases are undecided, {n} deliveries judged", tally.undecided);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let upper = (tally.violations == 0).then(|| stats::poisson::rule_of_three(n as f64)).flatten();
    ObjectiveVerdict {
        metric: "violations".to_owned(),
        selector: format!("rule={rule}"),
        during: Vec::new(),
        require: claim.to_owned(),
        warn: None,
        verdict,
        n,
        bad: tally.violations,
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        estimate: Some(tally.violations as f64),
        lower: None,
        upper,
        deff: None,
        reason,
    }
}

/// Lateness is judged over the whole run, so the generator must have been fit over all of it.
fn unfit_for_lateness(case: &Case<'_>) -> Option<String> {
    let phases: Vec<u16> = (0_u16..).take(case.schedule.phases.len()).collect();
    let bound_us = case.plan.oracle.converge_within.as_secs_f64() * 1e6;
    fitness::generator_unfit(case, &phases, bound_us)
}
