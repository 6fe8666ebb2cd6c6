//! The run in ten lines: what to decide, why, what to do next, and where the rest stands.

use super::super::brief::{self, Brief};
use super::super::page::{Page, chars};
use super::super::units::count;
use super::super::{befell, reasons, texts};
use super::{Reader, head_line, tail};
use crate::judge::{Decision, Verdict};
use crate::report::{Cause, RunReport};

/// Lines that a sentence may take.
const LINES: usize = 2;
/// Whom the command is for that stands below it.
const FOR_BUILDERS: &str = "Give this to those who build the service:";

/// The ten lines.
pub fn write(page: &mut Page, report: &RunReport, reader: &Reader<'_>) {
    let brief = Brief::of(report, Some(reader.bundle));
    head_line(page, report, reader);
    // What a GO says nothing of stands in its headline, and is not cut.
    let lines = if report.decision == Decision::Go { LINES + 1 } else { LINES };
    said_in(page, "", &brief.headline, lines);
    // The headline of a HOLD says it.
    let starved = brief::starved(report).filter(|_| report.decision == Decision::NoGo);
    match report.decision {
        Decision::Go => said(page, "Seen  ", &brief.users),
        Decision::NoGo | Decision::Hold => {
            // One that was starved has a line of its own.
            let lines = LINES - usize::from(starved.is_some());
            said_in(page, "Why   ", &worst(report), lines);
        }
    }
    if let Some(why) = starved {
        said_in(page, "Test  ", &format!("{}: {why}.", stands(report)), 1);
    }
    // A command stays whole, to be copied.
    let shown = condemned(report).and_then(|cause| reasons::explain(cause, reader.bundle));
    match shown.filter(|_| !brief::was_away(report) && !report.altered) {
        Some(command) => {
            said_in(page, "Next  ", FOR_BUILDERS, 1);
            page.raw(&format!("        {command}"));
        }
        None => said(page, "Next  ", &brief.next.replace('`', "")),
    }
    said_in(page, "All   ", &format!("with --summary full; gates: {}", gates(report)), 1);
    tail(page, report, reader, &brief);
}

fn said(page: &mut Page, word: &str, text: &str) {
    said_in(page, word, text, LINES);
}

/// A sentence after a word, in so many lines at most; what has no room is cut.
fn said_in(page: &mut Page, word: &str, text: &str, lines_max: usize) {
    let indent = 2 + chars(word);
    let mut whole = Page::new(page.width());
    whole.hung(indent, indent, text);
    let whole = whole.into_text();
    let lines: Vec<&str> = whole.lines().collect();
    for (number, line) in lines.iter().take(lines_max).enumerate() {
        let start = if number == 0 { format!("  {word}") } else { " ".repeat(indent) };
        let rest = line.trim_start();
        if number + 1 == lines_max && lines.len() > lines_max {
            let room = page.width().saturating_sub(indent + 1);
            let cut: String = rest.chars().take(room).collect();
            page.raw(&format!("{start}{}…", cut.trim_end_matches([' ', ',', ';', '.'])));
        } else {
            page.raw(&format!("{start}{rest}"));
        }
    }
}

/// The worst that there is to say: what befell the run, the first rule that is broken, else the first reason.
fn worst(report: &RunReport) -> String {
    if let Some(befell) = befell::lines(report).first().filter(|_| brief::was_away(report)) {
        return befell.clone();
    }
    if let Some(cause) = condemned(report) {
        return reasons::cause(report, cause);
    }
    match reasons::all(report).first() {
        Some(reason) if reason.of.is_empty() => reason.why.clone(),
        // What it leaves undecided says less than the reason does.
        Some(reason) if report.decision == Decision::Hold => {
            format!("{} (so undecided: {})", reason.why, reason.of.join(", "))
        }
        Some(reason) => format!("{}: {}", reason.of.join(", "), reason.why),
        None => texts::fitness(&report.generator),
    }
}

/// What a generator that had not what it needed leaves of a NO-GO.
fn stands(report: &RunReport) -> &'static str {
    match brief::is_proven(report) {
        true => "To blame for what is undecided, but not for what is broken",
        false => "It may be to blame itself",
    }
}

/// The first cause of a rule that fails the run.
fn condemned(report: &RunReport) -> Option<&Cause> {
    let mut broken = reasons::broken(report).into_iter();
    let fails = |rule| reasons::verdict(report, rule) == Some(Verdict::Fail);
    broken.find(|(rule, _)| fails(*rule)).and_then(|(_, causes)| causes.first().copied())
}

/// How many gates came to what; those that decide nothing apart.
fn gates(report: &RunReport) -> String {
    let (deciding, advisory) = (counted(report, false), counted(report, true));
    match (deciding.as_str(), advisory.as_str()) {
        (_, "") => deciding,
        ("", _) => format!("advisory: {advisory}"),
        _ => format!("{deciding}; advisory: {advisory}"),
    }
}

/// How many of the gates that are advisory, or of the others, came to what.
fn counted(report: &RunReport, advisory: bool) -> String {
    let gates = || report.gates.iter().filter(|gate| gate.advisory == advisory);
    let of = |verdict| gates().filter(|it| it.verdict == Some(verdict)).count();
    let words = [
        (Verdict::Fail, "failed"),
        (Verdict::Inconclusive, "undecided"),
        (Verdict::Warn, "with a warning"),
        (Verdict::Pass, "passed"),
    ];
    let told = words.into_iter().map(|(verdict, word)| (of(verdict), word));
    let told = told.filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", count(n as u64)));
    told.collect::<Vec<_>>().join(", ")
}
