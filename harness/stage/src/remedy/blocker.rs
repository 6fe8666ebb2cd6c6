//! What blocks: everything that failed, as issues that can be filed as they are.

use khala_evidence::judge::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry::StepResult;
use crate::evidence::{GateLine, ObjectiveLine, RunSummary};
use crate::history::{Attempt, StepRun};

/// Something that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocker {
    /// The step in which it did.
    pub step: String,
    /// What failed: `gate / metric [selector]`, an indicator of the hold, or the step itself.
    pub objective: String,
    /// Where else the same was found, of the same run, with the claim where it is another: a rule that is broken fails the
    /// gate that names it and the oracle's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The metric, the indicator, or the step's name.
    pub metric: String,
    /// The surface, where it is of one alone.
    pub surface: Option<String>,
    /// What was claimed.
    pub claim: String,
    /// What was measured.
    pub measured: String,
    /// Its 95 % bounds, where there are any.
    pub bound: String,
    /// Why, in a sentence.
    pub reason: String,
    /// The evidence: a file.
    pub evidence: String,
    /// What shows it again.
    pub again: String,
    /// What was seen, a line each, where a figure does not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What fails, in a few words, where the step knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to do, where the step knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Lines of a step that an issue has: the deviations that fail a conformance run, say.
const DETAILS_MAX: usize = 12;

impl Blocker {
    /// Title of an issue.
    #[must_use]
    pub fn title(&self, stage: &str, build: &str) -> String {
        match &self.title {
            Some(title) => format!("Stage {stage}, {build}: {title}"),
            None => format!(
                "Stage {stage}, {build}: {} fails: {}, must hold: {}",
                self.objective, self.measured, self.claim
            ),
        }
    }

    /// Everything that failed by it.
    pub fn objectives(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.objective.as_str()).chain(self.also.iter().map(String::as_str))
    }
}

/// Everything that failed in an attempt, a blocker each; `name` is what its report is called.
#[must_use]
pub fn blockers(attempt: &Attempt, name: &str) -> Vec<Blocker> {
    let ended = attempt.runs.iter().filter_map(|run| Some((run, &run.ended.as_ref()?.0)));
    let failed = ended.filter(|(_, result)| result.verdict == Verdict::Fail);
    let mut blockers = Vec::new();
    for (run, result) in failed {
        let before = blockers.len();
        for summary in result.runs() {
            blockers.extend(of_run(run, summary));
        }
        if let Some(hold) = &result.hold {
            let lines = hold.windows.indicators.iter().filter(|line| line.verdict == Verdict::Fail);
            blockers.extend(lines.map(|line| Blocker {
                step: run.step.clone(),
                objective: format!("hold / {}", line.indicator.name()),
                also: Vec::new(),
                metric: line.indicator.name().to_owned(),
                surface: None,
                claim: line.indicator.claim().to_owned(),
                measured: line.worst.as_ref().map_or_else(String::new, |(told, _)| told.clone()),
                bound: format!("windows of {} s", hold.windows.window_s),
                reason: line.reason.clone(),
                evidence: hold.segments.last().map_or_else(String::new, |segment| {
                    format!("{}/timeseries.csv", segment.bundle)
                }),
                again: result.run.as_ref().map_or_else(String::new, |run| run.command.clone()),
                details: Vec::new(),
                title: None,
                next: None,
            }));
        }
        if blockers.len() == before {
            let folder = attempt.begun.stage_dir.trim_end_matches('/');
            let folder = if folder.is_empty() { ".".to_owned() } else { folder.to_owned() };
            let evidence = format!(
                "{folder}/{name}.md, step `{}` (the result itself: {folder}/journal.ndjson, attempt {})",
                run.step, attempt.begun.attempt
            );
            blockers.push(of_step(&run.step, result, evidence));
        }
    }
    blockers
}

