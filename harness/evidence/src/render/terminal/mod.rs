//! What stands on the terminal when a run ends: the verdict first, and once more last, no line wider than
//! the screen.

mod figures;
pub(super) mod gates;
mod short;

use super::befell;
use super::brief::{self, Brief};
use super::page::{Page, chars};
use super::reasons::{self, Reason};
use super::texts::{self, HERE};
use super::units::{count, counted};
use crate::judge::{Decision, Verdict};
use crate::oracle::Rule;
use crate::report::{Cause, RunReport};

/// Whether to write ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// No escapes at all.
    Never,
    /// Verdicts in colour.
    Always,
}

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Never => text.to_owned(),
            Self::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn verdict(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::NotApplicable => "2",
            Verdict::Pass => "32",
            Verdict::Warn | Verdict::Inconclusive => "33",
            Verdict::Fail => "31",
        };
        self.paint(code, text)
    }
}

/// Columns of a page whose reader's screen nobody knows: what a line of text has in a log or a mail.
pub const WIDTH: usize = 100;

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Whether in colour.
    pub colour: Colour,
    /// Columns of the screen.
    pub width: usize,
    /// The bundle's folder for this reader, quoted as a shell wants it.
    pub bundle: &'a str,
    /// What stands at the end beside the verdict: the bundle's path.
    pub last: &'a str,
    /// Whether the verdict comes after it, where the cursor stands on a terminal; else it comes before, so
    /// that a script finds the path in the last line.
    pub at_a_terminal: bool,
}

/// Causes told of a rule; the rest are in the bundle.
const CAUSES_SHOWN: usize = 3;
/// Rules told of those that are broken; the rest are in the bundle.
const RULES_SHOWN: usize = 5;
/// Reasons shown; the rest are in the bundle.
const REASONS_SHOWN: usize = 6;
/// Objectives named of a reason; the rest are under the gates.
const NAMES_SHOWN: usize = 4;
/// Column at which what stands beside a word begins.
const COLUMN: usize = 9;
/// The same beside `Untested`.
const UNTESTED_COLUMN: usize = 12;

/// The summary of a run, for those who read it in the bundle's folder.
#[must_use]
pub fn render(report: &RunReport, colour: Colour) -> String {
    let reader = Reader { colour, width: WIDTH, bundle: HERE, last: HERE, at_a_terminal: false };
    render_for(report, &reader)
}

/// The summary of a run for a reader.
#[must_use]
pub fn render_for(report: &RunReport, reader: &Reader<'_>) -> String {
    let mut page = Page::new(reader.width);
    let brief = Brief::of(report, None);
    head(&mut page, report, reader, &brief);
    broken(&mut page, report, reader);
    other_reasons(&mut page, report, reader);
    gates::write(&mut page, report, reader.colour);
    figures::write(&mut page, report);
    page.gap();
    tail(&mut page, report, reader, &brief);
    page.into_text()
}

/// The run in ten lines, for a reader.
#[must_use]
pub fn render_short(report: &RunReport, reader: &Reader<'_>) -> String {
    let mut page = Page::new(reader.width);
    short::write(&mut page, report, reader);
    page.into_text()
}

/// A sentence in lines of at most so many columns.
#[must_use]
pub fn wrapped(sentence: &str, width: usize) -> String {
    let mut page = Page::new(width);
    page.text(0, sentence);
    page.into_text()
}

fn decision(report: &RunReport, colour: Colour) -> String {
    let code = match report.decision {
        Decision::Go => "1;32",
        Decision::Hold => "1;33",
        Decision::NoGo => "1;31",
    };
    colour.paint(code, &report.decision.to_string())
}

fn head_line(page: &mut Page, report: &RunReport, reader: &Reader<'_>) {
    let profile = report.scenario.profile.as_ref().map(|p| format!(" ({p})")).unwrap_or_default();
    let alone = match report.fleet.only_clients.as_slice() {
        [] => String::new(),
        [one] => format!("  client {one} alone"),
        several => format!("  {} clients alone", several.len()),
    };
    let rest = format!(
        "  {}{profile}  seed {}  {:.1} s{}{alone}",
        report.scenario.name,
        report.scenario.seed,
        report.duration_s,
        match (report.finished, report.interrupted) {
            (false, _) => "  UNFINISHED",
            (true, true) => "  INTERRUPTED",
            (true, false) => "",
        },
    );
    let taken = chars(&report.decision.to_string()) + chars(&rest);
    let defects = defects(report, page.width().saturating_sub(taken));
    page.raw(&format!("{}{rest}{defects}", decision(report, reader.colour)));
}

/// The defects that the target was started with, in so many columns: by their names, else how many.
fn defects(report: &RunReport, room: usize) -> String {
    let named = match report.target.defects.as_slice() {
        [] => return String::new(),
        [one] => format!("  with the defect {one}"),
        several => format!("  with the defects {}", several.join(", ")),
    };
    let counted = match report.target.defects.len() {
        1 => "with a defect".to_owned(),
        many => format!("with {many} defects"),
    };
    if chars(&named) <= room {
        named
    } else if chars(&counted) + 2 <= room {
        format!("  {counted}")
    } else {
        format!("\n  {counted}")
    }
}

