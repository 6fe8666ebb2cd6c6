//! Why a run is no GO, each reason once.
//!
//! A rule that is broken is a cause, whichever gates name it; what holds for the run as a whole is said once
//! for all the objectives that it leaves undecided.

use super::texts;
use super::units::{count, counted};
use crate::judge::{GateVerdict, ObjectiveVerdict, STABILITY_GATE, Verdict};
use crate::oracle::Rule;
use crate::report::{Cause, RunReport};

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The verdict that it makes; `None` of one that holds for the run as a whole.
    pub verdict: Option<Verdict>,
    /// Why.
    pub why: String,
    /// The objectives that end so because of it, by gate.
    pub of: Vec<String>,
}

/// Metric of the objectives on rules.
pub const VIOLATIONS: &str = "violations";

/// Whether an objective says of a rule that it is broken.
pub fn is_of_a_broken_rule(objective: &ObjectiveVerdict) -> bool {
    objective.metric == VIOLATIONS && objective.bad > 0
}

/// The name of an objective, as its gate has it.
pub fn name(objective: &ObjectiveVerdict) -> String {
    let ObjectiveVerdict { metric, selector, .. } = objective;
    // `surface=ios` is told as `ios`: which label it is the metric says.
    let label = selector.split_once('=').map_or(selector.as_str(), |(_, value)| value);
    if label.is_empty() { metric.clone() } else { format!("{metric} [{label}]") }
}

/// Every reason but the rules that are broken, worst first; those of the run stand before what is only
/// undecided.
pub fn all(report: &RunReport) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = report
        .of_the_run
        .iter()
        .map(|reason| Reason { verdict: None, why: reason.why.clone(), of: Vec::new() })
        .collect();
    let judged = report
        .gates
        .iter()
        .flat_map(|gate| gate.objectives.iter().map(move |objective| (gate, objective)));
    for (gate, objective) in judged {
        if objective.verdict <= Verdict::Pass || is_of_a_broken_rule(objective) {
            continue;
        }
        let Some(why) = beyond_what_befell(report, gate, objective) else { continue };
        let advisory = if gate.advisory { " (advisory)" } else { "" };
        let of = format!("{}{advisory}: {}", gate.name, name(objective));
        let same = |reason: &&mut Reason| {
            reason.why == why && reason.verdict.is_none_or(|verdict| verdict == objective.verdict)
        };
        match reasons.iter_mut().find(same) {
            Some(reason) => reason.of.push(of),
            None => reasons.push(Reason {
                verdict: Some(objective.verdict),
                why: why.to_owned(),
                of: vec![of],
            }),
        }
    }
    // Beside a fault that fell short: where the others were, that it was to hit.
    for fault in &report.faults {
        let why = fault.why_it_did_not_bite();
        let elsewhere = super::beside::elsewhere(report, fault);
        let same = |reason: &&mut Reason| Some(&reason.why) == why.as_ref();
        if let (Some(told), Some(reason)) = (elsewhere, reasons.iter_mut().find(same)) {
            reason.why += &format!(": {told}");
        }
    }
    let rank = |reason: &Reason| match reason.verdict {
        Some(Verdict::Fail) => 0,
        None => 1,
        Some(Verdict::Inconclusive) => 2,
        Some(_) => 3,
    };
    reasons.sort_by_key(rank);
    reasons
}

/// What an objective says beyond the lines on what befell the run, which stand under the verdict: of an
/// absence nothing, of incidents beyond their limit how many are allowed.
fn beyond_what_befell<'a>(
    report: &RunReport,
    gate: &GateVerdict,
    objective: &'a ObjectiveVerdict,
) -> Option<&'a str> {
    let reason = objective.reason.as_str();
    if gate.name != STABILITY_GATE || objective.verdict != Verdict::Fail {
        return Some(reason);
    }
    if objective.metric == "absence" {
        let told = report.target.absences.iter().any(|absence| !absence.planned);
        return (!told).then_some(reason);
    }
    Some(objective.beyond.as_deref().unwrap_or(reason))
}

/// The gates that judge a rule, those that decide first, each with what it says.
fn judged_by(report: &RunReport, rule: Rule) -> Vec<(&GateVerdict, Verdict)> {
    let selector = format!("rule={rule}");
    let verdict = |gate: &'_ GateVerdict| {
        let of_rule =
            |one: &&ObjectiveVerdict| one.metric == VIOLATIONS && one.selector == selector;
        gate.objectives.iter().filter(of_rule).map(|one| one.verdict).max()
    };
    let gates = report.gates.iter().filter_map(|gate| Some((gate, verdict(gate)?)));
    let mut gates: Vec<_> = gates.collect();
    gates.sort_by_key(|(gate, _)| gate.advisory);
    gates
}