/// What failed in a run: of several gates that found the same, one.
fn of_run(step: &StepRun, summary: &RunSummary) -> Vec<Blocker> {
    let failed: Vec<_> = summary.objectives(Verdict::Fail).collect();
    let mut found: Vec<(&GateLine, &ObjectiveLine, Vec<String>)> = Vec::new();
    // What is on all violations is nothing of its own beside the rules that are broken.
    let (rules, others): (Vec<_>, Vec<_>) = failed
        .into_iter()
        .partition(|(_, one)| one.metric == VIOLATIONS && !one.selector.is_empty());
    for (gate, one) in rules.into_iter().chain(others) {
        let is_sum = one.metric == VIOLATIONS && one.selector.is_empty();
        let mut causes: Vec<_> = found
            .iter_mut()
            .filter(|(other, it, _)| match is_sum {
                true => it.metric == VIOLATIONS,
                false => is_same(it, one) && other.name != gate.name,
            })
            .collect();
        for (_, it, also) in &mut causes {
            let claim = match it.require == one.require {
                true => String::new(),
                false => format!(" (must hold: {})", one.require),
            };
            also.push(format!("{}{claim}", named(gate, one)));
        }
        if causes.is_empty() {
            found.push((gate, one, Vec::new()));
        }
    }
    found
        .into_iter()
        .map(|(gate, one, also)| of_objective(step, summary, (gate, one), also))
        .collect()
}

/// The metric of the oracle's rules.
const VIOLATIONS: &str = "violations";

/// Whether two objectives of a run found one thing: the same was measured of the same.
fn is_same(one: &ObjectiveLine, other: &ObjectiveLine) -> bool {
    (&one.metric, &one.selector, &one.measured) == (&other.metric, &other.selector, &other.measured)
}

fn named(gate: &GateLine, one: &ObjectiveLine) -> String {
    format!("{} / {}", gate.name, one.name())
}

fn of_objective(
    step: &StepRun,
    summary: &RunSummary,
    (gate, one): (&GateLine, &ObjectiveLine),
    also: Vec<String>,
) -> Blocker {
    Blocker {
        step: step.step.clone(),
        objective: named(gate, one),
        also,
        metric: one.name(),
        surface: one.selector.strip_prefix("surface=").map(str::to_owned),
        claim: one.require.clone(),
        measured: one.measured.clone(),
        bound: one.bound.clone(),
        reason: one.reason.clone(),
        evidence: format!("{}/summary.md", summary.bundle),
        again: summary.command.clone(),
        details: Vec::new(),
        title: None,
        next: None,
    }
}

fn of_step(step: &str, result: &StepResult, evidence: String) -> Blocker {
    let command = result.command.as_ref();
    let failed = result.failed.clone();
    let (claim, measured) = match (&failed, command) {
        (Some(failed), _) => (failed.claim.clone(), failed.measured.clone()),
        (None, Some(run)) => ("the command ends with 0".to_owned(), run.end.to_string()),
        (None, None) => ("it passes".to_owned(), result.what.clone()),
    };
    let reason = if failed.is_some() { measured.clone() } else { result.what.clone() };
    Blocker {
        step: step.to_owned(),
        objective: step.to_owned(),
        also: Vec::new(),
        metric: step.to_owned(),
        surface: None,
        claim,
        measured,
        bound: String::new(),
        reason,
        evidence,
        again: command.map_or_else(String::new, |run| crate::command::line(&run.command)),
        details: details(result),
        title: failed.map(|failed| failed.title),
        next: result.next.clone(),
    }
}

/// What a step tells of what it saw, or what its command said last.
fn details(result: &StepResult) -> Vec<String> {
    let said = result.command.iter().flat_map(|run| {
        let lines: Vec<&str> = run.stdout.lines().chain(run.stderr.lines()).collect();
        let from = lines.len().saturating_sub(DETAILS_MAX);
        lines[from..].iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()
    });
    let mut details: Vec<String> = result.lines.iter().cloned().chain(said).collect();
    let more = details.len().saturating_sub(DETAILS_MAX);
    if more > 0 {
        details.truncate(DETAILS_MAX);
        details.push(format!("and {more} more, with the step in the report"));
    }
    details
}
