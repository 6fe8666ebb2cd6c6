//! `run`: scenario to plan, plan to records, records to a verdict, and the evidence of all of it.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;
use khala_engine::{Options, Outcome};
use khala_evidence::judge::{self, Case};
use khala_evidence::render::terminal::{self, Colour};
use khala_evidence::render::{self, Renderer};
use khala_evidence::report::RunReport;
use khala_evidence::{Context, Shard};
use khala_plan::{Plan, Schedule};

use crate::args;
use crate::bundle::Bundle;
use crate::exit::{Exit, Failure};
use crate::live::Live;
use crate::{scenario, signals};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a scenario and judges it.
pub fn run(run: &args::Run) -> Result<Exit, Failure> {
    let plan = Arc::new(scenario::load(&run.scenario)?.plan);
    let schedule = Arc::new(Schedule::of(&plan));
    let run_id = new_run_id();
    let mut bundle = Bundle::create(&run.out_dir, &utc_now(), &plan.name, &run_id)?;
    bundle.write("scenario.resolved.toml", khala_plan::resolved::to_toml(&plan).as_bytes())?;
    bundle.write("schedule.ndjson", schedule.to_ndjson(&plan).as_bytes())?;
    let report = match execute(run, &plan, &schedule, run_id, &mut bundle) {
        Ok(report) => report,
        Err(failure) => {
            // Nothing ran, so there is no evidence: an empty bundle would only mislead.
            let _ = std::fs::remove_dir_all(bundle.dir());
            return Err(failure);
        }
    };
    for renderer in render::ALL {
        let content = renderer.render(&report).context("a rendering failed")?;
        bundle.write(renderer.file_name(), &content)?;
    }
    let dir = bundle.finish()?;
    show(&report, run.json)?;
    if run.json {
        eprintln!("{}", dir.display());
    } else {
        println!("\n{}", dir.display());
    }
    Ok(if report.interrupted { Exit::Interrupted } else { report.decision.into() })
}

fn execute(
    run: &args::Run,
    plan: &Arc<Plan>,
    schedule: &Arc<Schedule>,
    run_id: String,
    bundle: &mut Bundle,
) -> Result<RunReport, Failure> {
    let context = Arc::new(Context::of(plan, schedule));
    let outcome = engine(run, plan, schedule, &context, run_id, bundle)?;
    let Outcome { sinks, mut facts, end, published_on } = outcome;
    facts.events_dropped = bundle.dropped();
    let whole = sinks.into_iter().reduce(Shard::merge).unwrap_or_else(|| Shard::new(context));
    let settled = whole.settle(&published_on, end);
    facts.generator.dropped_records = settled.totals.dropped;
    let case = Case { plan, schedule, facts: &facts, settled: &settled };
    Ok(RunReport::of(&case, judge::judge(&case), VERSION))
}

fn engine(
    run: &args::Run,
    plan: &Arc<Plan>,
    schedule: &Arc<Schedule>,
    context: &Arc<Context>,
    run_id: String,
    bundle: &mut Bundle,
) -> Result<Outcome<Shard>, Failure> {
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
        let make_sink = || Shard::new(Arc::clone(context));
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

fn show(report: &RunReport, json: bool) -> Result<(), Failure> {
    if json {
        let run_json: &dyn Renderer = render::ALL[0];
        let bytes = run_json.render(report).context("a rendering failed")?;
        print!("{}", String::from_utf8_lossy(&bytes));
        return Ok(());
    }
    let colour = if scenario::colour_on(std::io::stdout().is_terminal()) {
        Colour::Always
    } else {
        Colour::Never
    };
    print!("{}", terminal::render(report, colour));
    Ok(())
}

/// UTC now, RFC 3339, to the second.
fn utc_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Eight hex digits: short enough for names, and no two runs share them by accident.
fn new_run_id() -> String {
    format!("{:08x}", rand::random::<u32>())
}
