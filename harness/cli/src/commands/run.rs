//! `run`: scenario to plan, plan to records, records to a verdict, and the evidence of all of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use khala_bundle::{Bundle, Leftover, LogSink, Maker, Reading, Wanted, Writer, this_host, utc_now};
use khala_engine::reach::guard::Guard;
use khala_engine::{Options, Outcome};
use khala_evidence::journal::Begin;
use khala_plan::{Plan, Schedule};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio_util::sync::CancellationToken;

use super::dry_run;
use crate::exit::{Exit, Failure};
use crate::live::Live;
use crate::show::{complain, show};
use crate::{args, command_line, output, scenario, setup, signals};

/// How often is looked for the stop file.
const LOOK_FOR_STOP_FILE: Duration = Duration::from_millis(200);
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a scenario and judges it.
pub fn run(run: &args::Run) -> Result<Exit, Failure> {
    if run.with_parent {
        set_parent_process_death_signal(Some(Signal::TERM))
            .context("cannot ask for a signal on the parent's death")?;
    }
    let plan = Arc::new(scenario::load(&run.scenario)?.plan);
    let guard = Arc::new(scenario::guard(&run.scenario)?);
    let schedule = Arc::new(Schedule::of(&plan));
    if run.dry_run {
        return dry_run::tell(&plan, &schedule, &guard);
    }
    if !run.allow_hooks {
        no_hooks(&plan)?;
    }
    if let Some(file) = run.stop_file.as_ref().filter(|file| file.exists()) {
        let what = format!(
            "the stop file {} is there already: nothing was sent; remove it to run",
            file.display()
        );
        return Err(Failure::new(Exit::Setup, what));
    }
    setup::refuse(&plan, &schedule, &guard)?;
    setup::Missing::of(&plan, run.allow_shared_writes).refuse()?;
    let (run_id, started_at) = (new_run_id(), utc_now());
    let writer = Writer::create(&run.out_dir, &started_at, &plan.name, &run_id);
    let mut writer = writer.map_err(no_evidence)?;
    let dir = writer.dir().to_owned();
    let left = match execute(run, &plan, &schedule, guard, run_id, started_at, &mut writer) {
        Ok(left) => left,
        Err(failure) => {
            if failure.exit == Exit::Setup {
                writer.abandon();
            }
            return Err(failure);
        }
    };
    let reading = Reading { hlog: true, ..Reading::default() };
    let derived = Bundle::open(&dir)?.settle_with(reading, left)?.derive(Maker::Run)?;
    complain(&derived, &dir);
    let report = derived.report;
    drop(writer);
    let path = dir.display().to_string();
    show(&report, run.json, &dir, &path)?;
    if run.json {
        output::say(&path);
    }
    Ok(if report.interrupted { Exit::Interrupted } else { report.decision.into() })
}

/// A scenario may come from elsewhere: its commands run only if somebody says so.
fn no_hooks(plan: &Plan) -> Result<(), Failure> {
    setup::no_secret_commands(
        plan,
        "read what `khala-harness check` prints, then add --allow-hooks",
    )?;
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
fn no_evidence(error: khala_bundle::Error) -> Failure {
    let what = format!(
        "{error}; nothing was sent: make room, or name a folder that can be written to with --out-dir"
    );
    Failure::new(Exit::Setup, what)
}

/// Carries the scenario out; what was seen is in the bundle's journal, but for what comes back.
fn execute(
    run: &args::Run,
    plan: &Arc<Plan>,
    schedule: &Arc<Schedule>,
    guard: Arc<Guard>,
    run_id: String,
    started_at: String,
    writer: &mut Writer,
) -> Result<Leftover, Failure> {
    let begin = Begin {
        tool_version: VERSION.to_owned(),
        tool_commit: args::commit().map(str::to_owned),
        run_id: run_id.clone(),
        started_at,
        profile: plan.profile.clone(),
        host: this_host(),
        command: command_line::this(),
    };
    let wanted = Wanted { journal_max: run.bundle_max, recording: run.record };
    let mut logs = writer.logs(plan, schedule, begin, wanted).map_err(no_evidence)?;
    let outcome = engine(run, plan, schedule, guard, || logs.sink(), run_id, writer)?;
    let Outcome { sinks, facts, .. } = outcome;
    Ok(writer.finish(logs, sinks, facts)?)
}

fn engine(
    run: &args::Run,
    plan: &Arc<Plan>,
    schedule: &Arc<Schedule>,
    guard: Arc<Guard>,
    make_sink: impl FnMut() -> LogSink,
    run_id: String,
    writer: &mut Writer,
) -> Result<Outcome<LogSink>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let options = Options {
            run_id,
            version: VERSION.to_owned(),
            reference_command: reference_command()?,
            interrupt: interrupt(run.stop_file.clone())?,
            utc_now,
            allow_shared_writes: run.allow_shared_writes,
            hooks_in: run.allow_hooks.then(|| folder_of(&run.scenario.file)),
            guard,
        };
        let mut live = Live::new(writer);
        khala_engine::run(Arc::clone(plan), Arc::clone(schedule), options, make_sink, &mut live)
            .await
            .map_err(|error| Failure::new(Exit::Setup, error))
    })
}

/// What ends a run early: a signal, or the stop file.
fn interrupt(stop_file: Option<PathBuf>) -> anyhow::Result<CancellationToken> {
    let token = signals::token().context("cannot handle signals")?;
    if let Some(file) = stop_file {
        let token = token.clone();
        tokio::spawn(async move {
            while !file.exists() {
                tokio::time::sleep(LOOK_FOR_STOP_FILE).await;
            }
            output::say(&format!("{} is there: writing the evidence", file.display()));
            token.cancel();
        });
    }
    Ok(token)
}

/// This binary, as the reference runtime.
fn reference_command() -> anyhow::Result<Vec<std::ffi::OsString>> {
    let me = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(vec![me.into_os_string(), "reference".into()])
}

/// Eight hex digits: short enough for names, and no two runs share them by accident.
fn new_run_id() -> String {
    format!("{:08x}", rand::random::<u32>())
}
