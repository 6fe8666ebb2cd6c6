//! One run from plan to settled facts: set up, phases, drain, retire, clean up.
//!
//! Whatever happens after the set-up ends in evidence: an interrupt or a lost target shortens the
//! run, and the facts say so. Nothing that was started is left behind.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use khala_evidence::facts::{FaultOutcome, RunFacts, TargetFacts};
use khala_evidence::oracle::End;
use khala_evidence::record::{Micros, Sink};
use khala_plan::Plan;
use khala_plan::model::{Mint, Secret, TargetKind};
use khala_plan::schedule::{PlannedFault, Schedule};
use khala_wire::metrics::FanoutMetrics;
use khala_wire::token::{DEFAULT_KID, Key};
use khala_wire::topic::TopicId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, micros};
use crate::error::SetupError;
use crate::fault;
use crate::heads::Heads;
use crate::http::Http;
use crate::observe::{Event, EventKind, Observer, Progress};
use crate::probe::Probe;
use crate::target::child::{Recipe, Reference};
use crate::target::{Credentials, Target, token_names};
use crate::worker::{Numbers, Stage};
use crate::{preflight, publisher, worker};

/// From the last preparation to the first arrival.
const LEAD: Duration = Duration::from_millis(300);
/// How often the run looks round.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the target's metrics may take to show a fault.
const PROOF_TIMEOUT: Duration = Duration::from_secs(5);
/// How long before a fault its baseline is read.
const BASELINE_LEAD: Duration = Duration::from_millis(500);
/// For how long nothing may have changed for the topics to count as dry.
const QUIET_FOR: Duration = Duration::from_secs(1);

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
    let user_agent = format!("khala-harness/{} (run {})", options.version, options.run_id);
    let (reference, target) = prepare_target(&plan, &options).await?;
    let target = Arc::new(target);
    let prepared = prepare(&plan, &target, &user_agent, &options.run_id).await;
    let (http, workers) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Some(reference) = reference {
                reference.stop().await;
            }
            return Err(error);
        }
    };
    let ready = EventKind::TargetReady { url: target.base_url.clone() };
    observer.event(&Event { at_us: 0, kind: ready });

    let clock = Clock::starting_in(LEAD);
    let heads = Arc::new(Heads::new(schedule.publishes.len()));
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
        },
        make_sink(),
    )?;
    let numbered = workers.iter().cloned().zip(0_u16..).collect::<HashMap<_, _>>();
    let mut threads = Vec::new();
    let mut numbers = Vec::new();
    for index in 0..plan.generator.worker_threads.max(1) {
        let shown = Arc::new(Numbers::default());
        numbers.push(Arc::clone(&shown));
        let setup = worker::Setup {
            index,
            clock,
            plan: Arc::clone(&plan),
            schedule: Arc::clone(&schedule),
            target: Arc::clone(&target),
            heads: Arc::clone(&heads),
            run_id: options.run_id.clone(),
            user_agent: user_agent.clone(),
            workers: numbered.clone(),
            stage: stage_seen.clone(),
            numbers: shown,
        };
        threads.push(worker::spawn(setup, make_sink())?);
    }

    let probe = Probe::new(plan.generator.worker_threads.max(1), descriptors_limit);
    let mut conductor = Conductor {
        plan: &plan,
        schedule: &schedule,
        target: &target,
        http,
        clock,
        reference,
        heads: &heads,
        numbers,
        begun,
        interrupt: options.interrupt.clone(),
        observer,
        probe,
        lost: None,
        interrupted: false,
    };
    let faults = conductor.phases().await;
    let (drained, publisher_sink) = conductor.drain(publisher, &workers, &stage).await;
    stage.send_replace(Stage::Retire);
    let mut sinks: Vec<S> = publisher_sink.into_iter().collect();
    sinks.extend(join_all(threads).await);
    let end = End { at: clock.now(), drained };
    conductor.say(EventKind::Retired);
    let facts = conductor.finish(options.run_id, started_at, options.utc_now, faults, end).await;
    let published_on = plan.loads.iter().flat_map(|load| load.command.topics()).collect();
    Ok(Outcome { sinks, facts, end, published_on })
}

/// Waits for threads without blocking the run's own.
async fn join_all<T: Send + 'static>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut ended = Vec::new();
    for thread in threads {
        if let Some(value) = join(thread).await {
            ended.push(value);
        }
    }
    ended
}

async fn join<T: Send + 'static>(thread: JoinHandle<T>) -> Option<T> {
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    match thread.join() {
        Ok(value) => Some(value),
        // A bug of ours: its share of the clients is missing from the evidence, and the judge sees
        // that. The panic's message is on stderr.
        Err(_) => None,
    }
}

