//! The threads that make a run's load, and what they have in common.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;

use khala_evidence::record::Sink;
use khala_plan::Plan;
use khala_plan::schedule::Schedule;
use tokio::sync::watch;

use super::prepare::Prepared;
use crate::clock::Clock;
use crate::contact::Contact;
use crate::error::SetupError;
use crate::heads::Heads;
use crate::switches::Switches;
use crate::target::Target;
use crate::transport::Backlog;
use crate::turnstile::Turnstile;
use crate::worker::{Numbers, Stage};
use crate::{publisher, worker};

/// From the last preparation to the first arrival.
const LEAD: Duration = Duration::from_millis(300);

/// What the threads of a run have in common.
pub(super) struct Common {
    pub(super) clock: Clock,
    pub(super) plan: Arc<Plan>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) target: Arc<Target>,
    pub(super) heads: Arc<Heads>,
    pub(super) contact: Arc<Contact>,
    pub(super) turnstile: Option<Arc<Turnstile>>,
    pub(super) run_id: String,
    pub(super) user_agent: String,
    pub(super) switches: Arc<Switches>,
}

impl Common {
    /// The run's time begins with it.
    pub(super) fn new(
        plan: &Arc<Plan>,
        schedule: &Arc<Schedule>,
        target: &Arc<Target>,
        run_id: String,
        user_agent: String,
        prepared: &Prepared,
        switches: Arc<Switches>,
    ) -> Self {
        let clock = Clock::starting_in(LEAD);
        switches.begin(clock);
        let heads = Heads::new(schedule.publishes.len(), schedule.faults.len());
        Self {
            clock,
            plan: Arc::clone(plan),
            schedule: Arc::clone(schedule),
            target: Arc::clone(target),
            heads: Arc::new(heads.with_workers(prepared.workers.len())),
            contact: Arc::new(Contact::new(clock, plan.generator.client_threads())),
            turnstile: Turnstile::of(plan).map(Arc::new),
            run_id,
            user_agent,
            switches,
        }
    }
}

/// The threads that make the load, and what they show.
pub(super) struct Threads<S> {
    pub(super) publisher: JoinHandle<(S, Vec<u32>)>,
    pub(super) clients: Vec<JoinHandle<S>>,
    pub(super) stage: watch::Sender<Stage>,
    /// Publishes begun.
    pub(super) begun: Arc<AtomicU64>,
    pub(super) numbers: Vec<Arc<Numbers>>,
    pub(super) backlog: Arc<Backlog>,
}

impl<S: Sink + Send + 'static> Threads<S> {
    /// Starts the publishers' thread and those of the clients.
    pub(super) fn start(
        common: &Common,
        prepared: &Prepared,
        mut make_sink: impl FnMut() -> S,
    ) -> Result<Self, SetupError> {
        let (stage, stage_seen) = watch::channel(Stage::Running);
        let begun = Arc::new(AtomicU64::new(0));
        let publisher = publisher::Setup {
            clock: common.clock,
            plan: Arc::clone(&common.plan),
            schedule: Arc::clone(&common.schedule),
            target: Arc::clone(&common.target),
            run_id: common.run_id.clone(),
            user_agent: common.user_agent.clone(),
            workers: prepared.workers.clone(),
            stage: stage_seen.clone(),
            begun: Arc::clone(&begun),
            heads: Arc::clone(&common.heads),
            contact: Arc::clone(&common.contact),
            in_flight_max: publisher::IN_FLIGHT_MAX,
        };
        let publisher = publisher::spawn(publisher, make_sink())?;
        let backlog = Arc::new(Backlog::default());
        let numbered = prepared.workers.iter().cloned().zip(0_u16..).collect::<HashMap<_, _>>();
        let first_cursors = Arc::new(prepared.heads.clone());
        let (mut clients, mut numbers) = (Vec::new(), Vec::new());
        for index in 0..common.plan.generator.client_threads() {
            let shown = Arc::new(Numbers::default());
            numbers.push(Arc::clone(&shown));
            let setup = worker::Setup {
                index,
                clock: common.clock,
                plan: Arc::clone(&common.plan),
                schedule: Arc::clone(&common.schedule),
                target: Arc::clone(&common.target),
                heads: Arc::clone(&common.heads),
                contact: Arc::clone(&common.contact),
                turnstile: common.turnstile.clone(),
                run_id: common.run_id.clone(),
                user_agent: common.user_agent.clone(),
                workers: numbered.clone(),
                stage: stage_seen.clone(),
                numbers: shown,
                backlog: Arc::clone(&backlog),
                first_cursors: Arc::clone(&first_cursors),
                switches: Arc::clone(&common.switches),
            };
            clients.push(worker::spawn(setup, make_sink())?);
        }
        Ok(Self { publisher, clients, stage, begun, numbers, backlog })
    }
}
