//! The rules: the kept ones in a line, each broken one with what it means and with its causes.

use std::fmt::Write as _;

use super::super::units::count;
use super::super::{befell, reasons, texts};
use super::{HERE, cell};
use crate::oracle::Rule;
use crate::report::RunReport;

/// Causes told of a rule; the rest are counted.
const CAUSES_SHOWN: usize = 10;

pub fn write(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let oracle = &report.oracle;
    writeln!(
        out,
        "\n## Rules\n\n{} deliveries and {} replay replies judged; {} repeats, {} redeliveries, {} \
         foreign events. At the end {}.\n",
        count(oracle.deliveries),
        count(oracle.replies),
        count(oracle.repeats),
        count(oracle.redelivered),
        count(oracle.foreign),
        cell(&befell::drain(report)),
    )?;
    let broken = reasons::broken(report);
    let kept = oracle.violations.iter().filter(|(_, violations)| **violations == 0);
    let kept: Vec<_> = kept
        .map(|(rule, _)| {
            let cases = oracle.judged.get(rule).copied().unwrap_or(0);
            format!("`{rule}` ({})", count(cases))
        })
        .collect();
    if !kept.is_empty() {
        writeln!(out, "Kept, with the cases judged: {} rules: {}.", kept.len(), kept.join(", "))?;
    }
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
            "\nAgain, with the first one's client alone, from this folder: `{again}`. Every violation that \
             was kept is in `violations.ndjson`."
        )?;
    }
    Ok(())
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
    writeln!(
        out,
        "\n| topic | what | times | clients | first at | such as | see it, from this folder |"
    )?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | --- | --- |")?;
    for cause in causes.iter().take(CAUSES_SHOWN) {
        let first = std::time::Duration::from_micros(cause.first.at_us).as_secs_f64();
        let clients = if cause.clients == 0 { String::new() } else { count(cause.clients) };
        writeln!(
            out,
            "| {} | {} | {} | {clients} | {first:.3} s | {} | {} |",
            cause.topic.map_or("", |topic| topic.name()),
            cell(&cause.kind),
            count(cause.violations),
            cell(&reasons::example(cause)),
            reasons::explain(cause, HERE).map(|it| format!("`{it}`")).unwrap_or_default(),
        )?;
    }
    let hidden: u64 = causes.iter().skip(CAUSES_SHOWN).map(|cause| cause.violations).sum();
    if hidden > 0 {
        writeln!(
            out,
            "\n… and {} more, other causes: {}.",
            count(hidden),
            causes.len() - CAUSES_SHOWN
        )?;
    }
    Ok(())
}
