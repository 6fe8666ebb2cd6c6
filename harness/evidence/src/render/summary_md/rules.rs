//! The rules: the kept ones in a line, each broken one with what it means and with its causes.

use std::fmt::Write as _;

use super::super::escape::markdown_line as cell;
use super::super::units::{count, counted};
use super::super::{befell, reasons, texts};
use super::HERE;
use crate::oracle::Rule;
use crate::report::RunReport;

/// Causes told of a rule; the rest are counted.
const CAUSES_SHOWN: usize = 10;

pub fn write(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let oracle = &report.oracle;
    let (own, foreign) = texts::deliveries(report);
    writeln!(
        out,
        "\n## Rules\n\n{} and {} judged; {}, {}. {}, held against no publish: {}. At the end {}.\n",
        counted(own, "delivery", "deliveries"),
        counted(oracle.replies, "replay reply", "replay replies"),
        counted(oracle.repeats, "repeat", "repeats"),
        counted(oracle.redelivered, "redelivery", "redeliveries"),
        if texts::is_past(report) {
            "Of the target's past, from before the run"
        } else {
            "Of others"
        },
        counted(foreign, "delivery", "deliveries"),
        cell(&befell::drain(report)),
    )?;
    let broken = reasons::broken(report);
    kept(out, report)?;
    beside(out, "left undecided", &oracle.undecided)?;
    beside(out, "following from an earlier rule's violations", &oracle.consequences)?;
    if let Some(names) = texts::not_exercised(report) {
        writeln!(out, "\n{names}.")?;
    }
    for (rule, _) in &broken {
        of_rule(out, report, *rule)?;
    }
    let first = oracle.kept.iter();
    if let Some(again) = first.filter_map(|one| texts::again(report, one, HERE)).next() {
        writeln!(
            out,
            "\nAgain, with the first one's client alone, from this folder: `{again}`. {}\n\nEvery violation that \
             was kept is in `violations.ndjson`.",
            texts::alone_says(report, HERE)
        )?;
    }
    Ok(())
}

/// The rules of which no violation was found, each with its cases: those that were kept, and apart from them
/// those whose sentence does not hold by what an earlier rule found, which alone tells of it.
fn kept(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let oracle = &report.oracle;
    let (mut kept, mut told_by_others) = (Vec::new(), Vec::new());
    for (name, _) in oracle.violations.iter().filter(|(_, violations)| **violations == 0) {
        let cases = count(oracle.judged.get(name).copied().unwrap_or(0));
        let others = breached_by(report, name);
        match others.as_slice() {
            [] => kept.push(format!("`{name}` ({cases})")),
            some => told_by_others.push(format!("`{name}` (see {})", some.join(", "))),
        }
    }
    if !kept.is_empty() {
        let rules = counted(kept.len() as u64, "rule", "rules");
        writeln!(out, "Kept, with the cases judged: {rules}: {}.", kept.join(", "))?;
    }
    if !told_by_others.is_empty() {
        let names = told_by_others.join(", ");
        writeln!(
            out,
            "\nNot said to be kept, for what another rule found, and alone tells of, may break these as well: \
             {names}."
        )?;
    }
    Ok(())
}

/// The rules whose violations are breaches of this one's sentence as well.
fn breached_by(report: &RunReport, name: &str) -> Vec<String> {
    let Some(rule) = Rule::of(name) else { return Vec::new() };
    let count = |of: &std::collections::BTreeMap<String, u64>, name: &str| {
        of.get(name).copied().unwrap_or(0)
    };
    let broken = |rule: &&Rule| count(&report.oracle.violations, rule.name()) > 0;
    let mut by: Vec<_> =
        rule.told_by().iter().filter(broken).map(|rule| format!("`{rule}`")).collect();
    if by.is_empty() && count(&report.oracle.consequences, name) > 0 {
        by.push("an earlier one".to_owned());
    }
    by
}

fn beside(
    out: &mut String,
    what: &str,
    counts: &std::collections::BTreeMap<String, u64>,
) -> std::fmt::Result {
    let some: Vec<_> = counts
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(rule, n)| format!("`{rule}` {}", count(*n)))
        .collect();
    if some.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nCases {what}: {}.", some.join(", "))
}

fn of_rule(out: &mut String, report: &RunReport, rule: Rule) -> std::fmt::Result {
    let causes: Vec<_> = report.oracle.causes.iter().filter(|cause| cause.rule == rule).collect();
    let violations = report.oracle.violations.get(rule.name()).copied().unwrap_or(0);
    let (word, by) = reasons::condemned(report, rule);
    let condemned = format!("{word} {by}");
    writeln!(out, "\n### `{rule}` broken {}×: {}\n", count(violations), cell(&condemned))?;
    writeln!(
        out,
        "{} What must hold: {}",
        reasons::felt(report, rule),
        cell(rule.what_must_hold())
    )?;
    if let Some(why) = reasons::why_not_condemned(report, rule) {
        writeln!(out, "\nNot condemned: {}.", cell(why))?;
    }
    writeln!(out)?;
    for cause in causes.iter().take(CAUSES_SHOWN) {
        writeln!(out, "- {}", cell(&reasons::cause(report, cause)))?;
        writeln!(out, "  - such as {}", cell(&reasons::example(cause)))?;
        if let Some(surfaces) = reasons::surfaces(report, cause) {
            writeln!(out, "  - befell {surfaces}")?;
        }
        if let Some(command) = reasons::explain(cause, HERE) {
            writeln!(out, "  - see it, from this folder: `{command}`")?;
        }
    }
    let hidden: u64 = causes.iter().skip(CAUSES_SHOWN).map(|cause| cause.violations).sum();
    if hidden > 0 {
        writeln!(
            out,
            "\n… and {} more, of {}.",
            count(hidden),
            counted((causes.len() - CAUSES_SHOWN) as u64, "other cause", "other causes")
        )?;
    }
    Ok(())
}
