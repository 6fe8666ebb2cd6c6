//! Scenarios of a stage: carried out as `run` does, watched, and summed up.

use std::path::Path;
use std::time::Duration;

use khala_bundle::{Bundle, sha256};
use khala_evidence::judge::{Decision, Verdict};
use khala_evidence::report::RunReport;
use khala_plan::rollout::ScenarioRun;
use khala_stage::entry::{Entry, StepResult};
use khala_stage::evidence::RunSummary;
use khala_stage::fanout::Fanout;
use khala_wire::metrics::FanoutMetrics;
use tokio_util::sync::CancellationToken;

use super::order::Order;
use super::store::Store;
use super::watch::{Wanted, Watch};
use crate::args::{self, Summary, SummaryFlag};
use crate::command_line;
use crate::commands::run::{self, Job, Loaded, Unrun};
use crate::exit::{Exit, Failure};
use crate::show::quoted;

/// Size that the journal of a run stays below, in bytes: beyond it, it is written less often.
const JOURNAL_MAX: u64 = 512 << 20;
/// Names of a bundle's files.
const MANIFEST: &str = "manifest.json";
const METRICS: &str = "metrics";

/// Where a run belongs.
pub struct Of<'a> {
    /// The attempt.
    pub attempt: u32,
    /// The step.
    pub step: &'a str,
    /// The how-manieth try.
    pub run: u32,
}

/// A run, summed up.
pub struct Ran {
    /// Its report.
    pub report: RunReport,
    /// The same in short.
    pub summary: RunSummary,
}

/// What is said of a run that came to no report, and what to do.
pub fn unrun(unrun: &Unrun) -> (String, &'static str) {
    match unrun {
        Unrun::NotBegun(failure) => (
            format!("it could not begin: {}", failure.message),
            "mend what kept it from beginning, then run the stage again",
        ),
        Unrun::Lost(failure) => (
            format!("it was carried out, and its evidence cannot be had: {}", failure.what()),
            "see that the folder of the runs (--out-dir) stays where it is and takes what they write, then run the stage \
             again",
        ),
    }
}

/// Runs a scenario; `wanted` says what ends it early. `None` when the stage was interrupted before it began; of one that
/// was interrupted there is a report, too.
///
/// # Errors
/// When the scenario is invalid or the journal of the stage cannot be written. What keeps a run from a report is the inner
/// error.
pub fn run(
    order: &Order<'_>,
    store: &mut Store,
    of: &Of<'_>,
    scenario: args::Scenario,
    wanted: &mut dyn FnMut(&Loaded) -> Result<Wanted, Failure>,
    interrupt: &CancellationToken,
) -> Result<Option<Result<Ran, Unrun>>, Failure> {
    let command = command(&scenario, order.args);
    let args = args::Run {
        scenario,
        start: args::Start {
            out_dir: order.args.out_dir.clone(),
            allow_shared_writes: order.args.allow_shared_writes,
            allow_hooks: order.args.allow_hooks,
            stop_file: None,
            webhook: None,
            seal: order.args.seal.clone(),
            dashboard: None,
            dashboard_allow_remote: false,
        },
        dry_run: false,
        json: false,
        bundle_max: JOURNAL_MAX,
        record: false,
        with_parent: false,
        quiet: false,
        repeat: None,
        exit_zero: false,
        shown: SummaryFlag { summary: Summary::Short },
    };
    let loaded = Loaded::of(&args.scenario)?;
    let wanted = wanted(&loaded)?;
    let end = interrupt.child_token();
    let mut watch = None;
    let mut unwritten = None;
    let mut begun = |dir: &Path| {
        let entry = Entry::StepBundle {
            attempt: of.attempt,
            step: of.step.to_owned(),
            run: of.run,
            bundle: dir.display().to_string(),
        };
        if let Err(failure) = store.write(entry) {
            unwritten = Some(failure);
            return Err(Failure::new(Exit::Setup, "the run is not written down"));
        }
        watch = Some(Watch::start(dir, end.clone(), wanted.clone()));
        Ok(())
    };
    let job = Job::of(&args, loaded, end.clone()).map_err(Unrun::NotBegun);
    let judged = job.and_then(|job| job.once(Some(&mut begun)));
    if let Some(failure) = unwritten {
        return Err(failure);
    }
    let early = watch.and_then(Watch::ended);
    match judged {
        Ok(run::Ran { dir, report }) => {
            let summary = summary(&report, &dir, early, command);
            Ok(Some(Ok(Ran { report, summary })))
        }
        Err(_) if interrupt.is_cancelled() => Ok(None),
        Err(Unrun::NotBegun(failure)) if failure.exit != Exit::Setup => Err(failure),
        Err(unrun) => Ok(Some(Err(unrun))),
    }
}

/// A report in short.
pub fn summary(
    report: &RunReport,
    dir: &Path,
    early: Option<String>,
    command: String,
) -> RunSummary {
    let manifest = digest(dir);
    let fanout = Fanout::of(&snapshots(dir), report);
    RunSummary::of(report, dir.display().to_string(), manifest, early, fanout, command)
}

/// Digest of a bundle's manifest.
pub fn digest(dir: &Path) -> Option<String> {
    sha256(&dir.join(MANIFEST)).ok()
}

