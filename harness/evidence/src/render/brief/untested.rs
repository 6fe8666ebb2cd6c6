//! What a run did not put to the test although a gate names it: a GO says nothing of it.

use std::collections::BTreeMap;

use super::super::units::counted;
use super::super::{befell, reasons};
use crate::judge::{ObjectiveVerdict, Verdict};
use crate::report::RunReport;

/// Names in a headline; the rest stands below it.
const NAMES_MAX: usize = 3;

/// The headline of a GO, and what to do next.
pub fn go(report: &RunReport) -> (String, String) {
    let (headline, next) = of_the_plan(report);
    match report.target.defects.is_empty() {
        true => (headline, next),
        false => (headline, not_found(report)),
    }
}

fn of_the_plan(report: &RunReport) -> (String, String) {
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

/// What a GO of a target leaves open that was broken on purpose.
fn not_found(report: &RunReport) -> String {
    let defects = match report.target.defects.as_slice() {
        [one] => format!("The defect {one} was not found"),
        several => format!("The defects {} were not found", several.join(", ")),
    };
    let gates = report.gates.iter().filter(|gate| gate.judged && !gate.advisory);
    let rules = gates.flat_map(|gate| &gate.objectives).filter_map(|one| {
        one.selected("rule").map(|rule| (rule, one.verdict == Verdict::NotApplicable))
    });
    let rules: BTreeMap<_, _> = rules.collect();
    let occasion = match rules.values().filter(|idle| **idle).count() {
        0 => String::new(),
        some => {
            format!("{some} of {} had no occasion; ", counted(rules.len() as u64, "rule", "rules"))
        }
    };
    format!("{defects}: {occasion}harness/reference/DEFECTS.md says which scenario shows it.")
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
