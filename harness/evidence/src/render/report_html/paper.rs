//! What of the gates stands on the first page of A4: the verdict and every gate, and as many objectives as there is room
//! for, those that do not pass first. The others stand on the second page, and are counted on the first.
//!
//! A page knows nothing of fonts: lengths are those of a wide one, so that what is said to fit does.

use super::super::beside;
use super::super::brief::{self, Brief};
use super::super::reasons;
use super::gates::GateRows;
use super::strip;
use crate::judge::{ObjectiveVerdict, Verdict};
use crate::report::RunReport;

/// What the first page holds, in millimetres: A4 between its margins, and some of it left free.
const PAGE: f64 = 273.0 - 5.0;
/// Head, facts, headings, and the table's own head.
const FIXED: f64 = 46.0;
/// A line of the headline, of what was tested, of the head's answers, of a gate, of an objective and of its reason.
const HEADLINE: f64 = 4.6;
const SUBJECT: f64 = 3.7;
const ANSWER: f64 = 3.85;
const GATE: f64 = 4.9;
const OBJECTIVE: f64 = 4.05;
const OBJECTIVE_MORE: f64 = 3.3;
const REASON: f64 = 3.5;
/// Letters that a line of each takes.
const HEADLINE_LETTERS: usize = 72;
const SUBJECT_LETTERS: usize = 84;
const ANSWER_LETTERS: usize = 82;
const GATE_LETTERS: usize = 95;
const OBJECTIVE_LETTERS: usize = 26;
const REASON_LETTERS: usize = 100;

/// Lines that a text takes.
#[expect(clippy::cast_precision_loss, reason = "lines of a page")]
fn lines(text: &str, letters: usize) -> f64 {
    text.chars().count().div_ceil(letters).max(1) as f64
}

/// What the head takes before the gates.
fn head(report: &RunReport, brief: &Brief) -> f64 {
    let untested = brief::untested(report);
    let cautions = strip::cautions(report, brief);
    let answers = [&brief.tried, &brief.users, &brief.own_fault, &brief.next, &cautions];
    let answers = answers
        .into_iter()
        .chain(&untested)
        .chain(&brief.since)
        .filter(|answer| !answer.is_empty());
    let strip = lines(&brief.headline, HEADLINE_LETTERS) * HEADLINE
        + lines(&strip::subject(report), SUBJECT_LETTERS) * SUBJECT;
    FIXED + strip + answers.map(|text| lines(text, ANSWER_LETTERS) * ANSWER + 0.6).sum::<f64>()
}

/// What an objective takes with its reason.
fn height(objective: &ObjectiveVerdict) -> f64 {
    let name = format!("{} in {}", reasons::name(objective), objective.during.join(", "));
    let row = OBJECTIVE + (lines(&name, OBJECTIVE_LETTERS) - 1.0) * OBJECTIVE_MORE;
    // A link leads nowhere on paper.
    let is_told = objective.verdict != Verdict::Pass && !reasons::is_of_a_broken_rule(objective);
    let why = is_told.then(|| {
        let note = beside::objective(objective);
        lines(note.as_deref().unwrap_or(&objective.reason), REASON_LETTERS) * REASON
    });
    row + why.unwrap_or(0.0)
}

/// What is looked for first: what does not pass, then the broken rules, each of which the second page tells in any case,
/// then what passes.
fn rank(objective: &ObjectiveVerdict) -> u8 {
    match objective.verdict {
        Verdict::Pass | Verdict::NotApplicable => 2,
        _ if reasons::is_of_a_broken_rule(objective) => 1,
        _ => 0,
    }
}

/// Marks the objectives for which the first page has no room.
pub fn fit(report: &RunReport, gates: &mut [GateRows<'_>]) {
    let brief = Brief::of(report, Some(super::super::texts::HERE));
    let heads = gates.iter().map(|gate| lines(&gate.told(), GATE_LETTERS) * GATE).sum::<f64>();
    let mut room = PAGE - head(report, &brief) - heads;
    let mut all: Vec<_> = gates.iter_mut().flat_map(|gate| gate.objectives.iter_mut()).collect();
    all.sort_by_key(|(objective, _)| rank(objective));
    for (objective, later) in all {
        room -= height(objective);
        *later = room < 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_at_least_a_line_and_one_more_for_each_that_is_full() {
        assert_eq!(["", "abc", "abcd"].map(|text| lines(text, 3).to_string()), ["1", "1", "2"]);
    }
}
