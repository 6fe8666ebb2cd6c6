//! One run from plan to settled facts: set up, phases, drain, retire, clean up.
//!
//! Whatever happens after the set-up ends in evidence: an interrupt or a lost target shortens the
//! run, and the facts say so. Nothing that was started is left behind.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use khala_evidence::facts::{Finding, RunFacts};
use khala_evidence::oracle::End;
use khala_evidence::record::{Request, Sink};
use khala_plan::Plan;
use khala_plan::fault::Need;
use khala_plan::model::{FirstSubscribe, RAMP, TargetKind};
use khala_plan::schedule::Schedule;
use khala_wire::topic::TopicId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::clock::Clock;
use crate::command::Redactor;
use crate::conductor::{self, Conductor};
use crate::contact::Contact;
use crate::error::SetupError;
use crate::fault::Hooks;
use crate::heads::Heads;
use crate::http::Http;
use crate::observe::{Event, EventKind, Observer};
use crate::preflight::heads::Learnt;
use crate::probe::Probe;
use crate::reach::Reach;
use crate::reach::guard::Guard;
use crate::target::Target;
use crate::target::child::{Own, Recipe, Reference};
use crate::target::extras::Extras;
use crate::target::lock::Lock;
use crate::transport::Backlog;
use crate::worker::{Numbers, Stage};
use crate::{preflight, publisher, target, worker};

/// From the last preparation to the first arrival.
const LEAD: Duration = Duration::from_millis(300);
/// How long the name of a target may take to be looked up.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

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
    let Prepared { http, workers, created, build, lacks, heads: first_cursors } = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Some(reference) = reference {
                reference.stop().await;
            }
            return Err(error);
        }
    };

    let clock = Clock::starting_in(LEAD);
    let heads = Heads::new(schedule.publishes.len(), schedule.faults.len());
    let heads = Arc::new(heads.with_workers(workers.len()));
    let contact = Arc::new(Contact::new(clock, plan.generator.client_threads()));
    let http = http.heard_by(Arc::clone(&contact));
    let (stage, stage_seen) = watch::channel(Stage::Running);
    let begun = Arc::new(AtomicU64::new(0));
    let publisher = publisher::spawn(
        publisher::Setup {
            clock,
            plan: Arc::clone(&plan),
            schedule: Arc::clone(&schedule),
            target: Arc::clone(&target),
            run_id: options.run_id.clone(),
            user_agent: user_agent.clone(),
            workers: workers.clone(),
            stage: stage_seen.clone(),
            begun: Arc::clone(&begun),
            heads: Arc::clone(&heads),
            contact: Arc::clone(&contact),
            in_flight_max: publisher::IN_FLIGHT_MAX,
        },
        make_sink(),
    )?;
    let backlog = Arc::new(Backlog::default());
    let numbered = workers.iter().cloned().zip(0_u16..).collect::<HashMap<_, _>>();
    let first_cursors = Arc::new(first_cursors);
    let mut threads = Vec::new();
    let mut numbers = Vec::new();
    for index in 0..plan.generator.client_threads() {
        let shown = Arc::new(Numbers::default());
        numbers.push(Arc::clone(&shown));
        let setup = worker::Setup {
            index,
            clock,
            plan: Arc::clone(&plan),
            schedule: Arc::clone(&schedule),
            target: Arc::clone(&target),
            heads: Arc::clone(&heads),
            contact: Arc::clone(&contact),
            run_id: options.run_id.clone(),
            user_agent: user_agent.clone(),
            workers: numbered.clone(),
            stage: stage_seen.clone(),
            numbers: shown,
            backlog: Arc::clone(&backlog),
            first_cursors: Arc::clone(&first_cursors),
        };
        threads.push(worker::spawn(setup, make_sink())?);
    }

    let probe = Probe::new(clock, backlog);
    let mut sink = make_sink();
    for answer in created {
        sink.record(answer.record(Request::CreateWorker, None, 0, 0));
    }
    let mut conductor = Conductor::new(conductor::Setup {
        plan: &plan,
        schedule: &schedule,
        target: Arc::clone(&target),
        http,
        clock,
        process: reference.map(|reference| Box::new(reference) as Box<dyn Own>),
        hooks: hooks(&plan, &target, &options),
        heads: &heads,
        numbers,
        begun,
        interrupt: options.interrupt.clone(),
        observer,
        probe,
        build,
        descriptors_limit,
        sink,
    });
    conductor.phases().await;
    let (drained, publisher_sink) = conductor.drain(publisher, &stage).await;
    stage.send_replace(Stage::Retire);
    let started = threads.len() + 1;
    let mut sinks: Vec<S> = publisher_sink.into_iter().collect();
    sinks.extend(conductor.join_all(threads, worker::ENDED_WITHIN).await);
    let lost_threads = u32::try_from(started - sinks.len()).unwrap_or(u32::MAX);
    let end = End { at: clock.now(), drained };
    conductor.say_retired();
    conductor.stop_workers(&workers).await;
    let (mut facts, sink) =
        conductor.finish(options.run_id, started_at, options.utc_now, end).await;
    sinks.push(sink);
    facts.generator.lost_threads = lost_threads;
    if let TargetKind::Url { .. } = plan.target.kind {
        facts.target.way = Some(way.told());
    }
    facts.findings.extend(dropped_orders(&schedule, &heads));
    let lacks = lacks.into_iter().map(|message| Finding::at_end("target_lacks", message, 1));
    facts.findings.extend(lacks);
    let published_on = plan.loads.iter().flat_map(|load| load.command.topics()).collect();
    Ok(Outcome { sinks, facts, end, published_on })
}

