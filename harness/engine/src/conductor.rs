//! Leads a run through its phases, from the main thread: phases, faults and their proof, the
//! target's metrics, the drain, and the facts at the end.
//!
//! The time line waits for nothing but time. What the target is asked (its metrics, a restart) and what
//! the system is (`/proc`) are tasks of their own, each bounded, whose results come back while the time
//! line waits for its next cue. What is said to the observer says when it happened; where that was later
//! than planned, it says so too.

mod acts;
mod back;
mod drain;
mod finish;
mod probing;
mod proofs;
mod reads;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use khala_evidence::record::{Micros, Record, Sink};
use khala_plan::Plan;
use khala_plan::model::ActsOn;
use khala_plan::schedule::{PlannedFault, Schedule};
use khala_wire::metrics::FanoutMetrics;
use tokio_util::sync::CancellationToken;

use self::acts::{Acted, Acts};
pub(crate) use self::acts::{Child, Told};
use self::probing::Probing;
use self::proofs::Proofs;
use self::reads::{Purpose, Read, Reads};
use crate::clock::{Clock, micros};
use crate::fault::{self, Grip, Hooks};
use crate::heads::Heads;
use crate::http::Http;
use crate::observe::{Event, EventKind, Observer, Progress};
use crate::probe::Probe;
use crate::stall::{TICK, Watch};
use crate::switches::Switches;
use crate::target::Target;
use crate::target::child::Own;
use crate::target::counters::Counters;
use crate::target::evictions::Evictions;
use crate::target::renewal::Renewal;
use crate::worker::Numbers;

/// How often the run looks round.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often the target's metrics are read.
const METRICS_EVERY: Duration = Duration::from_secs(1);
/// How often while a fault waits for its proof.
const METRICS_EVERY_PROVING: Duration = Duration::from_millis(300);
/// How long before a fault its baseline is read.
const BASELINE_LEAD: Duration = Duration::from_millis(500);
/// How much later than planned a phase or a fault may begin before it is told.
const LATE_MIN: Duration = Duration::from_millis(100);
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
    /// The faults that wait for a hand.
    pub switches: Arc<Switches>,
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
    switches: Arc<Switches>,
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
    /// The second of the run that was shown last.
    second: Option<u64>,
    /// Phases and faults that began later than planned, and the latest.
    late: u64,
    latest: Option<(Micros, String)>,
    renewal: Renewal,
    evictions: Evictions,
    counters: Counters,
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
            switches: setup.switches,
            sink: setup.sink,
            watch: Watch::new(plan.generator.conductor_thread(), clock),
            reads: Reads::new(Arc::clone(&target), http.clone(), clock),
            interrupt: setup.interrupt,
            probing: Probing::new(setup.probe),
            proofs: Proofs::new(plan, schedule),
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
                    if self.is_next_second() {
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
        if !self.switches.is_on(fault.id) {
            let said = self.proofs.not_switched(fault);
            return self.say(said);
        }
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
            self.say(EventKind::Interrupted { by: None });
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

    /// Notices a target that went away, has its metrics read when they are due, proves faults.
    fn look(&mut self) {
        self.notice_loss();
        // So that what is owed is on disk before anything else happens.
        self.take_told();
        self.switches.take().iter().for_each(|switched| self.observer.event(switched));
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

    /// Whether a second of the run has begun since this was asked last.
    fn is_next_second(&mut self) -> bool {
        let second = Some(self.clock.now() / 1_000_000);
        std::mem::replace(&mut self.state.second, second) != second
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
}
