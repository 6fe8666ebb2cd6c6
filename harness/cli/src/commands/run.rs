//! `run`: scenario to plan, plan to records, records to a verdict, and the evidence of all of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use khala_engine::{Options, Outcome};
use khala_evidence::Context;
use khala_evidence::journal::Begin;
use khala_plan::{Plan, Schedule};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::bundle::{self, Bundle};
use crate::evidence::{self, Evidence, Leftover, Reading};
use crate::exit::{Exit, Failure};
use crate::history::{self, History, Recorded};
use crate::journal::{Journal, Unwritten};
use crate::live::Live;
use crate::manifest::Maker;
use crate::show::show;
use crate::{args, command_line, host, output, scenario, signals};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a scenario and judges it.
pub fn run(run: &args::Run) -> Result<Exit, Failure> {
    if run.with_parent {
        set_parent_process_death_signal(Some(Signal::TERM))
            .context("cannot ask for a signal on the parent's death")?;
    }
    let plan = Arc::new(scenario::load(&run.scenario)?.plan);
    if !run.allow_hooks {
        no_hooks(&plan)?;
    }
    let schedule = Arc::new(Schedule::of(&plan));
    let (run_id, started_at) = (new_run_id(), utc_now());
    let bundle = Bundle::create(&run.out_dir, &started_at, &plan.name, &run_id);
    let mut bundle = bundle.map_err(no_evidence)?;
    let dir = bundle.dir().to_owned();
    let left = match execute(run, &plan, &schedule, run_id, started_at, &mut bundle) {
        Ok(left) => left,
        Err(failure) => {
            if failure.exit == Exit::Setup {
                // Nothing ran, so there is no evidence: an empty bundle would only mislead. Whoever still
                // writes to it is waited for; what it says no longer matters.
                let _ = bundle.finish();
                let _ = std::fs::remove_dir_all(&dir);
            }
            return Err(failure);
        }
    };
    let reading = Reading { hlog: true, ..Reading::default() };
    let derived = Evidence::read_with(&dir, reading, left)?.derive(Maker::Run)?;
    derived.complain(&dir);
    let report = derived.report;
    drop(bundle);
    let path = dir.display().to_string();
    show(&report, run.json, &dir, &path)?;
    if run.json {
        output::say(&path);
    }
    Ok(if report.interrupted { Exit::Interrupted } else { report.decision.into() })
}

/// A scenario may come from elsewhere: its commands run only if somebody says so.
fn no_hooks(plan: &Plan) -> Result<(), Failure> {
    let mut hooks = plan.phases.iter().flat_map(|phase| {
        let commands = phase.faults.iter().flat_map(|fault| fault.kind.commands());
        commands.map(move |(_, words)| (&phase.name, words))
    });
    let Some((phase, words)) = hooks.next() else { return Ok(()) };
    let more = match hooks.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let what = format!(
        "the scenario `{}` runs {words:?}{more} in its phase `{phase}`; nothing was started: read what \
         `khala-harness check` prints, then add --allow-hooks",
        plan.name
    );
    Err(Failure::new(Exit::Usage, what))
}

/// The folder of a file.
fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Before anything is sent: a run without evidence is no run.
fn no_evidence(error: anyhow::Error) -> Failure {
    let what = format!(
        "{error:#}; nothing was sent: make room, or name a folder that can be written to with --out-dir"
    );
    Failure::new(Exit::Setup, what)
}

/// What a bundle takes whatever happens, in bytes: the schedule and what the run says of it, by clients
/// and by seconds. Violations, metrics and the rest come on top, so that this is the least.
fn needed_bytes(plan: &Plan, schedule: &Schedule, written: usize) -> u64 {
    const WHATEVER: u64 = 1 << 20;
    const A_CLIENT: u64 = 1 << 10;
    const A_SECOND: u64 = 4 << 10;
    let seconds = schedule.phases.last().map_or(0, |last| last.end_us / 1_000_000);
    WHATEVER + 2 * written as u64 + u64::from(plan.fleet.clients) * A_CLIENT + seconds * A_SECOND
}