/// What commands of the user's run with, where they may.
fn hooks(plan: &Plan, target: &Target, options: &Options) -> Option<Arc<Hooks>> {
    let folder = options.hooks_in.clone()?;
    let secrets = target.credentials.secrets().into_iter();
    let secrets = secrets.chain(target.extras.secrets().map(|secret| secret.as_bytes().to_vec()));
    let environment = std::env::vars_os();
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let redactor =
        Redactor::new(secrets, environment.map(|(name, value)| (text(name), text(value))));
    let declared = plan.phases.iter().map(|phase| phase.name.clone());
    let phases = std::iter::once(RAMP.to_owned()).chain(declared).collect();
    let run_id = options.run_id.clone();
    Some(Arc::new(Hooks { folder, run_id, phases, redactor }))
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

/// A target that may be spoken to.
struct Readied {
    /// The process, where it is the embedded runtime.
    reference: Option<Reference>,
    target: Target,
    /// Held for the run.
    lock: Option<Lock>,
}

async fn prepare_target(
    plan: &Plan,
    schedule: &Schedule,
    options: &Options,
) -> Result<Readied, SetupError> {
    let extras = Extras::of(plan)?;
    match &plan.target.kind {
        TargetKind::Reference { defects, topics } => {
            let recipe = Recipe {
                command: options.reference_command.clone(),
                defects: defects.clone(),
                seed: plan.seed,
                topics: topics.clone(),
                slow_consumer: plan.target.slow_consumer,
                keeps_state: needs_a_process(plan),
            };
            let reference = Reference::start(&recipe).await?;
            let base_url = reference.base_url.clone();
            let reach = Reach::here(&base_url)?;
            let credentials = reference.credentials.clone();
            let socket_path = plan.target.socket_path.clone();
            let control = reach.clone();
            let target = Target { base_url, reach, control, socket_path, credentials, extras };
            Ok(Readied { reference: Some(reference), target, lock: None })
        }
        TargetKind::Url { .. } => {
            let Some((reach, control)) = preflight::reached(plan, schedule, &options.guard)? else {
                return Err(SetupError::Generator(io::Error::other("a target without a url")));
            };
            let base_url = reach.place().origin();
            let writes = !plan.loads.is_empty();
            if writes && !plan.target.exclusive && !options.allow_shared_writes {
                return Err(SetupError::SharedWrites { url: base_url });
            }
            let socket_path = plan.target.socket_path.clone();
            let credentials = target::keys::credentials(plan)?;
            preflight::address(&control, ADDRESS_TIMEOUT).await?;
            let lock = match preflight::address(&reach, ADDRESS_TIMEOUT).await? {
                Some(address) => Some(target::lock::take(address)?),
                None => None,
            };
            let target = Target { base_url, reach, control, socket_path, credentials, extras };
            Ok(Readied { reference: None, target, lock })
        }
    }
}

/// Whether a fault needs the target to be a process of the harness's own.
fn needs_a_process(plan: &Plan) -> bool {
    let mut faults = plan.phases.iter().flat_map(|phase| &phase.faults);
    faults.any(|fault| fault.kind.needs(Need::OwnProcess))
}

/// What a run has when its target is ready.
struct Prepared {
    http: Http,
    workers: Vec<String>,
    /// How the requests ended that created the workers.
    created: Vec<Answer>,
    build: Result<Option<String>, String>,
    /// What the target does not give.
    lacks: Vec<String>,
    /// Where the clients' first subscribes resume; empty where they begin at the start.
    heads: Vec<(TopicId, u64)>,
}

/// Tells before the load what the target does not give.
fn tell_lacks(lacks: &[String], observer: &mut dyn Observer) {
    for what in lacks {
        let kind = EventKind::TargetLacks { what: what.clone() };
        observer.event(&Event { at_us: 0, kind });
    }
}

async fn prepare(
    plan: &Plan,
    schedule: &Schedule,
    target: &Target,
    user_agent: &str,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Prepared, SetupError> {
    preflight::speaks_khala(plan, target, user_agent).await?;
    let ready = EventKind::TargetReady { url: target.base_url.clone() };
    observer.event(&Event { at_us: 0, kind: ready });
    let http = Http::new(&target.reach, user_agent, plan.target.request_timeout)
        .carrying(target.extras.clone());
    let mut lacks = match plan.target.kind {
        TargetKind::Reference { .. } => Vec::new(),
        TargetKind::Url { .. } => preflight::lacks::of(plan, schedule, target, &http).await,
    };
    tell_lacks(&lacks, observer);
    let build = target::build::learn(plan, &http, &options.version).await;
    let workers = publisher::worker_names(plan, &options.run_id);
    let created =
        publisher::create_workers(plan, target, &http, &workers).await.map_err(|error| {
            SetupError::Workers {
                mend: preflight::mend_worker(plan, error.status()),
                why: error.to_string(),
            }
        })?;
    let heads = match plan.fleet.first_subscribe {
        FirstSubscribe::FromStart => Vec::new(),
        FirstSubscribe::FromNow => match preflight::heads::learn(plan, target, user_agent).await? {
            Learnt::Heads(heads) => heads,
            Learnt::Ended(why) => {
                let what = format!(
                    "the target does not let a client replay its past, which fleet.first_subscribe = \
                     \"from-now\" needs once ({why}): everybody's first subscribe is from the start, and judged"
                );
                tell_lacks(std::slice::from_ref(&what), observer);
                lacks.push(what);
                Vec::new()
            }
        },
    };
    Ok(Prepared { http, workers, created, build, lacks, heads })
}