/// What is wrong with the evidence of a run that was here, by the digest of its manifest and by what it found.
pub fn check(bundle: &str, manifest: Option<&str>, decision: Decision) -> Option<String> {
    let dir = Path::new(bundle);
    if is_link(dir) {
        return Some(format!(
            "its evidence, {bundle}, is a link, which may lead elsewhere by tomorrow"
        ));
    }
    if manifest.is_none() {
        // One that was killed has none: that it can be read is all that can be known.
        return Bundle::open(dir).err().map(|error| format!("its evidence: {error}"));
    }
    let Some(there) = digest(dir) else {
        return Some(format!("its evidence, {bundle}, is no longer there"));
    };
    if manifest != Some(there.as_str()) {
        return Some(format!("its evidence, {bundle}, is not what it was"));
    }
    let files = Bundle::open(dir).and_then(|bundle| bundle.manifest());
    let files = match files {
        Ok(manifest) => manifest.files,
        Err(error) => return Some(error.to_string()),
    };
    let other = files.iter().find(|(name, entry)| {
        let on_the_way = Path::new(name).ancestors().filter(|it| !it.as_os_str().is_empty());
        sha256(&dir.join(name)).ok().as_deref() != Some(entry.sha256.as_str())
            || on_the_way.map(|it| dir.join(it)).any(|path| is_link(&path))
    });
    if let Some((name, _)) = other {
        return Some(format!("{name} of its evidence, {bundle}, is not what it was"));
    }
    match khala_bundle::summary(dir) {
        Err(error) => Some(format!("its evidence: {error}")),
        Ok(report) if report.decision != decision => Some(format!(
            "its evidence, {bundle}, is {}, and the journal says {decision}",
            report.decision
        )),
        Ok(_) => None,
    }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.is_symlink())
}

/// Snapshots of the target's metrics, by their labels.
fn snapshots(dir: &Path) -> Vec<(String, FanoutMetrics)> {
    let Ok(listed) = std::fs::read_dir(dir.join(METRICS)) else { return Vec::new() };
    let read = |path: std::path::PathBuf| {
        let label = path.file_stem()?.to_str()?.to_owned();
        Some((label, serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?))
    };
    let mut snapshots: Vec<_> = listed.flatten().filter_map(|entry| read(entry.path())).collect();
    snapshots.sort_by(|(one, _), (other, _)| one.cmp(other));
    snapshots
}

/// How to run the same again, by hand.
pub fn command(scenario: &args::Scenario, stage: &args::Stage) -> String {
    let mut words =
        vec!["khala-harness run".to_owned(), quoted(&scenario.file.display().to_string())];
    let mut flag = |name: &str, value: &str| words.push(format!("{name} {}", quoted(value)));
    if let Some(profile) = &scenario.profile {
        flag("--profile", profile);
    }
    if let Some(target) = &scenario.target {
        flag("--target", target);
    }
    command_line::told(scenario.set.iter().cloned()).iter().for_each(|set| flag("--set", set));
    scenario.defect.iter().for_each(|defect| flag("--defect", &defect.to_string()));
    if stage.allow_hooks {
        words.push("--allow-hooks".to_owned());
    }
    words.join(" ")
}

/// Carries out a scenario's step, of which tries that were interrupted left runs; `None` when the stage was interrupted
/// meanwhile, and the run had not failed by then.
///
/// # Errors
/// When the scenario is invalid or something cannot be written.
pub fn scenario(
    order: &Order<'_>,
    store: &mut Store,
    of: &Of<'_>,
    (one, others): (&ScenarioRun, Vec<RunSummary>),
    interrupt: &CancellationToken,
) -> Result<Option<StepResult>, Failure> {
    let mut wanted = |loaded: &Loaded| {
        let oracle_is_advisory = loaded.plan.oracle.advisory;
        Ok(Wanted { grace: order.grace(), oracle_is_advisory, ..Wanted::default() })
    };
    let ran = run(order, store, of, order.scenario(one, &[]), &mut wanted, interrupt)?;
    let result = ran.map(|ran| match ran {
        Ok(ran) => of_run(ran.summary, others),
        Err(why) => {
            let (told, next) = unrun(&why);
            let result = StepResult::of(Verdict::Inconclusive, told).next(next);
            StepResult { others, ..result }
        }
    });
    // What was proven by then stands; the rest of it is tried again.
    Ok(result.filter(|it| !interrupt.is_cancelled() || it.verdict == Verdict::Fail))
}

/// What a run means for its step; `others` are those of tries that were interrupted, whose warnings count.
pub fn of_run(summary: RunSummary, others: Vec<RunSummary>) -> StepResult {
    let warned = others.iter().any(|run| run.objectives(Verdict::Warn).next().is_some());
    let verdict = summary.step_verdict().max(if warned { Verdict::Warn } else { Verdict::Pass });
    let mut result = StepResult::of(verdict, summary.told());
    let dir = quoted(&summary.bundle);
    result.next = match verdict {
        Verdict::Fail => Some("follow the plan below, and file the blockers".to_owned()),
        Verdict::Inconclusive | Verdict::Warn => {
            Some(format!("read {dir}/summary.md: it says what would decide it"))
        }
        Verdict::Pass | Verdict::NotApplicable => None,
    };
    if warned && summary.step_verdict() <= Verdict::Pass {
        result.what.push_str("; a try that was interrupted had warned");
    }
    (result.run, result.others) = (Some(Box::new(summary)), others);
    result
}

/// For how long nobody may have a socket before a steady run is ended.
pub const DARK: Duration = Duration::from_secs(4);
