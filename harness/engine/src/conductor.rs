//! Leads a run through its phases, from the main thread: phases, faults and their proof, the
//! target's metrics, the drain, and the facts at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use khala_evidence::facts::{FaultOutcome, Finding, Generator, RunFacts, TargetFacts};
use khala_evidence::oracle::End;
use khala_evidence::record::{Micros, Record, Request, Sink};
use khala_plan::Plan;
use khala_plan::model::{ActsOn, TargetKind};
use khala_plan::schedule::{PlannedFault, Schedule};
use khala_wire::metrics::FanoutMetrics;
use khala_wire::topic::TopicId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, answer_to};
use crate::clock::{Clock, micros};
use crate::fault::{self, Grip, Sides};
use crate::heads::Answers;
use crate::heads::Heads;
use crate::http::Http;
use crate::observe::{Event, EventKind, Observer, Progress};
use crate::probe::Probe;
use crate::publisher;
use crate::said;
use crate::target::Target;
use crate::target::child::Reference;
use crate::target::renewal::Renewal;
use crate::target::window::windows;
use crate::threads::join;
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
    answers_before: Answers,
    planned_together: u64,
    until: Micros,
    /// When the target's side first showed it.
    first_seen: Option<Micros>,
}

/// Leads a run through its phases.
pub struct Conductor<'a, S> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its schedule.
    pub schedule: &'a Schedule,
    /// The target.
    pub target: &'a Target,
    /// Requests of the run itself.
    pub http: Http,
    /// The run's clock.
    pub clock: Clock,
    /// The child, where the target is one.
    pub reference: Option<Reference>,
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
    /// The rest is the conductor's own.
    pub state: State,
}

/// What a conductor keeps for itself.
#[derive(Debug, Default)]
pub struct State {
    lost: Option<String>,
    lost_at: Option<Micros>,
    interrupted: bool,
    first_metrics: Option<FanoutMetrics>,
    last_metrics: Option<FanoutMetrics>,
    metrics_due: Micros,
    metrics_kept_due: Micros,
    metrics_unread: u64,
    /// Why they could not be read the first time.
    metrics_unread_why: Option<String>,
    renewal: Renewal,
}

