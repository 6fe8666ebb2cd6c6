//! What a run did not put to the test although a gate names it: a GO says nothing of it.

use super::super::{befell, reasons};
use crate::judge::{ObjectiveVerdict, Verdict};
use crate::report::RunReport;

/// Names in a headline; the rest stands below it.
const NAMES_MAX: usize = 3;

/// The headline of a GO, and what to do next.
pub fn go(report: &RunReport) -> (String, String) {
    let names = names(report);
    if names.is_empty() {
        return (
            "Go on: all that this run was asked to show holds.".to_owned(),
            "Nothing has to be done.".to_owned(),
        );
    }
    let more = match names.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names: Vec<_> = names.into_iter().take(NAMES_MAX).collect();
    (
        format!(
            "Go on: all that this run put to the test holds. Not tested: {}{more}.",
            names.join(", ")
        ),
        "Where what was not tested matters, test it: summary.md says under its headline what that takes. \
         `must_apply` in the scenario makes a run without it a HOLD."
            .to_owned(),
    )
}

/// The objectives that a plan which writes could not exercise, by the rule or the metric.
fn names(report: &RunReport) -> Vec<String> {
    if report.target.passive {
        // It says in its head what no passive run tests.
        return Vec::new();
    }
    let gates = report.gates.iter().filter(|gate| gate.judged && !gate.advisory);
    let objectives = gates.flat_map(|gate| &gate.objectives);
    let mut names: Vec<String> = Vec::new();
    for objective in objectives.filter(|one| one.verdict == Verdict::NotApplicable) {
        let name = name(objective);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn name(objective: &ObjectiveVerdict) -> String {
    match objective.selected("rule") {
        Some(rule) => rule.to_owned(),
        None => reasons::name(objective),
    }
}

/// What stands directly under the headline: what was not tested, why, and what would test it. A passive run says it
/// at its end, for it is long and always the same.
pub fn untested(report: &RunReport) -> Vec<String> {
    if report.target.passive {
        return Vec::new();
    }
    let lines = befell::not_applicable(report);
    let bare = |line: String| line.trim_start_matches("not applicable: ").to_owned();
    lines.into_iter().map(bare).collect()
}
