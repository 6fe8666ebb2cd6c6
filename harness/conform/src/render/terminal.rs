//! What is printed: the verdict, then what is wrong, then what was not decided, then the rest in a line each.

use std::fmt::Write as _;

use crate::report::{CaseResult, Report, Status};

/// The text; passes are listed only where `all` is set.
#[must_use]
pub fn render(report: &Report, all: bool) -> String {
    let mut out = String::new();
    let totals = report.totals;
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{}  conform {}  {:.1} s\n  {}.\n  {} cases: {} pass, {} deviation, {} accepted, {} finding, {} undecided, \
         {} not applicable",
        report.decision.name(),
        report.url,
        report.elapsed_s,
        sentence(&report.why),
        totals.cases,
        totals.pass,
        totals.deviation,
        totals.accepted,
        totals.finding,
        totals.undecided,
        totals.not_applicable,
    );
    broken(&mut out, "Deviations: the contract says MUST", report.of(Status::Deviation));
    if !report.stale_known.is_empty() {
        out.push_str("\nAccepted, and no more: take these lines out of the list\n");
        for stale in &report.stale_known {
            let _ = writeln!(out, "  {} (accepted: {})", stale.id, stale.reason);
        }
    }
    lines(&mut out, "Undecided: could not be carried out", report.of(Status::Undecided));
    broken(&mut out, "Findings: nothing fails by them", report.of(Status::Finding));
    broken(&mut out, "Accepted deviations", report.accepted());
    lines(&mut out, "Not applicable", report.of(Status::NotApplicable));
    if all {
        lines(&mut out, "Pass", report.of(Status::Pass));
    }
    if !report.remains.is_empty() {
        let _ = writeln!(out, "\nNot stopped again: {}", report.remains.join(", "));
    }
    out
}

/// A sentence's first letter is a capital.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn broken<'r>(out: &mut String, head: &str, results: impl Iterator<Item = &'r CaseResult>) {
    let results: Vec<_> = results.collect();
    if results.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{head}");
    for result in results {
        let _ = writeln!(out, "  {}  {}", result.id, result.title);
        let _ = writeln!(out, "    contract {}: \"{}\"", result.section, result.sentence);
        if let Some(broken) = &result.broken {
            let _ = writeln!(out, "    done    {}", broken.did);
            let _ = writeln!(out, "    came    {}", broken.came);
            let _ = writeln!(out, "    should  {}", broken.should);
        }
        if let Some(reason) = &result.accepted {
            let _ = writeln!(out, "    accepted: {reason}");
        }
    }
}

fn lines<'r>(out: &mut String, head: &str, results: impl Iterator<Item = &'r CaseResult>) {
    let results: Vec<_> = results.collect();
    if results.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{head}");
    let width = results.iter().map(|result| result.id.len()).max().unwrap_or_default();
    for result in results {
        let _ = writeln!(out, "  {:width$}  {}", result.id, result.told());
    }
}