async fn prepare_target(
    plan: &Plan,
    options: &Options,
) -> Result<(Option<Reference>, Target), SetupError> {
    match &plan.target.kind {
        TargetKind::Reference { defects } => {
            let recipe = Recipe {
                command: options.reference_command.clone(),
                defects: defects.clone(),
                seed: plan.seed,
            };
            let reference = Reference::start(&recipe).await?;
            let (base_url, address) = preflight::address(&reference.base_url)?;
            let credentials = reference.credentials.clone();
            let socket_path = plan.target.socket_path.clone();
            Ok((Some(reference), Target { base_url, address, socket_path, credentials }))
        }
        TargetKind::Url { base_url } => {
            let (base_url, address) = preflight::address(base_url)?;
            let socket_path = plan.target.socket_path.clone();
            let credentials = credentials(plan)?;
            Ok((None, Target { base_url, address, socket_path, credentials }))
        }
    }
}

fn credentials(plan: &Plan) -> Result<Credentials, SetupError> {
    let (issuer, audience) = token_names(plan);
    let mut credentials = Credentials {
        sync_key: None,
        issuer,
        audience,
        session_key: None,
        static_token: None,
        signature_secret: None,
        admin_token: None,
    };
    match &plan.auth.mint {
        Mint::Hs256 { kid, secret, .. } => {
            let key = resolve("the token key (auth.secret)", secret)?;
            credentials.sync_key = Some(Key::new(kid.clone(), key));
        }
        Mint::Static { token } => {
            credentials.static_token = Some(resolve("the token (auth.token)", token)?);
        }
        Mint::Control => {
            credentials.session_key = std::env::var(crate::target::child::env::SESSION_KEY)
                .ok()
                .map(|key| Key::new(DEFAULT_KID, key));
        }
    }
    let from_env = |name: &str| std::env::var(name).ok();
    credentials.signature_secret =
        from_env(crate::target::child::env::SIGNATURE_SECRET).map(String::into_bytes);
    credentials.admin_token = from_env(crate::target::child::env::ADMIN_TOKEN);
    Ok(credentials)
}

fn resolve(what: &str, secret: &Secret) -> Result<String, SetupError> {
    let missing = |from: String, why: String| SetupError::Secret { what: what.to_owned(), from, why };
    match secret {
        Secret::Env(name) => std::env::var(name)
            .map_err(|error| missing(format!("environment variable {name}"), error.to_string())),
        Secret::File(path) => std::fs::read_to_string(path)
            .map(|text| text.trim_end().to_owned())
            .map_err(|error| missing(format!("file {path}"), error.to_string())),
        Secret::Generated => Err(missing(
            "this run".to_owned(),
            "a target by URL needs a secret of its own: { env = \"NAME\" } or { file = \"…\" }"
                .to_owned(),
        )),
    }
}

async fn prepare(
    plan: &Plan,
    target: &Target,
    user_agent: &str,
    run_id: &str,
) -> Result<(Http, Vec<String>), SetupError> {
    preflight::speaks_khala(plan, target, user_agent).await?;
    let http = Http::new(&target.base_url, user_agent, plan.target.request_timeout);
    let workers = publisher::worker_names(plan, run_id);
    publisher::create_workers(plan, target, &http, &workers)
        .await
        .map_err(|error| SetupError::Workers(error.to_string()))?;
    Ok((http, workers))
}

/// What the conductor does at a time of the plan.
enum Cue<'a> {
    Phase(&'a str),
    Baseline(&'a PlannedFault),
    Fault(&'a PlannedFault),
    Look,
    End,
}

/// A fault whose proof is being waited for.
struct Proving<'a> {
    fault: &'a PlannedFault,
    before: FanoutMetrics,
    until: Micros,
}

/// Leads a run through its phases, from the main thread.
struct Conductor<'a> {
    plan: &'a Plan,
    schedule: &'a Schedule,
    target: &'a Target,
    http: Http,
    clock: Clock,
    reference: Option<Reference>,
    heads: &'a Heads,
    numbers: Vec<Arc<Numbers>>,
    begun: Arc<AtomicU64>,
    interrupt: CancellationToken,
    observer: &'a mut dyn Observer,
    probe: Probe,
    lost: Option<String>,
    interrupted: bool,
}

impl<'a> Conductor<'a> {
    fn say(&mut self, kind: EventKind) {
        let at_us = self.clock.now();
        self.observer.event(&Event { at_us, kind });
    }

    /// When the last declared phase ends.
    fn phases_end(&self) -> Micros {
        self.schedule.phases.last().map_or(0, |drain| drain.start_us)
    }