/// Makes the sources that stand at the start, and sees whether there is room for the others.
fn open(
    run: &args::Run,
    plan: &Plan,
    schedule: &Schedule,
    begin: Begin,
    bundle: &Bundle,
) -> anyhow::Result<Journal> {
    let resolved = khala_plan::resolved::to_toml(plan);
    let unrolled = schedule.to_ndjson(plan);
    let needed = needed_bytes(plan, schedule, unrolled.len());
    if let Some(room) = bundle::room(bundle.dir()).filter(|room| *room < needed) {
        anyhow::bail!(
            "{} has room for {} KiB, and the evidence of this run needs at least {} KiB",
            bundle.dir().display(),
            room / 1024,
            needed / 1024,
        );
    }
    bundle::write(bundle.dir(), evidence::SCENARIO, resolved.as_bytes())?;
    bundle::write(bundle.dir(), evidence::SCHEDULE, unrolled.as_bytes())?;
    let context = Arc::new(Context::of(plan, schedule));
    Journal::begin(bundle.dir(), begin, context, bundle.events_file()?, run.bundle_max)
}

/// Carries the scenario out; what was seen is in the bundle's journal, but for what comes back.
fn execute(
    run: &args::Run,
    plan: &Arc<Plan>,
    schedule: &Arc<Schedule>,
    run_id: String,
    started_at: String,
    bundle: &mut Bundle,
) -> Result<Leftover, Failure> {
    let begin = Begin {
        tool_version: VERSION.to_owned(),
        run_id: run_id.clone(),
        started_at,
        profile: plan.profile.clone(),
        host: host::this(),
        command: command_line::this(),
    };
    let mut journal = open(run, plan, schedule, begin, bundle).map_err(no_evidence)?;
    let begin = || history::Begin::of(plan, schedule, run_id.clone(), VERSION.to_owned());
    let wanted = run.record_history;
    let history = wanted.then(|| History::begin(bundle.dir(), begin())).transpose();
    let mut history = history.map_err(no_evidence)?;
    let sink = || Recorded::new(journal.sink(), history.as_mut());
    let outcome = engine(run, plan, schedule, sink, run_id, bundle)?;
    let Outcome { sinks, mut facts, .. } = outcome;
    let mut left = Leftover::default();
    left.why.extend(bundle.finish().err().map(|error| format!("{error:#}")));
    facts.events_dropped = bundle.dropped();
    facts.findings.extend(bundle.findings());
    let shards = history::finish(history, sinks, &mut facts);
    if let Some(Unwritten { why, entries }) = journal.finish(shards, facts)? {
        left.why.push(why);
        left.entries = entries;
    }
    Ok(left)
}

fn engine(
    run: &args::Run,
    plan: &Arc<Plan>,
    schedule: &Arc<Schedule>,
    make_sink: impl FnMut() -> Recorded,
    run_id: String,
    bundle: &mut Bundle,
) -> Result<Outcome<Recorded>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let options = Options {
            run_id,
            version: VERSION.to_owned(),
            reference_command: reference_command()?,
            interrupt: signals::token().context("cannot handle signals")?,
            utc_now,
            allow_shared_writes: run.allow_shared_writes,
            hooks_in: run.allow_hooks.then(|| folder_of(&run.scenario.file)),
        };
        let mut live = Live::new(bundle);
        khala_engine::run(Arc::clone(plan), Arc::clone(schedule), options, make_sink, &mut live)
            .await
            .map_err(|error| Failure::new(Exit::Setup, error))
    })
}

/// This binary, as the reference runtime.
fn reference_command() -> anyhow::Result<Vec<std::ffi::OsString>> {
    let me = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(vec![me.into_os_string(), "reference".into()])
}

/// UTC now, RFC 3339, to the second.
pub fn utc_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Eight hex digits: short enough for names, and no two runs share them by accident.
fn new_run_id() -> String {
    format!("{:08x}", rand::random::<u32>())
}
