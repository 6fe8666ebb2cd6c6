//! Leads a run through its phases, from the main thread: phases, faults and their proof, the
//! target's metrics, the drain, and the facts at the end.
//!
//! The time line waits for nothing but time. What the target is asked (its metrics, a restart) and what
//! the system is (`/proc`) are tasks of their own, each bounded, whose results come back while the time
//! line waits for its next cue. What is said to the observer says when it happened; where that was later
//! than planned, it says so too.

mod acts;
mod probing;
mod proofs;
mod reads;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use khala_evidence::facts::{Finding, Generator, RunFacts, TargetFacts};
use khala_evidence::oracle::End;
use khala_evidence::record::{Micros, Record, Request, Sink};
use khala_plan::Plan;
use khala_plan::model::{ActsOn, Cohort, TargetKind};
use khala_plan::schedule::{PlannedFault, Schedule};
use khala_wire::TopicKind;
use khala_wire::metrics::FanoutMetrics;
use khala_wire::topic::TopicId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::acts::{Acted, Acts, Telling};
pub(crate) use self::acts::{Child, Told};
use self::probing::Probing;
use self::proofs::{Now, Proofs};
use self::reads::{Purpose, Read, Reads};
use crate::clock::{Clock, micros};
use crate::fault::{self, Grip, Hooks};
use crate::heads::Heads;
use crate::http::Http;
use crate::observe::{Event, EventKind, Observer, Progress};
use crate::probe::Probe;
use crate::publisher;
use crate::stall::{TICK, Watch};
use crate::target::Target;
use crate::target::child::Own;
use crate::target::evictions::Evictions;
use crate::target::renewal::Renewal;
use crate::target::window::windows;
use crate::worker::{Numbers, Stage};

/// How often the run looks round.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often the target's metrics are read.
const METRICS_EVERY: Duration = Duration::from_secs(1);
/// How often while a fault waits for its proof.
const METRICS_EVERY_PROVING: Duration = Duration::from_millis(300);
/// How often a snapshot of them is kept.
const METRICS_KEPT_EVERY: Duration = Duration::from_secs(10);
/// How long before a fault its baseline is read.
const BASELINE_LEAD: Duration = Duration::from_millis(500);
/// For how long nothing may have changed for the topics to count as dry.
const QUIET_FOR: Duration = Duration::from_secs(1);
/// How much later than planned a phase or a fault may begin before it is told.
const LATE_MIN: Duration = Duration::from_millis(100);
/// How long faults on the target may be under way when the drain wants to begin.
const ACTS_WITHIN: Duration = Duration::from_secs(30);
/// How long what is taken back is waited for: a command that is being ended, and an undo's longest time.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(130);
/// How long what a signal cut short is waited for.
const CUT_SHORT_WITHIN: Duration = Duration::from_secs(1);
/// More than a thread needs to end, when what it waits for is over.
const THREAD_GRACE: Duration = Duration::from_secs(5);
/// Between two looks whether something is over.
const STEP: Duration = Duration::from_millis(5);

/// What the conductor does at a time of the plan.
enum Cue<'a> {
    Phase(&'a str),
    /// Of the faults that are due at this time.
    Baseline(Micros),
    Fault(&'a PlannedFault),
    Look,
    End,
}

/// What comes back while the time line waits.
enum Came {
    Read(Box<Read>),
    Acted(Acted),
    Probed(Option<Record>),
    Told,
    Nothing,
}

/// All that a conductor needs.
pub struct Setup<'a, S> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its schedule.
    pub schedule: &'a Schedule,
    /// The target.
    pub target: Arc<Target>,
    /// Requests of the run itself.
    pub http: Http,
    /// The run's clock.
    pub clock: Clock,
    /// The target's process, where it is the harness's own.
    pub process: Option<Box<dyn Own>>,
    /// What commands of the user's run with; `None` where none may run.
    pub hooks: Option<Arc<Hooks>>,
    /// What any client has seen.
    pub heads: &'a Heads,
    /// What the threads show.
    pub numbers: Vec<Arc<Numbers>>,
    /// Publishes begun.
    pub begun: Arc<AtomicU64>,
    /// Ends the run early.
    pub interrupt: CancellationToken,
    /// Who watches.
    pub observer: &'a mut dyn Observer,
    /// The generator's look at itself.
    pub probe: Probe,
    /// The target's build, or why it could not be learnt.
    pub build: Result<Option<String>, String>,
    /// Descriptors that the process may open.
    pub descriptors_limit: u64,
    /// Takes what the conductor sees of the target.
    pub sink: S,
}