    fn cues(&self) -> Vec<(Micros, Cue<'a>)> {
        let end = self.phases_end();
        let schedule = self.schedule;
        let mut cues: Vec<(Micros, Cue<'a>)> = Vec::new();
        let declared = schedule.phases.iter().take(schedule.phases.len().saturating_sub(1));
        cues.extend(declared.map(|phase| (phase.start_us, Cue::Phase(&phase.name))));
        for fault in &schedule.faults {
            cues.push((fault.at_us.saturating_sub(micros(BASELINE_LEAD)), Cue::Baseline(fault)));
            cues.push((fault.at_us, Cue::Fault(fault)));
        }
        let every = micros(LOOK_EVERY);
        cues.extend((0..end.div_ceil(every)).map(|look| (look * every, Cue::Look)));
        cues.push((end, Cue::End));
        // Stable: at one instant a phase begins before its fault, and looks come last.
        cues.sort_by_key(|(at, _)| *at);
        cues
    }

    /// Goes through the phases; returns what became of the faults.
    async fn phases(&mut self) -> Vec<FaultOutcome> {
        let mut outcomes: Vec<_> =
            self.schedule.faults.iter().map(|fault| self.not_applied(fault)).collect();
        let mut baselines: HashMap<u16, FanoutMetrics> = HashMap::new();
        let mut proving: Vec<Proving<'a>> = Vec::new();
        let mut phase = String::new();
        let mut shown = u64::MAX;
        for (at, cue) in self.cues() {
            if !self.wait_until(at).await {
                break;
            }
            match cue {
                Cue::Phase(name) => {
                    phase = name.to_owned();
                    self.say(EventKind::PhaseBegan { phase: phase.clone() });
                }
                Cue::Baseline(fault) => {
                    if let Ok(metrics) = self.target.metrics(&self.http).await {
                        baselines.insert(fault.id, metrics);
                    }
                }
                Cue::Fault(fault) => {
                    outcomes[usize::from(fault.id)].applied = true;
                    let (id, kind) = (fault.id, fault.kind.name().to_owned());
                    let planned = fault.targets.len() as u64;
                    self.say(EventKind::FaultDue { id, kind, planned });
                    if let Some(before) = baselines.remove(&fault.id) {
                        let until = fault.at_us + micros(PROOF_TIMEOUT);
                        proving.push(Proving { fault, before, until });
                    }
                }
                Cue::Look => {
                    self.prove(&mut proving, &mut outcomes).await;
                    self.look();
                    let second = self.clock.now() / 1_000_000;
                    if second != shown {
                        shown = second;
                        self.probe.sample();
                        self.show(&phase);
                    }
                }
                Cue::End => break,
            }
            if self.lost.is_some() {
                break;
            }
        }
        outcomes
    }

    /// Waits for a time of the run; false when a signal came first.
    async fn wait_until(&mut self, at: Micros) -> bool {
        tokio::select! {
            biased;
            () = self.interrupt.cancelled() => {
                if !std::mem::replace(&mut self.interrupted, true) {
                    self.say(EventKind::Interrupted);
                }
                false
            }
            () = tokio::time::sleep_until(self.clock.instant(at)) => true,
        }
    }

    fn not_applied(&self, fault: &PlannedFault) -> FaultOutcome {
        let phase = self.schedule.phases.get(usize::from(fault.phase));
        FaultOutcome {
            id: fault.id,
            kind: fault.kind.name().to_owned(),
            phase: phase.map(|phase| phase.name.clone()).unwrap_or_default(),
            at_us: fault.at_us,
            planned: fault.targets.len() as u64,
            effective: None,
            proof: "the target's metrics could not be read".to_owned(),
            applied: false,
        }
    }

    /// Asks the target what it saw of faults; stops asking when all of one is seen or time is up.
    async fn prove(&mut self, proving: &mut Vec<Proving<'a>>, outcomes: &mut [FaultOutcome]) {
        if proving.is_empty() {
            return;
        }
        let Ok(after) = self.target.metrics(&self.http).await else { return };
        let now = self.clock.now();
        let mut done = Vec::new();
        proving.retain(|entry| {
            let proof =
                fault::of(&entry.fault.kind).prove(entry.fault, &entry.before, &after);
            let outcome = &mut outcomes[usize::from(entry.fault.id)];
            // A gauge goes back: the most that was ever seen is what was hit.
            outcome.effective = outcome.effective.max(proof.effective);
            outcome.proof = proof.how;
            let complete = outcome.effective >= Some(outcome.planned) || now >= entry.until;
            if complete {
                let (id, effective, how) = (outcome.id, outcome.effective, outcome.proof.clone());
                done.push(EventKind::FaultProven { id, effective, how });
            }
            !complete
        });
        done.into_iter().for_each(|event| self.say(event));
    }

    /// Notices a target that went away.
    fn look(&mut self) {
        if self.lost.is_none()
            && let Some(why) = self.reference.as_mut().and_then(Reference::ended)
        {
            self.lost = Some(why.clone());
            self.say(EventKind::TargetLost { why });
        }
    }

    fn sum(&self, number: fn(&Numbers) -> &AtomicU64) -> u64 {
        self.numbers.iter().map(|shown| number(shown).load(Ordering::Relaxed)).sum()
    }

    fn show(&mut self, phase: &str) {
        let progress = Progress {
            elapsed_s: self.clock.now() / 1_000_000,
            planned_s: self.phases_end() / 1_000_000,
            phase: phase.to_owned(),
            clients: self.schedule.arrivals.len() as u64,
            online: self.sum(|numbers| &numbers.online),
            live: self.sum(|numbers| &numbers.live),
            published: self.begun.load(Ordering::Relaxed),
        };
        self.observer.progress(&progress);
    }

    /// Ends publishing and lets the topics run dry. Returns whether every live client had
    /// everything, or had had the time for it while nothing more came.
    async fn drain<S: Send + 'static>(
        &mut self,
        publisher: JoinHandle<(S, Vec<u32>)>,
        workers: &[String],
        stage: &watch::Sender<Stage>,
    ) -> (bool, Option<S>) {
        let cut_short = self.interrupted || self.lost.is_some();
        if cut_short {
            // The clients may go at once: nothing that is missing now proves anything.
            stage.send_replace(Stage::Retire);
        }
        let ended = join(publisher).await;
        self.say(EventKind::DrainBegan);
        if self.lost.is_none() {
            let remaining =
                publisher::stop_workers(self.plan, self.target, &self.http, workers).await;
            for (worker, why) in remaining {
                self.say(EventKind::WorkerRemains { worker, why: why.to_string() });
            }
        }
        let Some((sink, acknowledged)) = ended else { return (false, None) };
        let drained = !cut_short && self.runs_dry(&acknowledged).await;
        self.say(EventKind::DrainEnded { drained });
        (drained, Some(sink))
    }

