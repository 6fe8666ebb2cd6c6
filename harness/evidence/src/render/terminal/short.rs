//! The run in ten lines: what to decide, why, what to do next, and where the rest stands.

use super::super::brief::{self, Brief};
use super::super::page::{Page, chars};
use super::super::units::count;
use super::super::{befell, reasons, texts};
use super::{Reader, head_line, tail};
use crate::judge::{Decision, Verdict};
use crate::report::{Cause, RunReport};

/// Lines of all of it, but for what to do where that takes more than [`LINES`].
const ALL: usize = 10;
/// Lines that a sentence may take that can be cut.
const LINES: usize = 2;
/// Whom the command is for that stands below it.
const FOR_BUILDERS: &str = "Give this to those who build the service:";

/// The ten lines. What to do, and since when and for whom it is so, is never cut; what else has no room stands whole
/// where the last word of them leads.
pub fn write(page: &mut Page, report: &RunReport, reader: &Reader<'_>) {
    let brief = Brief::of(report, Some(reader.bundle));
    head_line(page, report, reader);
    let next = next(report, reader, &brief, page.width());
    let since = brief.since.as_deref();
    let since = since.map_or_else(Vec::new, |since| hung(page.width(), "Since ", since));
    // The headline of a HOLD says it.
    let starved = brief::starved(report).filter(|_| report.decision == Decision::NoGo);
    let ending = {
        let mut ending = Page::new(page.width());
        tail(&mut ending, report, reader, &brief);
        ending.into_text().lines().count()
    };
    let taken = page.lines()
        + next.len().min(LINES)
        + since.len()
        + usize::from(starved.is_some())
        + 1
        + ending;
    let room = ALL.saturating_sub(taken);
    let mut whole = true;
    let mut said = |page: &mut Page, word: &str, text: &str, lines_max: usize| {
        whole &= said_in(page, word, text, lines_max);
    };
    // What a GO says nothing of stands in its headline, and is not cut.
    let lines = match report.decision {
        Decision::Go => usize::MAX,
        Decision::NoGo | Decision::Hold => room.saturating_sub(1).clamp(1, LINES),
    };
    said(page, "", &brief.headline, lines);
    let lines = room.saturating_sub(lines).clamp(1, LINES);
    match report.decision {
        Decision::Go => said(page, "Seen  ", &brief.users, LINES),
        Decision::NoGo | Decision::Hold => said(page, "Why   ", &worst(report), lines),
    }
    since.iter().for_each(|line| page.raw(line));
    if let Some(why) = starved {
        said(page, "Test  ", &format!("{}: {why}.", stands(report)), 1);
    }
    next.iter().for_each(|line| page.raw(line));
    let cut = if whole { "" } else { "uncut " };
    said_in(page, "All   ", &format!("{cut}with --summary full; gates: {}", gates(report)), 1);
    tail(page, report, reader, &brief);
}

/// What to do, all of it.
fn next(report: &RunReport, reader: &Reader<'_>, brief: &Brief, width: usize) -> Vec<String> {
    // A command stays whole, to be copied.
    let shown = condemned(report).and_then(|cause| reasons::explain(cause, reader.bundle));
    match shown.filter(|_| !brief::was_away(report) && !report.altered) {
        Some(command) => {
            let mut lines = hung(width, "Next  ", FOR_BUILDERS);
            lines.push(format!("        {command}"));
            lines
        }
        None => {
            // Nothing stands below ten lines.
            let next = brief.next.replace('`', "").replace("stands below", "stands in summary.md");
            hung(width, "Next  ", &next)
        }
    }
}

/// A sentence after a word, in as many lines as it takes.
fn hung(width: usize, word: &str, text: &str) -> Vec<String> {
    let indent = 2 + chars(word);
    let mut page = Page::new(width);
    page.hung(indent, indent, text);
    let text = page.into_text();
    let lines = text.lines().enumerate().map(|(number, line)| {
        let start = if number == 0 { format!("  {word}") } else { " ".repeat(indent) };
        format!("{start}{}", line.trim_start())
    });
    lines.collect()
}

/// The same in so many lines at most; whether it is whole, for what has no room is cut.
fn said_in(page: &mut Page, word: &str, text: &str, lines_max: usize) -> bool {
    let lines = hung(page.width(), word, text);
    for (number, line) in lines.iter().take(lines_max).enumerate() {
        if number + 1 == lines_max && lines.len() > lines_max {
            let cut: String = line.chars().take(page.width().saturating_sub(1)).collect();
            page.raw(&format!("{}…", cut.trim_end_matches([' ', ',', ';', '.'])));
        } else {
            page.raw(line);
        }
    }
    lines.len() <= lines_max
}

/// The worst that there is to say: what befell the run, the first rule that is broken, else the first reason.
fn worst(report: &RunReport) -> String {
    if let Some(befell) = befell::lines(report).first().filter(|_| brief::was_away(report)) {
        return befell.clone();
    }
    if let Some(cause) = condemned(report) {
        // Since when stands below it.
        return reasons::what(report, cause);
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