/// Leads a run through its phases.
pub struct Conductor<'a, S> {
    plan: &'a Plan,
    schedule: &'a Schedule,
    target: Arc<Target>,
    http: Http,
    clock: Clock,
    heads: &'a Heads,
    numbers: Vec<Arc<Numbers>>,
    begun: Arc<AtomicU64>,
    interrupt: CancellationToken,
    observer: &'a mut dyn Observer,
    build: Result<Option<String>, String>,
    descriptors_limit: u64,
    sink: S,
    watch: Watch,
    reads: Reads,
    acts: Acts,
    probing: Probing,
    proofs: Proofs<'a>,
    state: State,
}

/// How the run stands.
#[derive(Debug, Default)]
struct State {
    lost: Option<String>,
    lost_at: Option<Micros>,
    interrupted: bool,
    first_metrics: Option<(Micros, FanoutMetrics)>,
    last_metrics: Option<(Micros, FanoutMetrics)>,
    /// What the run left, if that could be read.
    after: Option<FanoutMetrics>,
    metrics_due: Micros,
    metrics_kept_due: Micros,
    /// Phases and faults that began later than planned, and the latest.
    late: u64,
    latest: Option<(Micros, String)>,
    renewal: Renewal,
    evictions: Evictions,
}

impl<'a, S: Sink> Conductor<'a, S> {
    /// A conductor before the first phase.
    #[must_use]
    pub fn new(setup: Setup<'a, S>) -> Self {
        let Setup { plan, schedule, target, http, clock, .. } = setup;
        Self {
            plan,
            schedule,
            clock,
            heads: setup.heads,
            numbers: setup.numbers,
            begun: setup.begun,
            acts: Acts::new(setup.process, setup.hooks, &setup.interrupt),
            observer: setup.observer,
            build: setup.build,
            descriptors_limit: setup.descriptors_limit,
            sink: setup.sink,
            watch: Watch::new(plan.generator.conductor_thread(), clock),
            reads: Reads::new(Arc::clone(&target), http.clone(), clock),
            interrupt: setup.interrupt,
            probing: Probing::new(setup.probe),
            proofs: Proofs::new(schedule),
            target,
            http,
            state: State::default(),
        }
    }

    fn say(&mut self, kind: EventKind) {
        let at_us = self.clock.now();
        self.observer.event(&Event { at_us, kind });
    }

    /// Says what the plan wanted at `due`; what comes more than a little later is also a finding.
    fn say_due(&mut self, due: Micros, what: String, kind: EventKind) {
        let late = self.clock.now().saturating_sub(due);
        self.say(kind);
        if late > micros(LATE_MIN) {
            self.state.late += 1;
            if self.state.latest.as_ref().is_none_or(|(latest, _)| late > *latest) {
                self.state.latest = Some((late, what));
            }
        }
    }

    /// All clients have left.
    pub fn say_retired(&mut self) {
        self.say(EventKind::Retired);
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
        let mut instants: Vec<_> = schedule.faults.iter().map(|fault| fault.at_us).collect();
        instants.sort_unstable();
        instants.dedup();
        let lead = micros(BASELINE_LEAD);
        cues.extend(instants.into_iter().map(|at| (at.saturating_sub(lead), Cue::Baseline(at))));
        cues.extend(schedule.faults.iter().map(|fault| (fault.at_us, Cue::Fault(fault))));
        let every = micros(LOOK_EVERY);
        cues.extend((0..end.div_ceil(every)).map(|look| (look * every, Cue::Look)));
        cues.push((end, Cue::End));
        // Stable: at one instant a phase begins before its fault, and looks come last.
        cues.sort_by_key(|(at, _)| *at);
        cues
    }