impl<'a, S: Sink> Conductor<'a, S> {
    fn say(&mut self, kind: EventKind) {
        let at_us = self.clock.now();
        self.observer.event(&Event { at_us, kind });
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
    pub async fn phases(&mut self) -> Vec<FaultOutcome> {
        let unread = "the target's metrics could not be read";
        let not_applied = |fault| FaultOutcome::not_applied(self.schedule, fault, unread);
        let mut outcomes: Vec<_> = self.schedule.faults.iter().map(not_applied).collect();
        let mut baselines: HashMap<u16, (FanoutMetrics, Answers)> = HashMap::new();
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
                    if let Some(metrics) = self.read_metrics().await {
                        baselines.insert(fault.id, (metrics, self.answers()));
                    }
                }
                Cue::Fault(fault) => {
                    let outcome = &mut outcomes[usize::from(fault.id)];
                    outcome.applied = true;
                    let (id, kind) = (fault.id, fault.kind.name().to_owned());
                    let planned = outcome.planned;
                    self.say(EventKind::FaultDue { id, kind, planned });
                    self.apply_to_target(fault, &mut outcomes).await;
                    if let Some(baseline) = baselines.remove(&fault.id) {
                        proving.push(self.proving(fault, baseline));
                    }
                }
                Cue::Look => {
                    self.look(&mut proving, &mut outcomes).await;
                    let second = self.clock.now() / 1_000_000;
                    if second != shown {
                        shown = second;
                        self.probe.sample(&mut self.sink);
                        self.show(&phase);
                    }
                }
                Cue::End => break,
            }
            if self.state.lost.is_some() {
                break;
            }
        }
        // What was still to be proven has had its phase.
        self.read_metrics().await;
        self.prove(&mut proving, &mut outcomes, true);
        outcomes
    }

    fn proving(
        &self,
        fault: &'a PlannedFault,
        (before, answers_before): (FanoutMetrics, Answers),
    ) -> Proving<'a> {
        let together = |other: &&PlannedFault| {
            // An offline client's socket ends as a disconnected one's does.
            let cuts = |name: &str| name == "disconnect" || name == "offline";
            let (ours, theirs) = (fault.kind.name(), other.kind.name());
            other.at_us == fault.at_us && (ours == theirs || cuts(ours) && cuts(theirs))
        };
        let same_instant = self.schedule.faults.iter().filter(together);
        let until = match fault.duration_us {
            Some(duration) => fault.at_us + duration,
            None => fault.at_us + micros(fault::of(&fault.kind).proof_timeout()),
        };
        Proving {
            fault,
            before,
            answers_before,
            planned_together: same_instant.map(|other| other.targets.len() as u64).sum(),
            until,
            first_seen: None,
        }
    }

    async fn apply_to_target(&mut self, fault: &PlannedFault, outcomes: &mut [FaultOutcome]) {
        if fault.kind.acts_on() != ActsOn::Target {
            return;
        }
        let acting = fault::of(&fault.kind);
        let (clock, told) = (self.clock, std::cell::RefCell::new(Vec::new()));
        let grip = Grip {
            target: self.target,
            http: &self.http,
            child: self.reference.as_mut(),
            clock,
            told: &told,
        };
        let done = tokio::select! {
            biased;
            // Said when the next cue is waited for.
            () = self.interrupt.cancelled() => Ok(()),
            done = acting.on_target(grip) => done,
        };
        told.into_inner().into_iter().for_each(|record| self.sink.record(record));
        if let Err(why) = done {
            outcomes[usize::from(fault.id)].proof = why;
        }
    }

    /// Waits for a time of the run; false when a signal came first.
    async fn wait_until(&mut self, at: Micros) -> bool {
        tokio::select! {
            biased;
            () = self.interrupt.cancelled() => {
                if !std::mem::replace(&mut self.state.interrupted, true) {
                    self.say(EventKind::Interrupted);
                }
                false
            }
            () = tokio::time::sleep_until(self.clock.instant(at)) => true,
        }
    }

    fn answers(&self) -> Answers {
        self.heads.answers()
    }

    /// Reads the target's metrics, and enters its windows.
    async fn read_metrics(&mut self) -> Option<FanoutMetrics> {
        let asked = self.clock.now();
        let read = self.target.metrics(&self.http).await;
        let answered = self.clock.now();
        let answer = answer_to(&read);
        self.sink.record(answer.record(Request::Metrics, None, asked, answered));
        let metrics = match read {
            Ok(reply) => reply.document,
            Err(error) => {
                self.state.metrics_unread += 1;
                self.state
                    .metrics_unread_why
                    .get_or_insert_with(|| said::text(&error.to_string()).into());
                return None;
            }
        };
        for renewed in self.state.renewal.see(asked, answered, &metrics) {
            self.sink.record(renewed);
        }
        for (topic, window) in windows(&metrics) {
            let (oldest, head, budget) = (window.oldest, window.head, window.budget);
            self.sink.record(Record::Window { asked, answered, topic, oldest, head, budget });
        }
        if self.state.first_metrics.is_none() {
            self.observer.metrics("before", &metrics);
            self.state.first_metrics = Some(metrics.clone());
        }
        if answered >= self.state.metrics_kept_due {
            self.state.metrics_kept_due = answered + micros(METRICS_KEPT_EVERY);
            self.observer.metrics(&format!("during-{:04}", answered / 1_000_000), &metrics);
        }
        self.state.last_metrics = Some(metrics.clone());
        Some(metrics)
    }

    /// Notices a target that went away, reads its metrics when they are due, proves faults.
    async fn look(&mut self, proving: &mut Vec<Proving<'a>>, outcomes: &mut [FaultOutcome]) {
        self.notice_loss();
        let now = self.clock.now();
        if now < self.state.metrics_due {
            return;
        }
        let every = if proving.is_empty() { METRICS_EVERY } else { METRICS_EVERY_PROVING };
        self.state.metrics_due = now + micros(every);
        if self.read_metrics().await.is_some() {
            self.prove(proving, outcomes, false);
        }
    }

    fn notice_loss(&mut self) {
        if self.state.lost.is_none()
            && let Some(why) = self.reference.as_mut().and_then(Reference::ended)
        {
            self.state.lost = Some(why.clone());
            self.state.lost_at = Some(self.clock.now());
            self.say(EventKind::TargetLost { why });
        }
    }

    /// Asks the last metrics what became of faults; stops asking when all of one is seen, or its
    /// time is over.
    fn prove(
        &mut self,
        proving: &mut Vec<Proving<'a>>,
        outcomes: &mut [FaultOutcome],
        last_chance: bool,
    ) {
        let Some(after) = self.state.last_metrics.clone() else { return };
        let now = self.clock.now();
        let answers_after = self.answers();
        let mut done = Vec::new();
        proving.retain_mut(|entry| {
            let sides = Sides {
                before: &entry.before,
                after: &after,
                answers_before: entry.answers_before.clone(),
                answers_after: answers_after.clone(),
                planned_together: entry.planned_together,
            };
            let proof = fault::of(&entry.fault.kind).prove(entry.fault, &sides);
            let outcome = &mut outcomes[usize::from(entry.fault.id)];
            // A gauge goes back: the most that was ever seen is what was hit.
            outcome.effective = outcome.effective.max(proof.effective);
            if proof.effective > Some(0) {
                entry.first_seen.get_or_insert(now);
            }
            let after_s = |at: Micros| {
                Duration::from_micros(at.saturating_sub(entry.fault.at_us)).as_secs_f64()
            };
            let complete = outcome.effective >= Some(outcome.planned);
            let over = complete || now >= entry.until || last_chance;
            if over {
                outcome.proof = match entry.first_seen {
                    Some(first) if entry.fault.duration_us.is_some() => format!(
                        "{}; first after {:.1} s, {} after {:.1} s",
                        proof.how,
                        after_s(first),
                        if complete { "all" } else { "the last look" },
                        after_s(now)
                    ),
                    _ => proof.how,
                };
                let (id, effective, how) = (outcome.id, outcome.effective, outcome.proof.clone());
                done.push(EventKind::FaultProven { id, effective, how });
            }
            !over
        });
        done.into_iter().for_each(|event| self.say(event));
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
    pub async fn drain<T: Send + 'static>(
        &mut self,
        publisher: JoinHandle<(T, Vec<u32>)>,
        workers: &[String],
        stage: &watch::Sender<Stage>,
    ) -> (bool, Option<T>) {
        let cut_short = self.state.interrupted || self.state.lost.is_some();
        if cut_short {
            // The clients may go at once: nothing that is missing now proves anything.
            stage.send_replace(Stage::Retire);
        }
        let ended = join(publisher).await;
        self.say(EventKind::DrainBegan);
        if self.state.lost.is_none() {
            let clock = self.clock;
            let mut start = clock.now();
            let sink = &mut self.sink;
            let ended = |answer: Answer| {
                let at = clock.now();
                sink.record(answer.record(Request::StopWorker, None, start, at));
                start = at;
            };
            let (plan, target) = (self.plan, self.target);
            let remaining = publisher::stop_workers(plan, target, &self.http, workers, ended).await;
            for (worker, why) in remaining {
                self.say(EventKind::WorkerRemains { worker, why: why.to_string() });
            }
        }
        let Some((sink, acknowledged)) = ended else { return (false, None) };
        let drained = !cut_short && self.runs_dry(&acknowledged).await;
        self.say(EventKind::DrainEnded { drained });
        if let Some(metrics) = self.read_metrics().await {
            self.observer.metrics("after", &metrics);
        }
        (drained, Some(sink))
    }

    async fn runs_dry(&mut self, acknowledged: &[u32]) -> bool {
        let begun = self.clock.now();
        let until = begun + micros(self.plan.oracle.drain_within);
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
            self.probe.sample(&mut self.sink);
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
            let quiet = fresh && self.clock.now() >= changed_at + micros(QUIET_FOR);
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
        let topics = (0_u8..).take(khala_wire::topic::KNOWN.len());
        topics.map(|id| self.heads.seq(TopicId(id))).collect()
    }

    /// What the target's metrics say against what the clients saw.
    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |name: &str, message: String, count: u64| {
            findings.push(Finding { name: name.to_owned(), message, count });
        };
        if let Err(why) = &self.build {
            find("target_build_unknown", why.clone(), 1);
        }
        if self.state.metrics_unread > 0 {
            let why = self.state.metrics_unread_why.as_deref().unwrap_or("for an unknown reason");
            let message = format!("the target's fan-out metrics could not be read: {why}");
            find("metrics_unreadable", message, self.state.metrics_unread);
        }
        if let (Some(first), Some(last)) = (&self.state.first_metrics, &self.state.last_metrics)
            && self.plan.target.exclusive
            // The counts of another process began anew.
            && first.process_id == last.process_id
        {
            let refused = |metrics: &FanoutMetrics| -> u64 {
                let rows = metrics.topic_windows.iter();
                rows.map(|row| {
                    row.stale_cursor_budget_exceeded_count + row.stale_cursor_retention_floor_count
                })
                .sum()
            };
            let counted = refused(last).saturating_sub(refused(first));
            let seen = self.heads.stale();
            if counted != seen {
                let message = format!(
                    "the target counted {counted} stale cursors, the clients were told of {seen}"
                );
                find("metrics_disagree", message, counted.abs_diff(seen));
            }
        }
        findings
    }

    /// Stops what is left and puts the facts together; also returns the conductor's sink.
    pub async fn finish(
        mut self,
        run_id: String,
        started_at: String,
        utc_now: fn() -> String,
        faults: Vec<FaultOutcome>,
        end: End,
    ) -> (RunFacts, S) {
        self.probe.sample(&mut self.sink);
        let findings = self.findings();
        let (kind, defects) = match &self.plan.target.kind {
            TargetKind::Reference { defects, .. } => ("reference", defects.clone()),
            TargetKind::Url { .. } => ("url", Vec::new()),
        };
        let generator = Generator {
            worker_threads: self.plan.generator.worker_threads.max(1),
            descriptors_limit: self.descriptors_limit,
            publishes_planned: self.schedule.publishes.len() as u64,
            publishes_begun: self.begun.load(Ordering::Relaxed),
            unprobed: self.probe.unprobed(),
            ..Generator::default()
        };
        if let Some(reference) = self.reference.take() {
            reference.stop().await;
        }
        let facts = RunFacts {
            run_id,
            started_at,
            ended_at: utc_now(),
            duration_us: end.at,
            interrupted: self.state.interrupted,
            drained: end.drained,
            target: TargetFacts {
                url: self.target.base_url.clone(),
                kind: kind.to_owned(),
                defects,
                build: self.build.ok().flatten(),
                lost: self.state.lost,
                lost_at_us: self.state.lost_at,
            },
            faults,
            generator,
            findings,
            events_dropped: 0,
            unfinished: None,
        };
        (facts, self.sink)
    }
}
