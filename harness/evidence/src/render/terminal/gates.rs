//! The gates, a line for each objective that has something to say.

use super::super::page::{Page, chars};
use super::super::texts::{self, estimate};
use super::super::units::count;
use super::super::{beside, reasons};
use super::Colour;
use crate::judge::{GateVerdict, ObjectiveVerdict, Verdict};
use crate::report::RunReport;

/// Metric of the objectives on single incidents.
const INCIDENTS: &str = "unplanned_ends";

/// What of a gate is told in a line: rules without a violation, kinds of incident that never were.
pub fn clean(gate: &GateVerdict) -> Vec<String> {
    let clean = |metric: &str| {
        gate.objectives.iter().filter(|one| one.metric == metric && is_clean(one)).count()
    };
    let mut told = Vec::new();
    let words =
        [(clean(reasons::VIOLATIONS), "rule", "no violation"), (clean(INCIDENTS), "kind", "none")];
    for (n, what, none) in words.into_iter().filter(|(n, ..)| *n > 0) {
        let many = if n == 1 { "" } else { "s" };
        let of = if what == "kind" { " of incident" } else { "" };
        told.push(format!("{n} {what}{many}{of}, {none}"));
    }
    told
}

/// Everything else of a gate.
pub fn shown(gate: &GateVerdict) -> impl Iterator<Item = &ObjectiveVerdict> {
    gate.objectives.iter().filter(|objective| !is_clean(objective))
}

fn is_clean(objective: &ObjectiveVerdict) -> bool {
    objective.verdict == Verdict::Pass
        && (objective.metric == reasons::VIOLATIONS
            || objective.metric == INCIDENTS && objective.bad == 0)
}

/// The cells of an objective.
fn cells(objective: &ObjectiveVerdict) -> [String; 5] {
    [
        objective.verdict.to_string(),
        reasons::name(objective),
        objective.require.clone(),
        format!("n={}", count(objective.n)),
        estimate(objective),
    ]
}

pub fn write(page: &mut Page, report: &RunReport, colour: Colour) {
    page.gap();
    page.raw("Gates");
    let mut widths = [0; 5];
    for gate in report.gates.iter().filter(|gate| gate.judged) {
        for cells in shown(gate).map(cells) {
            for (width, cell) in widths.iter_mut().zip(&cells) {
                *width = chars(cell).max(*width);
            }
        }
    }
    for gate in &report.gates {
        let Some(verdict) = gate.verdict else {
            page.headed(2, "not judged", &gate.name);
            continue;
        };
        let advisory = if gate.advisory { " (advisory: decides nothing)" } else { "" };
        let clean = clean(gate).join("; ");
        let passed = verdict == Verdict::Pass && !clean.is_empty();
        let beside = if passed { format!(": {clean}") } else { String::new() };
        let word = verdict.to_string();
        let from = page.len();
        page.headed(2, &word, &format!("{}{advisory}{beside}", gate.name));
        page.repaint(from, &word, &colour.verdict(verdict, &word));
        for objective in shown(gate) {
            let from = page.len();
            let cells: Vec<_> = cells(objective).into_iter().zip(widths).collect();
            page.row(4, &cells);
            let word = objective.verdict.to_string();
            page.repaint(from, &word, &colour.verdict(objective.verdict, &word));
            if let Some(note) = beside::objective(objective) {
                page.text(6, &note);
            }
        }
        if !passed && !clean.is_empty() {
            let width = chars(&clean);
            page.row(4, &[(Verdict::Pass.to_string(), widths[0]), (clean, width)]);
        }
    }
    if let Some(reach) = texts::reach(report) {
        page.text(2, reach);
    }
}