    /// Goes through the phases.
    pub async fn phases(&mut self) {
        let mut phase = String::new();
        let mut shown = u64::MAX;
        for (at, cue) in self.cues() {
            if !self.wait_until(at).await {
                break;
            }
            match cue {
                Cue::Phase(name) => {
                    phase = name.to_owned();
                    let began = EventKind::PhaseBegan { phase: phase.clone(), due_us: at };
                    self.say_due(at, format!("phase `{name}`"), began);
                }
                Cue::Baseline(due) => {
                    let asked = self.reads.begin(Purpose::Baseline(due));
                    self.proofs.baseline_asked(due, asked);
                }
                Cue::Fault(fault) => self.fault(fault),
                Cue::Look => {
                    self.look();
                    let second = self.clock.now() / 1_000_000;
                    if second != shown {
                        shown = second;
                        self.probing.begin();
                        self.show(&phase);
                    }
                }
                Cue::End => break,
            }
            if self.state.lost.is_some() {
                break;
            }
        }
    }

    fn fault(&mut self, fault: &'a PlannedFault) {
        let planned = self.proofs.due(fault);
        let (id, kind) = (fault.id, fault.kind.name().to_owned());
        let what = format!("fault {id} ({kind})");
        self.say_due(
            fault.at_us,
            what,
            EventKind::FaultDue { id, kind, planned, due_us: fault.at_us },
        );
        if fault.kind.acts_on() == ActsOn::Target {
            let grip = Grip {
                target: Arc::clone(&self.target),
                http: self.http.clone(),
                child: self.acts.child(),
                clock: self.clock,
                told: self.acts.told(),
                hooks: self.acts.hooks(),
                ending: self.acts.ending(),
            };
            self.acts.begin(fault, fault::of(&fault.kind), grip);
        }
    }

    /// Waits for a time of the run; false when a signal came first.
    async fn wait_until(&mut self, at: Micros) -> bool {
        let (interrupt, due) = (self.interrupt.clone(), self.clock.instant(at));
        let due = async move {
            tokio::select! {
                biased;
                () = interrupt.cancelled() => false,
                () = tokio::time::sleep_until(due) => true,
            }
        };
        let came = self.meanwhile(due).await;
        if !came && !std::mem::replace(&mut self.state.interrupted, true) {
            self.say(EventKind::Interrupted);
        }
        came
    }

