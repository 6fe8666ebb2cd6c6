//! What a folder of stages comes to, drawn again: whether each decision follows from its lines, and these from the
//! evidence of its runs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use khala_evidence::report::RunReport;
use khala_plan::rollout::{Rollout, Stage};
use khala_stage::decide::{self, Case, Named};
use khala_stage::entry::{Begun, HoldResult, StepResult};
use khala_stage::evidence::RunSummary;
use khala_stage::history::{Attempt, History};
use khala_stage::journal::{Journal, sha256};
use khala_stage::render;
use khala_stage::report::StageReport;
use khala_stage::windows::{self, Settings};

use super::{held, look, runs, tries};
use crate::args;

/// What is wrong, and what could not be looked at.
#[derive(Default)]
pub struct Found {
    /// What does not follow.
    pub problems: Vec<String>,
    /// What is not known.
    pub notes: Vec<String>,
}

/// Draws the decision on an attempt again, and what its steps say of their runs.
pub fn drawn(dir: &Path, (journal, history): (&Journal, &History), attempt: &Attempt) -> Found {
    let mut found = Found::default();
    let Some((ended, _)) = &attempt.ended else { return found };
    let told = format!("attempt {} (stage {})", ended.attempt, attempt.begun.stage);
    let rollout = match rollout(&attempt.begun) {
        Ok(rollout) => rollout,
        Err(Unread::Changed(why)) => {
            found.problems.push(format!("{told}: {why}"));
            return found;
        }
        Err(Unread::Unknown(why)) => {
            found.notes.push(format!("{told}: its decision cannot be drawn again: {why}"));
            return found;
        }
    };
    let gone = RefCell::new(BTreeSet::new());
    let check = |named: Named<'_>| match named {
        Named::Run { bundle, .. } if !Path::new(bundle).exists() => {
            gone.borrow_mut().insert(bundle.to_owned());
            None
        }
        named => look(dir, history, named),
    };
    match decide::again(&rollout, journal, ended, &check) {
        Err(why) => found.notes.push(format!("{told}: its decision cannot be drawn again: {why}")),
        Ok(again) => {
            let differences =
                decide::differences(&ended.decided, &again, is_by_this_build(&attempt.begun));
            found.problems.extend(differences.into_iter().map(|why| format!("{told}: {why}")));
        }
    }
    let gone = gone.into_inner();
    if !gone.is_empty() {
        let gone: Vec<_> = gone.into_iter().collect();
        found.notes.push(format!(
            "{told}: of evidence that is no longer there, the decision is drawn by the journal's word: {}",
            gone.join(", ")
        ));
    }
    if is_by_this_build(&attempt.begun) {
        found.problems.extend(of_report(dir, &rollout, history, attempt));
        let stage = rollout.stage(&attempt.begun.stage);
        let otherwise = otherwise(attempt, stage);
        found.problems.extend(otherwise.into_iter().map(|why| format!("{told}: {why}")));
    }
    found
}

/// Why there is no rollout file to draw a decision by.
enum Unread {
    /// What is kept is not what it was.
    Changed(String),
    /// Nobody knows what it was.
    Unknown(String),
}

/// The rollout file that an attempt was begun with, as it was read then.
fn rollout(begun: &Begun) -> Result<Rollout, Unread> {
    let Some(kept) = &begun.asked_by else {
        let why = "the journal does not keep its rollout file: an earlier build wrote it, or a secret stood in the file";
        return Err(Unread::Unknown(why.to_owned()));
    };
    if sha256(kept.text.as_bytes()) != begun.rollout_sha256 {
        let why = "the rollout file that the journal keeps is not the one whose digest it has";
        return Err(Unread::Changed(why.to_owned()));
    }
    let variable = |name: &str| kept.variables.get(name).cloned();
    khala_plan::rollout::load("the rollout file", &kept.text, &variable).map_err(|wrong| {
        let first = wrong.iter().next().map_or_else(String::new, |it| it.what().to_owned());
        Unread::Unknown(format!("this build cannot read its rollout file: {first}"))
    })
}