    async fn runs_dry(&mut self, acknowledged: &[u32]) -> bool {
        let begun = self.clock.now();
        let until = begun + micros(self.plan.oracle.drain_within);
        let mut heads = self.all_heads();
        let mut behind = u64::MAX;
        let mut changed_at = begun;
        loop {
            let now = self.clock.now();
            if !self.wait_until(now + micros(LOOK_EVERY)).await {
                return false;
            }
            self.look();
            if self.lost.is_some() {
                return false;
            }
            self.probe.sample();
            // Numbers shown before the last change say nothing about it.
            let fresh = self
                .numbers
                .iter()
                .all(|shown| shown.shown_at.load(Ordering::Relaxed) > changed_at);
            let state = (self.all_heads(), self.sum(|numbers| &numbers.behind));
            if state != (heads.clone(), behind) {
                (heads, behind) = state;
                changed_at = self.clock.now();
                continue;
            }
            let quiet = fresh && self.clock.now() >= changed_at + micros(QUIET_FOR);
            let complete = behind == 0 && acknowledged.iter().all(|&n| self.heads.has_seen(n));
            if quiet && complete {
                return true;
            }
            if self.clock.now() >= until {
                return quiet;
            }
        }
    }

    fn all_heads(&self) -> Vec<u64> {
        (0_u8..).take(khala_wire::topic::KNOWN.len()).map(|id| self.heads.seq(TopicId(id))).collect()
    }

    async fn finish(
        mut self,
        run_id: String,
        started_at: String,
        utc_now: fn() -> String,
        faults: Vec<FaultOutcome>,
        end: End,
    ) -> RunFacts {
        self.probe.sample();
        let (kind, defects) = match &self.plan.target.kind {
            TargetKind::Reference { defects } => ("reference", defects.clone()),
            TargetKind::Url { .. } => ("url", Vec::new()),
        };
        let mut generator = self.probe.facts();
        generator.publishes_planned = self.schedule.publishes.len() as u64;
        generator.publishes_begun = self.begun.load(Ordering::Relaxed);
        if let Some(reference) = self.reference.take() {
            reference.stop().await;
        }
        RunFacts {
            run_id,
            started_at,
            ended_at: utc_now(),
            duration_us: end.at,
            interrupted: self.interrupted,
            drained: end.drained,
            target: TargetFacts {
                url: self.target.base_url.clone(),
                kind: kind.to_owned(),
                defects,
                lost: self.lost,
            },
            faults,
            generator,
            findings: Vec::new(),
            events_dropped: 0,
        }
    }
}
