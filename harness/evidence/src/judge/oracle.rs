//! The oracle's own gate: every rule that the run put to the test, whatever the scenario gates.
//!
//! A rule that the run never put to the test is left out and named in the report; a scenario that
//! names it has asked for a test that did not happen, which is INCONCLUSIVE. So is a rule of which
//! every case, or most of them, was left open.

use khala_plan::model::{Comparison, Objective};
use khala_plan::stability::Incident;
use khala_plan::surface::Surface;
use khala_plan::units::format_duration;

use super::{Against, Case, ObjectiveVerdict, RunReason, Verdict, estimate, fitness, objective};
use crate::facts::FaultOutcome;
use crate::oracle::{Rule, RuleKind, RuleTally};
use crate::shard::stability::Blame;
use crate::stats;

/// Share of judged deliveries that may be undecided: of each rule's cases, and over a run of all rules'
/// together ([`fitness::run_reasons`]).
pub const UNDECIDED_SHARE_MAX: f64 = 0.001;

/// Whether so many cases were left open that the others carry no verdict.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn too_many_undecided(undecided: u64, deliveries: u64) -> bool {
    undecided as f64 > UNDECIDED_SHARE_MAX * deliveries as f64
}

/// One verdict for each rule that was put to the test.
pub fn judge(case: &Case<'_>) -> Vec<ObjectiveVerdict> {
    exercised(case, Comparison::Equal, 0.0, "count == 0")
}

/// An objective on the metric `violations`: one rule, or each that was put to the test (`*`, or no
/// `where`).
pub fn judge_objective(case: &Case<'_>, objective: &Objective) -> Vec<ObjectiveVerdict> {
    let claim = &objective.require;
    let named = objective.selector.get("rule").filter(|name| *name != "*");
    let mut verdicts = match named {
        None => exercised(case, claim.comparison, claim.bound, &claim.text),
        Some(name) => Rule::of(name)
            .map(|rule| judge_rule(case, rule, claim.comparison, claim.bound, &claim.text))
            .into_iter()
            .collect(),
    };
    for verdict in &mut verdicts {
        verdict.during = objective.during.clone();
    }
    verdicts
}

/// Every rule that was put to the test; if none was, that.
fn exercised(
    case: &Case<'_>,
    comparison: Comparison,
    bound: f64,
    claim: &str,
) -> Vec<ObjectiveVerdict> {
    let tally = &case.settled.tally;
    let verdicts: Vec<_> = Rule::ALL
        .iter()
        .filter(|&&rule| tally.exercised(rule))
        .map(|&rule| judge_rule(case, rule, comparison, bound, claim))
        .collect();
    if !verdicts.is_empty() {
        return verdicts;
    }
    vec![ObjectiveVerdict {
        selector: "rule=*".to_owned(),
        verdict: Verdict::Inconclusive,
        reason: why_not_exercised(case),
        it_takes: Some(DELIVERIES.to_owned()),
        ..blank(claim)
    }]
}

/// What it takes where nothing was judged.
const DELIVERIES: &str = "clients that connect, and what is published on topics of theirs";
/// What it takes where a rule had no case.
const A_CASE: &str = "an occasion for the rule (METRICS.md says what its cases are), or a gate that does not name it";

fn why_not_exercised(case: &Case<'_>) -> String {
    if case.settled.totals.deliveries == 0 {
        "nothing was delivered, so nothing was judged".to_owned()
    } else {
        "never put to the test in this run".to_owned()
    }
}

fn blank(claim: &str) -> ObjectiveVerdict {
    ObjectiveVerdict::blank("violations", claim)
}