/// What of an attempt's report is not what its lines give.
fn of_report(dir: &Path, rollout: &Rollout, history: &History, attempt: &Attempt) -> Vec<String> {
    let Some((ended, now)) = &attempt.ended else { return Vec::new() };
    let history = &history.until(ended.attempt);
    let (Some(stage), Some(attempt)) =
        (rollout.stage(&attempt.begun.stage), history.attempts.last())
    else {
        return Vec::new();
    };
    let case = Case { rollout, stage, history, attempt, now, check: &|_| None };
    let report = StageReport::of(&case, &ended.decided, &ended.report);
    let mut found = Vec::new();
    let json = render::json(&report).unwrap_or_default();
    if sha256(json.as_bytes()) != ended.report_sha256 {
        found.push(format!("{}.json is not what the journal's lines give", ended.report));
    }
    for (end, text) in [("md", render::markdown(&report)), ("html", render::html(&report))] {
        let name = format!("{}.{end}", ended.report);
        let there = std::fs::read(dir.join(&name));
        if there.is_ok_and(|there| there != text.as_bytes()) {
            found.push(format!("{name} is not what was written"));
        }
    }
    found
}

fn is_by_this_build(begun: &Begun) -> bool {
    let this = (env!("CARGO_PKG_VERSION"), args::commit());
    (begun.tool_version.as_str(), begun.tool_commit.as_deref()) == this
}

/// What the journal says of runs, and of what was held, that their evidence does not; what is gone or was changed is told
/// elsewhere.
fn otherwise(attempt: &Attempt, stage: Option<&Stage>) -> Vec<String> {
    let mut found = Vec::new();
    for run in &attempt.runs {
        let Some((result, _)) = &run.ended else { continue };
        for written in result.runs() {
            let Some(report) = of_bundle(written) else { continue };
            let (dir, early) = (Path::new(&written.bundle), written.ended_early.clone());
            let there = runs::summary(&report, dir, early, written.command.clone());
            if !is_same(written, &there) {
                found.push(format!("{} is told otherwise than {} says", run.step, written.bundle));
            }
        }
        let hold = result.hold.as_deref().zip(stage.and_then(|stage| stage.hold.as_ref()));
        if let Some((hold, planned)) = hold {
            let settings = Settings::of(planned, attempt.begun.hold_s);
            found.extend(of_hold(result, hold, &settings));
        }
    }
    found
}

/// The report of a run, if its evidence is there as it was.
fn of_bundle(run: &RunSummary) -> Option<RunReport> {
    let manifest = run.manifest_sha256.as_deref();
    let as_it_was = runs::check(&run.bundle, manifest, run.decision).is_none();
    as_it_was.then(|| tries::report(Path::new(&run.bundle)).ok()).flatten()
}

/// What is said of a hold that the evidence of its parts does not say, where all of it is there.
fn of_hold(result: &StepResult, hold: &HoldResult, settings: &Settings) -> Option<String> {
    let mut seconds = Vec::new();
    for segment in &hold.segments {
        let run = result.runs().find(|run| run.bundle == segment.bundle)?;
        seconds.extend(held::seconds(Path::new(&run.bundle), &of_bundle(run)?).ok()?.0);
    }
    let observed_s = windows::observed_s(&seconds);
    if (observed_s - hold.observed_s).abs() > 1e-3 {
        return Some(format!(
            "its hold is said to have been observed for {:.1} s, and its evidence says {observed_s:.1} s",
            hold.observed_s
        ));
    }
    let windows = windows::judge(&seconds, settings);
    (!is_same(&hold.windows, &windows))
        .then(|| "the windows of its hold are told otherwise than its evidence says".to_owned())
}

/// Whether two things are written alike: of a number with a fraction, what is read again counts.
fn is_same<T: serde::Serialize + serde::de::DeserializeOwned>(written: &T, there: &T) -> bool {
    let text = |it: &T| serde_json::to_string(it).ok();
    let again = text(there).and_then(|text| serde_json::from_str::<T>(&text).ok());
    again.is_some_and(|again| text(&again) == text(written))
}