/// What becomes of the run by a rule: the worst verdict of the gates that decide, if one does.
pub fn verdict(report: &RunReport, rule: Rule) -> Option<Verdict> {
    let deciding = judged_by(report, rule).into_iter().filter(|(gate, _)| !gate.advisory);
    deciding.map(|(_, verdict)| verdict).max()
}

/// The rules that are broken, each with its causes and with the gates that say so, in the order in which
/// consequences are attributed.
pub fn broken(report: &RunReport) -> Vec<(Rule, Vec<&Cause>)> {
    let mut rules: Vec<(Rule, Vec<&Cause>)> = Vec::new();
    for cause in &report.oracle.causes {
        match rules.last_mut().filter(|(rule, _)| *rule == cause.rule) {
            Some((_, causes)) => causes.push(cause),
            None => rules.push((cause.rule, vec![cause])),
        }
    }
    rules
}

/// What a breach of a rule means for those who use the product: that of its kinds, where it is one for all of them.
pub fn felt(report: &RunReport, rule: Rule) -> &'static str {
    let mut causes = report.oracle.causes.iter().filter(|it| it.rule == rule);
    let of = |cause: &Cause| rule.what_users_see_of(&cause.kind);
    let first = causes.next().and_then(of);
    first
        .filter(|_| causes.all(|cause| of(cause) == first))
        .unwrap_or_else(|| rule.what_users_see())
}

/// The verdict on a rule in a word, and by which gates.
pub fn condemned(report: &RunReport, rule: Rule) -> (String, String) {
    let gates = judged_by(report, rule);
    let word = verdict(report, rule).map_or_else(|| "ADVISORY".to_owned(), |it| it.to_string());
    let names: Vec<_> = gates.iter().map(|(gate, _)| gate.name.as_str()).collect();
    (word, format!("by {}", names.join(", ")))
}

/// Of a rule that is broken and not condemned: why not.
pub fn why_not_condemned(report: &RunReport, rule: Rule) -> Option<&str> {
    let selector = format!("rule={rule}");
    let undecided = report.gates.iter().flat_map(|gate| &gate.objectives).find(|one| {
        is_of_a_broken_rule(one) && one.selector == selector && one.verdict == Verdict::Inconclusive
    })?;
    Some(undecided.beyond.as_deref().unwrap_or(&undecided.reason))
}

/// One cause in a line: where, how often, to whom, since when.
pub fn cause(report: &RunReport, cause: &Cause) -> String {
    format!("{}, {}", what(report, cause), when(report, cause))
}

/// One cause in a line: where, how often, to whom.
pub fn what(report: &RunReport, cause: &Cause) -> String {
    let all: u64 = report.fleet.clients.values().sum();
    let topic = cause.topic.map(|topic| format!(" on {}", topic.name())).unwrap_or_default();
    let kind = if cause.kind.is_empty() { String::new() } else { format!(" ({})", cause.kind) };
    let times = if cause.violations == 1 { "once" } else { "times" };
    let times = match cause.violations {
        1 => times.to_owned(),
        many => format!("{} {times}", count(many)),
    };
    let clients = match cause.clients {
        0 => String::new(),
        some => format!(", {} of {} clients", count(some), count(all)),
    };
    format!("{}{topic}{kind}: {times}{clients}{}", cause.rule, missing(cause))
}

/// When the violations of a cause were noticed: the first, and the last where there is a later one.
pub fn when(report: &RunReport, cause: &Cause) -> String {
    let first = cause.first.at_us;
    let last = match cause.last_us > first {
        true => format!(", last at {}", texts::at(report, cause.last_us)),
        false => String::new(),
    };
    format!("first at {}{last}", texts::at(report, first))
}

/// How much never came, of a cause by which something is missing: over all clients, and how many different
/// events that are.
pub fn missing(cause: &Cause) -> String {
    let updates = match cause.missing_updates {
        0 => return String::new(),
        some => counted(some, "update", "updates"),
    };
    match cause.missing_events {
        0 => format!(", {updates} missing in all"),
        events => format!(", {updates} missing in all, of {}", counted(events, "event", "events")),
    }
}

/// The clients that a cause befell, by what they are, each with how many of them there were.
pub fn surfaces(report: &RunReport, cause: &Cause) -> Option<String> {
    let all = &report.fleet.clients;
    let told = cause.surfaces.iter().map(|(surface, n)| {
        let of = all.get(surface).copied().unwrap_or_default();
        format!("{} of {} {}", count(*n), count(of), surface.name())
    });
    (!cause.surfaces.is_empty()).then(|| told.collect::<Vec<_>>().join(", "))
}

/// Its first violation, as an example.
pub fn example(cause: &Cause) -> String {
    let client = cause.first.client.map(|client| format!("client {client}: "));
    format!("{}{}", client.unwrap_or_default(), cause.first.message)
}

/// The command that shows what befell the first client of a cause.
pub fn explain(cause: &Cause, bundle: &str) -> Option<String> {
    Some(format!("khala-harness explain {bundle} {}", cause.first.client?))
}
