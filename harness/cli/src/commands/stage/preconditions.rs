//! What must hold before load is sent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use khala_engine::clock::Clock;
use khala_engine::command::{self, Place, Redactor};
use khala_evidence::judge::Verdict;
use khala_plan::rollout::{Check, Precondition};
use khala_stage::entry::StepResult;
use khala_stage::surfaces;
use tokio_util::sync::CancellationToken;

use super::order::Order;
use super::target::{self, Asked};
use crate::exit::Failure;

/// Asks one.
///
/// # Errors
/// When what is asked means nothing.
pub fn ask(
    order: &Order<'_>,
    one: &Precondition,
    interrupt: &CancellationToken,
) -> Result<StepResult, Failure> {
    if one.by_url && order.target.is_none() {
        let what = "it applies to a target by URL alone, and this is the embedded runtime";
        return Ok(StepResult::of(Verdict::NotApplicable, what));
    }
    match &one.check {
        Check::Conform { only, writes, known, wait_max } => {
            let known = match known {
                Some(file) => match std::fs::read_to_string(order.folder.join(file)) {
                    Ok(text) => Some(text),
                    Err(error) => {
                        let what = format!("{file}, the accepted deviations: {error}");
                        return Ok(StepResult::of(Verdict::Inconclusive, what)
                            .next("put the file there, or take `known` out"));
                    }
                },
                None => None,
            };
            let (writes, wait_max, within) = (*writes, *wait_max, one.within);
            target::conform(order, &Asked { only, writes, known, wait_max, within }, interrupt)
        }
        Check::Token => target::token(order, one.within, interrupt),
        Check::Rollback { control, runtime } => Ok(rollback(order, control, runtime)),
        Check::Surfaces { matrix } => surfaces(order, &order.folder.join(matrix), one.within),
        Check::Command { words } => command(order, words, one.within, interrupt),
    }
}

fn rollback(order: &Order<'_>, control: &str, runtime: &str) -> StepResult {
    let (control, runtime) = (control.trim(), runtime.trim());
    let missing: Vec<&str> = [("the control service", control), ("the runtime", runtime)]
        .into_iter()
        .filter(|(_, revision)| revision.is_empty())
        .map(|(what, _)| what)
        .collect();
    if !missing.is_empty() {
        let what = format!("no revision to go back to is given for {}", missing.join(" and "));
        return StepResult::of(Verdict::Inconclusive, what)
            .next("capture the revisions that run now, and give both (see `rollback` in the rollout file)");
    }
    if order.build.as_deref() == Some(runtime) {
        let what =
            format!("the revision to go back to, `{runtime}`, is the build that is rolled out");
        return StepResult::of(Verdict::Inconclusive, what)
            .next("give the revision that ran before this one");
    }
    let what = format!("the control service goes back to `{control}`, the runtime to `{runtime}`");
    let mut result = StepResult::of(Verdict::Pass, what);
    result.revisions = Some((control.to_owned(), runtime.to_owned()));
    result
}

fn surfaces(order: &Order<'_>, file: &Path, within: Duration) -> Result<StepResult, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let matrix = match text.and_then(|text| surfaces::read(&text)) {
        Ok(matrix) => matrix,
        Err(why) => {
            return Ok(StepResult::of(Verdict::Inconclusive, format!("the matrix {shown}: {why}"))
                .next("name a Markdown file with a table of surfaces and their topics"));
        }
    };
    let granted = match target::granted(order, &matrix, within)? {
        Ok(granted) => granted,
        Err(why) => {
            return Ok(StepResult::of(Verdict::Inconclusive, why).next("have the target answer"));
        }
    };
    // A surface that has no topic is granted none: no token can be asked for it.
    let mut wanted = matrix.clone();
    wanted.retain(|_, topics| !topics.is_empty());
    let differences = surfaces::differences(&wanted, &granted);
    let lines = granted.iter().map(|(surface, topics)| {
        let topics: Vec<_> = topics.iter().map(|topic| format!("`{topic}`")).collect();
        format!("`{surface}`: {}", topics.join(", "))
    });
    let lines: Vec<_> = lines.collect();
    if differences.is_empty() {
        let what = format!("{shown} and the runtime agree on {} surfaces", granted.len());
        return Ok(StepResult { lines, ..StepResult::of(Verdict::Pass, what) });
    }
    let mut result = StepResult::of(Verdict::Fail, differences.join("; "))
        .next("mend the scopes of the deployed builds, or the matrix: whichever is wrong");
    result.lines = lines;
    Ok(result)
}

fn command(
    order: &Order<'_>,
    words: &[String],
    within: Duration,
    interrupt: &CancellationToken,
) -> Result<StepResult, Failure> {
    if words.iter().any(|word| word.trim().is_empty()) {
        let what = format!("the command {words:?} lacks a word");
        return Ok(StepResult::of(Verdict::Inconclusive, what)
            .next("set the variable that the rollout file reads for it"));
    }
    if !order.args.allow_hooks {
        let what = format!("it runs {words:?}, and commands are not allowed");
        return Ok(StepResult::of(Verdict::Inconclusive, what)
            .next("read the rollout file, then add --allow-hooks"));
    }
    let folder = std::path::absolute(&order.folder).unwrap_or_else(|_| PathBuf::from("."));
    let place = Place { folder, variables: Vec::new(), within };
    let redactor = Redactor::of_environment([]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start a runtime")?;
    let run = runtime.block_on(async {
        let clock = Clock::starting_in(Duration::ZERO);
        command::run("command", words, &place, Some(interrupt), &redactor, clock).await
    });
    runtime.shutdown_background();
    let (verdict, next) = match run.succeeded() {
        true => (Verdict::Pass, None),
        false => {
            (Verdict::Fail, Some("see what it said, below, and mend what it tests".to_owned()))
        }
    };
    let mut result = StepResult::of(verdict, run.told());
    (result.next, result.command) = (next, Some(run));
    Ok(result)
}
