//! One run from plan to settled facts: set up, phases, drain, retire, clean up.
//!
//! Whatever happens after the set-up ends in evidence: an interrupt or a lost target shortens the
//! run, and the facts say so. Nothing that was started is left behind.

mod prepare;
mod threads;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use khala_evidence::facts::{Finding, RunFacts};
use khala_evidence::oracle::End;
use khala_evidence::record::{Request, Sink};
use khala_plan::Plan;
use khala_plan::model::TargetKind;
use khala_plan::schedule::Schedule;
use khala_wire::topic::TopicId;
use tokio_util::sync::CancellationToken;

use self::prepare::{Prepared, Readied, hooks, prepare, prepare_target};
use self::threads::{Common, Threads};
use crate::clock::Clock;
use crate::conductor::{self, Conductor};
use crate::error::SetupError;
use crate::heads::Heads;
use crate::observe::Observer;
use crate::probe::Probe;
use crate::reach::guard::Guard;
use crate::switches::Switches;
use crate::target::child::Own;
use crate::worker::Stage;
use crate::{preflight, worker};

/// How to run a plan.
#[derive(Debug)]
pub struct Options {
    /// Id of the run: short, unique, safe in names.
    pub run_id: String,
    /// Version of the tool, for the `User-Agent`.
    pub version: String,
    /// The program and its first arguments that start the reference runtime.
    pub reference_command: Vec<std::ffi::OsString>,
    /// Ends the run early, with evidence.
    pub interrupt: CancellationToken,
    /// UTC now, RFC 3339.
    pub utc_now: fn() -> String,
    /// Whether a target that others use may be written to.
    pub allow_shared_writes: bool,
    /// The folder in which commands of the user's run; `None` where none may run.
    pub hooks_in: Option<PathBuf>,
    /// What may be spoken to.
    pub guard: Arc<Guard>,
    /// The faults that wait for a hand.
    pub switches: Arc<Switches>,
}

/// What a run leaves.
#[derive(Debug)]
pub struct Outcome<S> {
    /// The sinks of all threads.
    pub sinks: Vec<S>,
    /// How the run went.
    pub facts: RunFacts,
    /// How it ended, for the ledger.
    pub end: End,
    /// Topics that the commands feed.
    pub published_on: BTreeSet<TopicId>,
}

/// Runs a plan. `make_sink` is called once for each thread.
///
/// # Errors
/// Only from the set-up; once the first client has arrived, a run always gives an outcome.
pub async fn run<S: Sink + Send + 'static>(
    plan: Arc<Plan>,
    schedule: Arc<Schedule>,
    options: Options,
    mut make_sink: impl FnMut() -> S,
    observer: &mut dyn Observer,
) -> Result<Outcome<S>, SetupError> {
    let started_at = (options.utc_now)();
    let descriptors_limit = preflight::descriptors(&plan)?;
    preflight::sources(&plan)?;
    let user_agent = format!("khala-harness/{} (run {})", options.version, options.run_id);
    let Readied { reference, target, lock: _lock } =
        prepare_target(&plan, &schedule, &options).await?;
    let (way, target) = (target.reach.clone(), Arc::new(target));
    let prepared = prepare(&plan, &schedule, &target, &user_agent, &options, observer).await;
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Some(reference) = reference {
                reference.stop().await;
            }
            return Err(error);
        }
    };

    let run_id = options.run_id.clone();
    let switches = Arc::clone(&options.switches);
    let common = Common::new(&plan, &schedule, &target, run_id, user_agent, &prepared, switches);
    let threads = Threads::start(&common, &prepared, &mut make_sink)?;
    let Prepared { http, workers, created, build, lacks, heads: _ } = prepared;
    let mut sink = make_sink();
    for answer in created.answers {
        sink.record(answer.record(Request::CreateWorker, None, 0, 0));
    }
    created.otherwise.into_iter().for_each(|record| sink.record(record));
    let conductor = Conductor::new(conductor::Setup {
        plan: &plan,
        schedule: &schedule,
        target: Arc::clone(&target),
        http: http.heard_by(Arc::clone(&common.contact)),
        clock: common.clock,
        process: reference.map(|reference| Box::new(reference) as Box<dyn Own>),
        hooks: hooks(&plan, &target, &options),
        heads: &common.heads,
        numbers: threads.numbers.clone(),
        begun: Arc::clone(&threads.begun),
        interrupt: options.interrupt.clone(),
        observer,
        probe: Probe::new(common.clock, Arc::clone(&threads.backlog)),
        switches: Arc::clone(&common.switches),
        build,
        descriptors_limit,
        sink,
    });
    let Led { sinks, mut facts, end } =
        led(conductor, threads, &workers, &options, started_at, common.clock).await;
    if let TargetKind::Url { .. } = plan.target.kind {
        facts.target.way = Some(way.told());
    }
    facts.findings.extend(dropped_orders(&schedule, &common.heads));
    let lacks = lacks.into_iter().map(|message| Finding::at_end("target_lacks", message, 1));
    facts.findings.extend(lacks);
    let published_on = plan.loads.iter().flat_map(|load| load.command.topics()).collect();
    Ok(Outcome { sinks, facts, end, published_on })
}

/// What is left when all is over.
struct Led<S> {
    sinks: Vec<S>,
    facts: RunFacts,
    end: End,
}

/// Goes through the phases, drains, lets the clients leave, and cleans up.
async fn led<S: Sink + Send + 'static>(
    mut conductor: Conductor<'_, S>,
    threads: Threads<S>,
    workers: &[String],
    options: &Options,
    started_at: String,
    clock: Clock,
) -> Led<S> {
    let Threads { publisher, clients, stage, .. } = threads;
    conductor.phases().await;
    let (drained, publisher_sink) = conductor.drain(publisher, &stage).await;
    stage.send_replace(Stage::Retire);
    let started = clients.len() + 1;
    let mut sinks: Vec<S> = publisher_sink.into_iter().collect();
    sinks.extend(conductor.join_all(clients, worker::ENDED_WITHIN).await);
    let lost_threads = u32::try_from(started - sinks.len()).unwrap_or(u32::MAX);
    let end = End { at: clock.now(), drained };
    conductor.say_retired();
    conductor.stop_workers(workers).await;
    let run_id = options.run_id.clone();
    let (mut facts, sink) = conductor.finish(run_id, started_at, options.utc_now, end).await;
    sinks.push(sink);
    facts.generator.lost_threads = lost_threads;
    Led { sinks, facts, end }
}

/// Orders of faults that never reached their clients.
fn dropped_orders(schedule: &Schedule, heads: &Heads) -> Vec<Finding> {
    let dropped = schedule.faults.iter().map(|fault| (fault, heads.orders_dropped(fault.id)));
    dropped
        .filter(|(_, count)| *count > 0)
        .map(|(fault, count)| {
            let message = format!(
                "fault {} ({}) hit fewer clients than planned: {count} had as many orders waiting as \
                 may wait",
                fault.id,
                fault.kind.name()
            );
            Finding::at_end("orders_dropped", message, count)
        })
        .collect()
}