    /// Waits for something, and takes what comes back meanwhile.
    async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = std::pin::pin!(what);
        let told = self.acts.told();
        loop {
            let came = tokio::select! {
                biased;
                read = self.reads.next() => Came::Read(Box::new(read)),
                acted = self.acts.next() => Came::Acted(acted),
                probed = self.probing.next() => Came::Probed(probed),
                done = &mut what => {
                    self.watch.look(&mut self.sink);
                    return done;
                }
                () = told.said() => Came::Told,
                () = tokio::time::sleep(TICK) => Came::Nothing,
            };
            self.watch.look(&mut self.sink);
            match came {
                Came::Read(read) => self.read(*read),
                Came::Acted(acted) => self.acted(acted),
                Came::Probed(seen) => seen.into_iter().for_each(|seen| self.sink.record(seen)),
                Came::Told => self.take_told(),
                Came::Nothing => {}
            }
        }
    }

    /// Waits until something holds, at most so long; says whether it does.
    async fn wait_for(&mut self, within: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = self.clock.now() + micros(within);
        while !holds(self) {
            if self.clock.now() >= until {
                return false;
            }
            self.meanwhile(tokio::time::sleep(STEP)).await;
        }
        true
    }

    /// Takes the target's metrics: enters its windows, proves faults.
    fn read(&mut self, read: Read) {
        let Read { purpose, asked, answered, answer, metrics } = read;
        self.sink.record(answer.record(Request::Metrics, None, asked, answered));
        if let Purpose::Baseline(due) = purpose {
            self.proofs.baseline(due, answered, metrics.clone());
        }
        if let Ok(metrics) = metrics {
            for renewed in self.state.renewal.see(asked, answered, &metrics) {
                self.sink.record(renewed);
            }
            if let Some(counted) = self.state.evictions.see(answered, &metrics) {
                self.sink.record(counted);
            }
            for (topic, window) in windows(&metrics) {
                let (oldest, head, budget) = (window.oldest, window.head, window.budget);
                self.sink.record(Record::Window { asked, answered, topic, oldest, head, budget });
            }
            self.keep(purpose, asked, answered, metrics);
        }
        self.prove(false);
        if purpose == Purpose::PhasesOver {
            self.proofs.metrics_are_over();
        }
    }

    fn keep(&mut self, purpose: Purpose, asked: Micros, answered: Micros, metrics: FanoutMetrics) {
        if purpose == Purpose::After {
            self.observer.metrics("after", &metrics);
            self.state.after = Some(metrics.clone());
        } else if self.state.first_metrics.is_none() {
            self.observer.metrics("before", &metrics);
        } else if answered >= self.state.metrics_kept_due {
            self.observer.metrics(&format!("during-{:04}", answered / 1_000_000), &metrics);
        }
        if answered >= self.state.metrics_kept_due {
            self.state.metrics_kept_due = answered + micros(METRICS_KEPT_EVERY);
        }
        if self.state.first_metrics.as_ref().is_none_or(|(first, _)| asked < *first) {
            self.state.first_metrics = Some((asked, metrics.clone()));
        }
        if self.state.last_metrics.as_ref().is_none_or(|(last, _)| asked >= *last) {
            self.state.last_metrics = Some((asked, metrics));
        }
    }

    /// Takes what faults on the target came to so far.
    fn take_told(&mut self) {
        let Telling { records, events } = self.acts.take_told();
        records.into_iter().for_each(|record| self.sink.record(record));
        for event in events {
            if let EventKind::CommandEnded { id, run } = &event.kind {
                self.proofs.ran(*id, run.clone());
            }
            self.observer.event(&event);
        }
    }

    fn acted(&mut self, Acted { fault, done }: Acted) {
        self.take_told();
        match &done {
            Ok(answered) => self.heads.count_answered(fault, *answered),
            Err(why) => self.proofs.refused(fault, why.clone()),
        }
        let failed = done.err();
        self.say(EventKind::FaultActed { id: fault, failed });
    }

    /// Asks what is known of the target's side what became of faults.
    fn prove(&mut self, last_chance: bool) {
        let last = self.state.last_metrics.as_ref();
        let heads = self.heads;
        let now = Now {
            at: self.clock.now(),
            metrics: last.map(|(asked, metrics)| (*asked, metrics)),
            answered: &|fault| heads.answered(fault),
            unread: self.reads.first_failure(),
        };
        let said = self.proofs.look(&now, last_chance);
        said.into_iter().for_each(|event| self.say(event));
    }

    /// Notices a target that went away, has its metrics read when they are due, proves faults.
    fn look(&mut self) {
        self.notice_loss();
        // So that what is owed is on disk before anything else happens.
        self.take_told();
        if self.proofs.are_waited_for() {
            self.prove(false);
        }
        let now = self.clock.now();
        if now >= self.state.metrics_due {
            let every =
                if self.proofs.want_metrics() { METRICS_EVERY_PROVING } else { METRICS_EVERY };
            self.state.metrics_due = now + micros(every);
            self.reads.begin(Purpose::Look);
        }
    }

    fn notice_loss(&mut self) {
        if self.state.lost.is_none()
            && let Some(why) = self.acts.child_ended()
        {
            self.state.lost = Some(why.clone());
            self.state.lost_at = Some(self.clock.now());
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
    /// everything, or had had the time for it while nothing more came; and what the publishers' thread
    /// left, unless it is lost.
    pub async fn drain<T: Send + 'static>(
        &mut self,
        publisher: JoinHandle<(T, Vec<u32>)>,
        stage: &watch::Sender<Stage>,
    ) -> (bool, Option<T>) {
        self.say(EventKind::DrainBegan);
        self.notice_loss();
        let cut_short = self.state.interrupted || self.state.lost.is_some();
        if cut_short {
            self.acts.cut_short();
        }
        // Cut short, the clients may go at once: nothing that is missing now proves anything.
        stage.send_replace(if cut_short { Stage::Retire } else { Stage::Draining });
        if !cut_short {
            // A target that is being restarted takes no commands.
            self.wait_for(ACTS_WITHIN, |run| run.acts.is_idle() || run.is_interrupted()).await;
            self.reads.begin(Purpose::PhasesOver);
        }
        let ended = self.join_publisher(publisher, stage).await;
        let Some((sink, acknowledged)) = ended else { return (false, None) };
        let drained = !cut_short && self.runs_dry(&acknowledged).await;
        let clients = self.schedule.arrivals.len() as u64;
        self.say(EventKind::DrainEnded {
            drained,
            behind: self.sum(|numbers| &numbers.behind),
            not_live: clients.saturating_sub(self.sum(|numbers| &numbers.live)),
            unseen: acknowledged.iter().filter(|&&n| !self.heads.has_seen(n)).count() as u64,
        });
        if self.state.lost.is_none() {
            self.reads.begin(Purpose::After);
        }
        (drained, Some(sink))
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.is_cancelled()
    }

    /// Waits for the publishers' thread, whose commands are each timed out; `None` when it is lost.
    async fn join_publisher<T: Send + 'static>(
        &mut self,
        publisher: JoinHandle<T>,
        stage: &watch::Sender<Stage>,
    ) -> Option<T> {
        let answers_within = self.plan.target.request_timeout + THREAD_GRACE;
        let within = self.plan.oracle.drain_within + answers_within;
        let ends = |run: &Self| publisher.is_finished() || run.is_interrupted();
        self.wait_for(within, ends).await;
        if !publisher.is_finished() {
            // What it still has to catch up with is too late.
            stage.send_replace(Stage::Retire);
            self.wait_for(answers_within, |_| publisher.is_finished()).await;
        }
        // A panic is a bug of ours, as is a thread that does not end: the run counts it as lost, and is
        // judged inconclusive. A panic's message is on stderr.
        if publisher.is_finished() { publisher.join().ok() } else { None }
    }

    /// Stops the workers that the run has made, once nobody listens any more: what its own last commands
    /// push out would hide what was waiting.
    pub async fn stop_workers(&mut self, workers: &[String]) {
        if self.state.lost.is_some() {
            return;
        }
        let (target, http) = (Arc::clone(&self.target), self.http.clone());
        let (plan, within) = (self.plan, self.plan.target.request_timeout * 2);
        let stopping = publisher::stop_workers(plan, &target, &http, self.clock, workers, within);
        let (remaining, told) = self.meanwhile(stopping).await;
        told.into_iter().for_each(|record| self.sink.record(record));
        for (worker, why) in remaining {
            self.say(EventKind::WorkerRemains { worker, why });
        }
    }

    async fn runs_dry(&mut self, acknowledged: &[u32]) -> bool {
        let begun = self.clock.now();
        let until = begun + micros(self.plan.oracle.drain_within);
        // A state that was acknowledged last may take as long to show.
        let settled_at = begun + micros(self.plan.oracle.settle_within);
        let states_are_watched = states_are_watched(self.plan);
        let mut last = (self.all_heads(), u64::MAX);
        let mut changed_at = begun;
        loop {
            if !self.wait_until(self.clock.now() + micros(LOOK_EVERY)).await {
                return false;
            }
            self.notice_loss();
            if self.state.lost.is_some() {
                return false;
            }
            self.probing.begin();
            // Numbers shown before the last change say nothing about it.
            let fresh = self
                .numbers
                .iter()
                .all(|shown| shown.shown_at.load(Ordering::Relaxed) > changed_at);
            let state = (self.all_heads(), self.sum(|numbers| &numbers.behind));
            if state != last {
                last = state;
                changed_at = self.clock.now();
                continue;
            }
            let now = self.clock.now();
            let settled =
                !states_are_watched || self.heads.versions_are_seen() || now >= settled_at;
            let quiet = fresh && settled && now >= changed_at + micros(QUIET_FOR);
            let complete = last.1 == 0 && acknowledged.iter().all(|&n| self.heads.has_seen(n));
            if quiet && complete {
                return true;
            }
            if self.clock.now() >= until {
                return quiet;
            }
        }
    }

    fn all_heads(&self) -> Vec<u64> {
        TopicId::all().map(|topic| self.heads.seq(topic)).collect()
    }

    /// What the target's metrics say against what the clients saw, what could not be learnt, and what
    /// came later than planned.
    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |name: &str, message: String, count: u64| {
            findings.push(Finding::at_end(name, message, count));
        };
        if let Err(why) = &self.build {
            find("target_build_unknown", why.clone(), 1);
        }
        if let Some((late, what)) = &self.state.latest {
            let message = format!(
                "the time line was late, most of all with {what}, which began {:.1?} after its time: \
                 judging goes by the plan's times",
                Duration::from_micros(*late)
            );
            find("began_late", message, self.state.late);
        }
        if let (Some((_, first)), Some(after)) = (&self.state.first_metrics, &self.state.after)
            && self.plan.target.exclusive
            // The counts of another process began anew.
            && first.process_id == after.process_id
        {
            let refused = |metrics: &FanoutMetrics| -> u64 {
                let rows = metrics.topic_windows.iter();
                rows.map(|row| {
                    row.stale_cursor_budget_exceeded_count + row.stale_cursor_retention_floor_count
                })
                .sum()
            };
            let counted = refused(after).saturating_sub(refused(first));
            let seen = self.heads.stale();
            if counted != seen {
                let message = format!(
                    "the target counted {counted} stale cursors, the clients were told of {seen}"
                );
                find("metrics_disagree", message, counted.abs_diff(seen));
            }
        }
        findings.extend(self.reads.finding());
        findings
    }

    /// Waits for threads, which end within `within`; those that do not are lost. What comes back
    /// meanwhile is taken.
    pub async fn join_all<T: Send + 'static>(
        &mut self,
        threads: Vec<JoinHandle<T>>,
        within: Duration,
    ) -> Vec<T> {
        self.wait_for(within, |_| threads.iter().all(JoinHandle::is_finished)).await;
        let (ended, lost): (Vec<_>, Vec<_>) =
            threads.into_iter().partition(JoinHandle::is_finished);
        if !lost.is_empty() {
            tracing::error!(threads = lost.len(), "threads did not end");
        }
        ended.into_iter().filter_map(|thread| thread.join().ok()).collect()
    }

    /// Stops what is left and puts the facts together; also returns the conductor's sink.
    pub async fn finish(
        mut self,
        run_id: String,
        started_at: String,
        utc_now: fn() -> String,
        end: End,
    ) -> (RunFacts, S) {
        self.probing.begin();
        let within = match self.state.interrupted || self.state.lost.is_some() {
            true => CUT_SHORT_WITHIN,
            false => self.plan.target.request_timeout + CUT_SHORT_WITHIN,
        };
        self.wait_for(within, |run| run.reads.is_idle() && run.probing.is_idle()).await;
        // Commands are bounded each; what they take back is waited for.
        self.acts.cut_short();
        self.wait_for(TAKEN_BACK_WITHIN, |run| !run.acts.owe()).await;
        // Who is not ready by now is given up: what it owes goes to somebody else.
        self.acts.give_up().await;
        self.wait_for(TAKEN_BACK_WITHIN, |run| !run.acts.owe()).await;
        self.take_told();
        // What was still to be proven has had its time.
        self.prove(true);
        self.acts.stop().await;
        let findings = self.findings();
        let (kind, defects) = match &self.plan.target.kind {
            TargetKind::Reference { defects, .. } => ("reference", defects.clone()),
            TargetKind::Url { .. } => ("url", Vec::new()),
        };
        let generator = Generator {
            worker_threads: self.plan.generator.client_threads(),
            descriptors_limit: self.descriptors_limit,
            publishes_planned: self.schedule.publishes.len() as u64,
            publishes_begun: self.begun.load(Ordering::Relaxed),
            unprobed: self.probing.unprobed(),
            ..Generator::default()
        };
        let facts = RunFacts {
            run_id,
            started_at,
            ended_at: utc_now(),
            duration_us: end.at,
            interrupted: self.state.interrupted,
            drained: end.drained,
            target: TargetFacts {
                way: None,
                url: self.target.base_url.clone(),
                kind: kind.to_owned(),
                defects,
                build: self.build.ok().flatten(),
                lost: self.state.lost,
                lost_at_us: self.state.lost_at,
            },
            faults: self.proofs.into_outcomes(),
            generator,
            findings,
            events_dropped: 0,
            unfinished: None,
        };
        (facts, self.sink)
    }
}

/// Whether any client subscribes to a state topic that a load feeds.
fn states_are_watched(plan: &Plan) -> bool {
    let mut fed = plan.loads.iter().flat_map(|load| load.command.topics());
    fed.any(|topic| {
        let watches = |cohort: &Cohort| cohort.topics.contains(&topic);
        topic.kind() == TopicKind::State && plan.fleet.cohorts.iter().any(watches)
    })
}