fn judge_rule(
    case: &Case<'_>,
    rule: Rule,
    comparison: Comparison,
    bound: f64,
    claim: &str,
) -> ObjectiveVerdict {
    let tally = case.settled.tally.rule(rule);
    let n = tally.judged;
    let (mut verdict, mut reason) = objective::violations(case, rule, comparison, bound);
    let (mut beyond, mut it_takes, mut against) = (None, None, None);
    let unfit = unfit(case, rule, &tally, comparison, bound);
    let deliveries = case.settled.totals.deliveries;
    if n == 0 && tally.violations == 0 {
        verdict = Verdict::Inconclusive;
        (reason, it_takes) = without_a_case(case, rule, tally.undecided);
    } else if deliveries == 0 && tally.violations == 0 {
        verdict = Verdict::Inconclusive;
        reason = why_not_exercised(case);
        it_takes = Some(DELIVERIES.to_owned());
    } else if let Some(unfit) = unfit {
        verdict = Verdict::Inconclusive;
        reason = format!("{reason}; {}", unfit.why);
        (beyond, against, it_takes) = (Some(unfit.why), Some(unfit.against), unfit.it_takes);
    } else if verdict == Verdict::Pass && rule == Rule::LostPublish && tally.undecided > 0 {
        // No share of losses is harmless: they are decided by a run that drains.
        verdict = Verdict::Inconclusive;
        let undecided = tally.undecided;
        reason = format!("the run did not drain, and {undecided} cases of a loss are undecided");
    } else if verdict == Verdict::Pass && too_many_undecided(tally.undecided, deliveries) {
        verdict = Verdict::Inconclusive;
        reason = format!("{} cases are undecided, {deliveries} deliveries judged", tally.undecided);
    } else if verdict == Verdict::Pass && tally.undecided > n {
        // What few of its cases show is not what the rule says of all of them.
        verdict = Verdict::Inconclusive;
        let cases = n + tally.undecided;
        reason = format!("{} of its {cases} cases are undecided, and {n} held", tally.undecided);
        if let Some((why, takes)) = what_would_decide(case, rule) {
            reason = format!("{reason}: {why}; it takes {takes}");
            it_takes = Some(takes);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let upper = (tally.violations == 0).then(|| stats::poisson::rule_of_three(n as f64)).flatten();
    ObjectiveVerdict {
        selector: format!("rule={rule}"),
        verdict,
        n,
        bad: tally.violations,
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        estimate: Some(tally.violations as f64),
        upper,
        reason,
        beyond,
        it_takes,
        against,
        ..blank(claim)
    }
}

/// Why the run says nothing of a rule, or of its breaches, whatever there was.
fn unfit(
    case: &Case<'_>,
    rule: Rule,
    tally: &RuleTally,
    comparison: Comparison,
    bound: f64,
) -> Option<RunReason> {
    let unfinished = case.facts.unfinished.is_some();
    match rule.kind() {
        // What was broken until then is broken; the rest was never decided.
        _ if unfinished && tally.violations == 0 => {
            Some(RunReason::other("the run did not finish"))
        }
        RuleKind::Proof => None,
        RuleKind::Lateness => unfit_for_lateness(case)
            .or_else(|| unproven_effect(case, rule))
            .or_else(|| late_with_the_generator(case, tally, comparison, bound)),
    }
}

/// Of a rule that was judged of nothing: why, and what it takes.
fn without_a_case(case: &Case<'_>, rule: Rule, undecided: u64) -> (String, Option<String>) {
    if undecided == 0 {
        let nothing = case.settled.totals.deliveries == 0;
        let takes = if nothing { DELIVERIES } else { A_CASE };
        return (why_not_exercised(case), Some(takes.to_owned()));
    }
    let open = format!("{undecided} cases, and every one is undecided");
    match what_would_decide(case, rule) {
        Some((why, takes)) => (format!("{open}: {why}; it takes {takes}"), Some(takes)),
        None => (open, None),
    }
}

/// Why evictions or commands over the socket were left undecided, and what would decide them; `None` of other rules,
/// and where no such reason is known.
fn what_would_decide(case: &Case<'_>, rule: Rule) -> Option<(&'static str, String)> {
    if rule == Rule::CommandAccepted {
        let why = "neither a refusal nor ok, nor the end of the channel or the socket, came within the time-out, and \
                   nothing of them came out";
        let takes = "an answer of the target's to a command over the socket: the contract wants it refused, and one \
                     that is dropped without a word cannot be told from one that was taken";
        return Some((why, takes.to_owned()));
    }
    if !matches!(rule, Rule::NoEviction | Rule::UnboundedBuffer) {
        return None;
    }
    let stability = &case.settled.stability;
    let by_plan = |what| stability.told(what, Blame::Plan).is_some();
    if by_plan(Incident::HeartbeatTimeouts) {
        let patience = format_duration(2 * Surface::HEARTBEAT);
        let why = "clients that were kept from reading gave up by themselves, at a heartbeat without an \
                   answer, before they could read whether they are called slow";
        let takes = format!(
            "a `duration` of the fault that makes them slow that ends before their second heartbeat in it \
             (within {patience} of its start), with as much published"
        );
        return Some((why, takes));
    }
    by_plan(Incident::SocketEnds).then(|| {
        let takes = "its own count of evictions (fan-out metrics, `target.admin_token`), or clients made \
                     slow that read on, at a `rate`";
        ("the target ended sockets of slow clients, and no notice of it reached them", takes.to_owned())
    })
}

/// Lateness is judged over the whole run, so the generator must have been fit over all of it.
fn unfit_for_lateness(case: &Case<'_>) -> Option<RunReason> {
    let bound_us = case.plan.oracle.converge_within.as_secs_f64() * 1e6;
    fitness::generator_unfit(case, &case.all_phases(), bound_us)
}

/// Why it says nothing of the target that a rule on lateness was broken: so many of its breaches came while the
/// generator was starved, for as long as the settle bound, that without them the claim holds.
fn late_with_the_generator(
    case: &Case<'_>,
    tally: &RuleTally,
    comparison: Comparison,
    bound: f64,
) -> Option<RunReason> {
    let holds = |violations: u64| {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let violations = violations as f64;
        estimate::exact(violations, comparison, bound) == Verdict::Pass
    };
    if holds(tally.violations) {
        return None;
    }
    let settle = u32::try_from(case.plan.oracle.settle_within.as_secs()).unwrap_or(u32::MAX);
    let waits = tally.seconds.iter().map(|(&at, &count)| ((at.saturating_sub(settle), at), count));
    let (late, why) = fitness::late_while_starved(case, waits)?;
    holds(tally.violations.saturating_sub(late)).then_some(why)
}

/// Why a rule cannot be judged whose bound assumes that clients were slow. Every other rule stands by
/// itself: what was seen was seen, whatever a fault did.
fn unproven_effect(case: &Case<'_>, rule: Rule) -> Option<RunReason> {
    if !matches!(rule, Rule::NoEviction | Rule::UnboundedBuffer) {
        return None;
    }
    let slow = |id: u16| {
        let fault = case.schedule.faults.get(usize::from(id));
        fault.is_some_and(|fault| fault.kind.slowness().is_some())
    };
    let faults = case.facts.faults.iter().filter(|outcome| slow(outcome.id));
    let why = faults.filter_map(FaultOutcome::why_it_did_not_bite).next();
    why.map(|why| RunReason::new(Against::Fault, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_case_in_a_thousand_may_be_open_and_no_more() {
        assert!(!too_many_undecided(1, 1_000));
        assert!(too_many_undecided(2, 1_000));
        assert!(too_many_undecided(1, 0) && !too_many_undecided(0, 0));
    }
}
