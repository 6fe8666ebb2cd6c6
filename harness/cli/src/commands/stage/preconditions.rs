//! What must hold before load is sent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use khala_engine::clock::Clock;
use khala_engine::command::{self, Place, Redactor};
use khala_evidence::judge::Verdict;
use khala_plan::rollout::{Check, Precondition};
use khala_plan::surface::Surface;
use khala_stage::entry::{Failed, StepResult};
use khala_stage::surfaces::{Asked, Differences, Matrix, list};
use khala_stage::untested::Untested;
use khala_wire::topic::TopicId;
use tokio_util::sync::CancellationToken;

use super::order::Order;
use super::target;
use crate::exit::Failure;
use crate::scenario;

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
                Some(file) => {
                    match khala_plan::text(std::fs::File::open(order.folder.join(file))) {
                        Ok(text) => Some(text),
                        Err(error) => {
                            let what = format!("{file}, the accepted deviations: {error}");
                            return Ok(StepResult::of(Verdict::Inconclusive, what)
                                .next("put the file there, or take `known` out"));
                        }
                    }
                }
                None => None,
            };
            let (writes, wait_max, within) = (*writes, *wait_max, one.within);
            target::conform(
                order,
                &target::Asked { only, writes, known, wait_max, within },
                interrupt,
            )
        }
        Check::Token => target::token(order, one.within, interrupt),
        Check::Rollback { control, runtime, .. } => Ok(rollback(order, control, runtime)),
        Check::Surfaces { matrix } => surfaces(order, &order.folder.join(matrix), one.within),
        Check::Command { words, .. } => command(order, words, one.within, interrupt),
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

/// The surfaces, with the topics that their clients subscribe to as they are built in and in the stage's scenarios.
fn known(order: &Order<'_>) -> Result<BTreeMap<String, Asked>, Failure> {
    let named = |topics: Vec<TopicId>| topics.into_iter().map(|topic| topic.name().to_owned());
    let mut known = BTreeMap::new();
    for surface in Surface::ALL {
        let built_in = named(surface.default_topics()).collect();
        known.insert(surface.name().to_owned(), Asked { built_in, ..Asked::default() });
    }
    let stage = order.stage();
    for one in stage.scenarios.iter().chain(stage.hold.iter().map(|hold| &hold.scenario)) {
        let plan = scenario::load_untold(&order.scenario(one, &[]), |_| Ok(()))?.plan;
        for cohort in plan.fleet.cohorts {
            let surface: &mut Asked = known.entry(cohort.surface.name().to_owned()).or_default();
            surface.scenarios.extend(named(cohort.topics));
        }
    }
    Ok(known)
}

fn surfaces(order: &Order<'_>, file: &Path, within: Duration) -> Result<StepResult, Failure> {
    let shown = file.display();
    let text = khala_plan::text(std::fs::File::open(file)).map_err(|error| error.to_string());
    let matrix = match text.and_then(|text| Matrix::read(&text)) {
        Ok(matrix) => matrix,
        Err(why) => {
            return Ok(StepResult::of(Verdict::Inconclusive, format!("the matrix {shown}: {why}"))
                .next("name a Markdown file with a table of surfaces and their topics"));
        }
    };
    let mut surfaces = known(order)?;
    let asked = surfaces.iter().map(|(name, Asked { built_in, scenarios, .. })| {
        // What the matrix says is asked for, too: that it is granted is the runtime's word.
        let of_matrix = matrix.topics_of(name).ok().flatten().unwrap_or_default().all();
        (name.clone(), &(built_in | scenarios) | &of_matrix)
    });
    let granted = match target::granted(order, &asked.collect(), within)? {
        Ok(granted) => granted,
        Err(why) => {
            return Ok(StepResult::of(Verdict::Inconclusive, why).next("have the target answer"));
        }
    };
    let lines = granted.iter().map(|(name, topics)| format!("`{name}`: {}", list(topics)));
    let lines: Vec<_> = lines.collect();
    for (name, topics) in granted {
        surfaces.entry(name).or_default().granted = topics;
    }
    let Differences { granted, unasked, left_out } = matrix.differences(&surfaces);
    let verdict = match (granted.is_empty(), unasked.is_empty()) {
        (false, _) => Verdict::Fail,
        (true, false) => Verdict::Inconclusive,
        (true, true) => Verdict::Pass,
    };
    let mut result = StepResult::of(verdict, [&granted[..], &unasked[..]].concat().join("; "));
    if verdict == Verdict::Pass {
        let others = match left_out.len() {
            0 => String::new(),
            others => format!(", and {others} more of its rows were not tested"),
        };
        result.what =
            format!("{shown} and the runtime agree on {} surfaces{others}", surfaces.len());
    } else {
        if verdict == Verdict::Fail {
            result.failed = Some(differ(&shown.to_string(), &granted));
        }
        result.next = Some(
            "mend the scopes of the deployed builds, or the matrix: whichever is wrong; a topic that a surface may \
             subscribe to stands behind `optionally`"
                .to_owned(),
        );
    }
    result.lines = lines;
    result.untested = left_out.into_iter().map(not_asked).collect();
    Ok(result)
}

/// What a matrix that the runtime does not keep is, in the words of an issue.
fn differ(shown: &str, granted: &[String]) -> Failed {
    let measured = match granted {
        [one] => one.clone(),
        all => format!("{} differences: {}", all.len(), all.join("; ")),
    };
    Failed {
        title: format!(
            "the surface matrix and the runtime's topics differ ({} times)",
            granted.len()
        ),
        claim: format!("0 differences between {shown} and the topics that the runtime grants"),
        measured,
    }
}

/// A row of the matrix that nobody asks for.
fn not_asked(row: String) -> Untested {
    let by = match row.split(['/', '-', ' ']).any(|word| word == "onyx") {
        true => {
            "the cases `onyx_no_worker_topics` and alike of `conform`: the contract has onyx read run events only, by \
             polling, and refuses it workers' topics"
        }
        false => "clients of that surface in a scenario of the stage",
    };
    Untested::new(
        format!("`{row}`: in the matrix, not tested"),
        "no client of the harness subscribes on the WebSocket as this surface",
        by,
    )
}

fn command(
    order: &Order<'_>,
    words: &[String],
    within: Duration,
    interrupt: &CancellationToken,
) -> Result<StepResult, Failure> {
    // A word may be what a variable has that holds a secret, and the command may know those of the target.
    let plan = scenario::load_untold(&target::asked(order), |_| Ok(()))?.plan;
    let redactor = Redactor::of_plan(&plan);
    if words.iter().any(|word| word.trim().is_empty()) {
        let what = format!("the command {} lacks a word", redactor.words(words));
        return Ok(StepResult::of(Verdict::Inconclusive, what)
            .next("set the variable that the rollout file reads for it"));
    }
    if !order.args.allow_hooks {
        let what = format!("it runs {}, and commands are not allowed", redactor.words(words));
        return Ok(StepResult::of(Verdict::Inconclusive, what)
            .next("read the rollout file, then add --allow-hooks"));
    }
    let folder = std::path::absolute(&order.folder).unwrap_or_else(|_| PathBuf::from("."));
    let place = Place { folder, variables: Vec::new(), within };
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
