//! `run`: scenario to plan, plan to records, records to a verdict, and the evidence of all of it.

use std::sync::Arc;

use anyhow::Context as _;
use khala_engine::{Options, Outcome};
use khala_evidence::Context;
use khala_evidence::journal::Begin;
use khala_plan::{Plan, Schedule};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::bundle::{self, Bundle};
use crate::evidence::{self, Evidence, Reading};
use crate::exit::{Exit, Failure};
use crate::history::{self, History, Recorded};
use crate::journal::Journal;
use crate::live::Live;
use crate::manifest::Maker;
use crate::show::show;
use crate::{args, host, output, scenario, signals};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a scenario and judges it.
pub fn run(run: &args::Run) -> Result<Exit, Failure> {
    if run.with_parent {
        set_parent_process_death_signal(Some(Signal::TERM))
            .context("cannot ask for a signal on the parent's death")?;
    }
    let plan = Arc::new(scenario::load(&run.scenario)?.plan);
    let schedule = Arc::new(Schedule::of(&plan));
    let (run_id, started_at) = (new_run_id(), utc_now());
    let mut bundle = Bundle::create(&run.out_dir, &started_at, &plan.name, &run_id)?;
    let dir = bundle.dir().to_owned();
    if let Err(failure) = execute(run, &plan, &schedule, run_id, started_at, &mut bundle) {
        if failure.exit == Exit::Setup {
            // Nothing ran, so there is no evidence: an empty bundle would only mislead.
            let _ = std::fs::remove_dir_all(&dir);
        }
        return Err(failure);
    }
    let report =
        Evidence::read(&dir, Reading { hlog: true, ..Reading::default() })?.derive(Maker::Run)?;
    drop(bundle);
    let path = dir.display().to_string();
    show(&report, run.json, &path)?;
    if run.json {
        output::say(&path);
    }
    Ok(if report.interrupted { Exit::Interrupted } else { report.decision.into() })
}

/// Carries the scenario out; what was seen is in the bundle's journal.
fn execute(
    run: &args::Run,
    plan: &Arc<Plan>,
    schedule: &Arc<Schedule>,
    run_id: String,
    started_at: String,
    bundle: &mut Bundle,
) -> Result<(), Failure> {
    let resolved = khala_plan::resolved::to_toml(plan);
    bundle::write(bundle.dir(), evidence::SCENARIO, resolved.as_bytes())?;
    bundle::write(bundle.dir(), evidence::SCHEDULE, schedule.to_ndjson(plan).as_bytes())?;
    let begin = Begin {
        tool_version: VERSION.to_owned(),
        run_id: run_id.clone(),
        started_at,
        profile: plan.profile.clone(),
        host: host::this(),
    };
    let context = Arc::new(Context::of(plan, schedule));
    let events = bundle.events_file()?;
    let mut journal = Journal::begin(bundle.dir(), begin, context, events, run.bundle_max)?;
    let begin = || history::Begin::of(plan, schedule, run_id.clone(), VERSION.to_owned());
    let wanted = run.record_history;
    let mut history = wanted.then(|| History::begin(bundle.dir(), begin())).transpose()?;
    let sink = || Recorded::new(journal.sink(), history.as_mut());
    let outcome = engine(run, plan, schedule, sink, run_id, bundle)?;
    let Outcome { sinks, mut facts, .. } = outcome;
    facts.events_dropped = bundle.dropped();
    facts.findings.extend(bundle.finding());
    bundle.finish()?;
    let shards = history::finish(history, sinks, &mut facts);
    journal.finish(shards, facts)?;
    Ok(())
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
