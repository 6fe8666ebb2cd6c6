//! What tries of a step left that were interrupted: it is read before anything else is done. What such a run came to by
//! then was seen, and no later try takes it back.

use std::path::Path;

use khala_bundle::Bundle;
use khala_evidence::judge::{Decision, Verdict};
use khala_evidence::report::RunReport;
use khala_stage::entry::StepResult;
use khala_stage::evidence::RunSummary;
use khala_stage::history::Attempt;
use khala_stage::steps::Step;

use super::order::Order;
use super::runs;
use crate::exit::Failure;

/// What to do where the evidence of a try is no longer there, or no longer what it was.
pub const MISSING: &str = "begin a new attempt, without --resume: what that run had found cannot be known without its evidence";

/// Why an attempt cannot be taken up again now: a run that was interrupted has no evidence any more.
pub fn missing(attempt: &Attempt) -> Option<String> {
    let mut open = attempt.runs.iter().filter(|run| run.ended.is_none());
    open.find_map(|run| {
        let error = Bundle::open(Path::new(run.bundle.as_ref()?)).err()?;
        Some(format!(
            "{}: the evidence of a run that was interrupted is missing: {error}; put it back, and resume the attempt from \
             the folder in which it was begun, or {MISSING}",
            run.step
        ))
    })
}

/// What the tries of a step left.
#[derive(Default)]
pub struct Left {
    /// A try that settles the step, and what comes of it.
    pub ended: Option<(u32, StepResult)>,
    /// Runs that settle nothing, but are to be told of with the next one.
    pub runs: Vec<RunSummary>,
}

/// What the run of a try came to that was interrupted.
///
/// # Errors
/// Why nobody knows, in a sentence.
pub fn report(dir: &Path) -> Result<RunReport, String> {
    let evidence = Bundle::open(dir).and_then(|bundle| bundle.settle());
    let report = evidence.map(|evidence| evidence.report()).map_err(|error| {
        format!("the evidence of a run that was interrupted is missing: {error}")
    })?;
    if report.altered && report.decision != Decision::NoGo {
        let dir = dir.display();
        return Err(format!(
            "the evidence of a run that was interrupted, {dir}, was changed since"
        ));
    }
    Ok(report)
}

/// Reads what the tries of a scenario left; those of a hold are its parts, and its own matter.
///
/// # Errors
/// When the scenario cannot be read.
pub fn left(order: &Order<'_>, attempt: &Attempt, step: &Step<'_>) -> Result<Left, Failure> {
    let Step::Scenario(scenario) = step else { return Ok(Left::default()) };
    let name = step.name();
    let mut left = Left::default();
    let command = runs::command(&order.scenario(scenario, &[]), order.args);
    for run in attempt.tries(&name) {
        // One that was killed before it had a folder sent nothing.
        let Some(dir) = run.bundle.as_deref().map(Path::new) else { continue };
        match of_one(dir, &command) {
            Tried::Open(summary) => left.runs.push(*summary),
            settled => {
                let result = settled.result(std::mem::take(&mut left.runs));
                return Ok(Left { ended: Some((run.run, result)), runs: Vec::new() });
            }
        }
    }
    Ok(left)
}

/// What a try left.
enum Tried {
    /// A run that settles nothing.
    Open(Box<RunSummary>),
    /// One that settles the step.
    Settled(Box<RunSummary>),
    /// Nobody knows: why.
    Missing(String),
}

impl Tried {
    /// What comes of the step by it; `others` are runs of tries before it.
    fn result(self, others: Vec<RunSummary>) -> StepResult {
        match self {
            Self::Open(run) | Self::Settled(run) => runs::of_run(*run, others),
            Self::Missing(why) => {
                let missing = StepResult::of(Verdict::Inconclusive, why).next(MISSING);
                StepResult { others, ..missing }
            }
        }
    }
}

fn of_one(dir: &Path, command: &str) -> Tried {
    let report = match report(dir) {
        Ok(report) => report,
        Err(why) => return Tried::Missing(why),
    };
    let came_to_its_end = report.finished && !report.interrupted;
    let summary = runs::summary(&report, dir, None, command.to_owned());
    let settles = match summary.step_verdict() {
        Verdict::Fail => true,
        // Nothing vouches for what has no manifest.
        Verdict::Pass => came_to_its_end && summary.manifest_sha256.is_some(),
        _ => came_to_its_end,
    };
    let summary = Box::new(summary);
    if settles { Tried::Settled(summary) } else { Tried::Open(summary) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn data(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../bundle/tests/data").join(name)
    }

    fn settled(dir: &Path) -> StepResult {
        match of_one(dir, "again") {
            Tried::Open(run) => panic!("it settles nothing: {run:?}"),
            settled => settled.result(Vec::new()),
        }
    }

    fn copied(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).expect("is made");
        for entry in std::fs::read_dir(from).expect("is there").flatten() {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() {
                copied(&from, &to);
            } else {
                std::fs::copy(&from, &to).expect("is copied");
            }
        }
    }

    #[test]
    fn a_run_that_failed_or_came_to_its_end_settles_its_step_and_one_that_was_killed_does_not() {
        assert_eq!(settled(&data("no-go")).verdict, Verdict::Fail);
        assert_eq!(settled(&data("go")).verdict, Verdict::Pass);
        assert!(matches!(of_one(&data("killed"), "again"), Tried::Open(_)));
    }

    #[test]
    fn a_run_that_is_gone_or_was_changed_leaves_its_step_open_with_what_to_do() {
        let dir = tempfile::tempdir().expect("a folder");
        let gone = settled(&dir.path().join("gone"));
        assert_eq!((gone.verdict, gone.next.as_deref()), (Verdict::Inconclusive, Some(MISSING)));
        assert!(gone.what.contains("is missing"), "{}", gone.what);
        let changed = dir.path().join("changed");
        copied(&data("go"), &changed);
        let events = changed.join("events.ndjson");
        let text = std::fs::read_to_string(&events).expect("is there");
        std::fs::write(&events, format!("{text}\n")).expect("is written");
        let changed = settled(&changed);
        assert_eq!(changed.verdict, Verdict::Inconclusive, "{}", changed.what);
        assert!(changed.what.contains("was changed since"), "{}", changed.what);
        let emptied = dir.path().join("emptied");
        copied(&data("no-go"), &emptied);
        std::fs::remove_dir_all(emptied.join("journal")).expect("is removed");
        assert_eq!(settled(&emptied).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_no_go_that_was_made_unreadable_in_part_stays_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let changed = dir.path().join("changed");
        copied(&data("no-go"), &changed);
        let events = changed.join("events.ndjson");
        std::fs::write(&events, "").expect("is written");
        assert_eq!(settled(&changed).verdict, Verdict::Fail);
    }
}