fn head(page: &mut Page, report: &RunReport, reader: &Reader<'_>, brief: &Brief) {
    head_line(page, report, reader);
    for befell in befell::lines(report) {
        page.text(2, &befell);
    }
    if let Some(passive) = brief::passive(report) {
        page.text(2, &passive);
    }
    page.text(2, &brief.headline);
    let untested = brief::untested(report);
    for untested in &untested {
        page.beside(2, "Untested", UNTESTED_COLUMN, untested);
    }
    page.beside(2, "Tried", COLUMN, &brief.tried);
    page.beside(2, "Seen", COLUMN, &brief.users);
    if let Some(since) = &brief.since {
        page.beside(2, "Since", COLUMN, since);
    }
    if report.decision != Decision::Go {
        page.beside(
            2,
            "Blame",
            COLUMN,
            &format!("Is the test itself to blame? {}", brief.own_fault),
        );
    }
    page.beside(2, "Next", COLUMN, &brief.next);
    if !brief.cautions.is_empty() {
        page.beside(2, "Note", COLUMN, &brief.cautions.join(" "));
    }
    if untested.is_empty() {
        for skipped in befell::not_applicable(report) {
            page.beside(2, "Note", COLUMN, &skipped);
        }
    }
}

/// The rules that are broken: each cause once, with an example and how to see it.
fn broken(page: &mut Page, report: &RunReport, reader: &Reader<'_>) {
    let rules = reasons::broken(report);
    if rules.is_empty() {
        return;
    }
    page.gap();
    page.raw("Broken");
    for (rule, causes) in rules.iter().take(RULES_SHOWN) {
        broken_rule(page, report, reader, *rule, causes);
    }
    let hidden = rules.len().saturating_sub(RULES_SHOWN);
    if hidden > 0 {
        let rules = counted(hidden as u64, "more rule", "more rules");
        page.text(2, &format!("… and {rules} in summary.md"));
    }
    let first = report.oracle.kept.iter();
    let again = first.filter_map(|one| texts::again(report, one, reader.bundle)).next();
    if let Some(again) = again {
        page.text(2, "Again, with the first one's client alone:");
        page.command(4, &again);
        page.text(4, &texts::alone_says(report, reader.bundle));
    }
}

fn broken_rule(
    page: &mut Page,
    report: &RunReport,
    reader: &Reader<'_>,
    rule: Rule,
    causes: &[&Cause],
) {
    let verdict = reasons::verdict(report, rule);
    let (word, by) = reasons::condemned(report, rule);
    let from = page.len();
    page.headed(2, &word, &format!("{by}: {}", rule.what_must_hold()));
    if let Some(verdict) = verdict {
        page.repaint(from, &word, &reader.colour.verdict(verdict, &word));
    }
    if let Some(why) = reasons::why_not_condemned(report, rule) {
        page.text(4, &format!("not condemned: {why}"));
    }
    for cause in causes.iter().take(CAUSES_SHOWN) {
        page.text(4, &reasons::cause(report, cause));
        page.text(6, &format!("such as {}", reasons::example(cause)));
        if let Some(command) = reasons::explain(cause, reader.bundle) {
            page.command(6, &command);
        }
    }
    let hidden: u64 = causes.iter().skip(CAUSES_SHOWN).map(|cause| cause.violations).sum();
    if hidden > 0 {
        let causes = counted((causes.len() - CAUSES_SHOWN) as u64, "other cause", "other causes");
        page.text(4, &format!("… and {} more, of {causes}", count(hidden)));
    }
}

/// What else keeps the run from being GO.
fn other_reasons(page: &mut Page, report: &RunReport, reader: &Reader<'_>) {
    let all = reasons::all(report);
    if all.is_empty() {
        return;
    }
    page.gap();
    page.raw("Why");
    for Reason { verdict, why, of } in all.iter().take(REASONS_SHOWN) {
        let names: Vec<_> = of.iter().take(NAMES_SHOWN).map(String::as_str).collect();
        let more = match of.len().saturating_sub(NAMES_SHOWN) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let from = page.len();
        match verdict {
            Some(verdict) => {
                let word = verdict.to_string();
                page.headed(2, &word, &format!("{}{more}: {why}", names.join(", ")));
                page.repaint(from, &word, &reader.colour.verdict(*verdict, &word));
            }
            None => {
                page.text(2, why);
                if !names.is_empty() {
                    page.text(4, &format!("so undecided: {}{more}", names.join(", ")));
                }
            }
        }
    }
    let hidden = all.len().saturating_sub(REASONS_SHOWN);
    if hidden > 0 {
        let reasons = counted(hidden as u64, "more reason", "more reasons");
        page.text(2, &format!("… and {reasons} in summary.md"));
    }
}

fn tail(page: &mut Page, report: &RunReport, reader: &Reader<'_>, brief: &Brief) {
    if reader.at_a_terminal {
        page.raw(reader.last);
    }
    let from = page.len();
    let word = report.decision.to_string();
    // In one line, so that nothing but the verdict is last.
    let (name, why) = (&report.scenario.name, &brief.headline);
    let fits = |text: &String| chars(&word) + 2 + chars(text) <= page.width();
    let gist = brief::gist(report).map(|gist| format!("{name}: {gist}"));
    let told = [Some(format!("{name}: {why}")), gist].into_iter().flatten().find(fits);
    page.headed(0, &word, told.as_ref().unwrap_or(name));
    page.repaint(from, &word, &decision(report, reader.colour));
    if !reader.at_a_terminal {
        page.raw(reader.last);
    }
}
