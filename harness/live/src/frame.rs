//! A picture of a run at a moment: what the terminal, the page and the metrics show.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use khala_engine::observe::{Event, EventKind, Progress};
use khala_evidence::judge::Unit;
use khala_evidence::render::report_html::so_far::{self, Curves, Returning, Stretch};
use khala_evidence::standing::{Coarse, Standing};
use khala_plan::Plan;
use khala_plan::metric::{MetricId, MetricKind};
use khala_plan::model::ActsOn;
use khala_plan::schedule::Schedule;
use serde::Serialize;

use crate::gates::{self, GateSoFar};
use crate::{curves, words};

/// Lines that a frame has, the latest.
const LINES_MAX: usize = 40;
/// Characters of a line.
const LINE_MAX: usize = 400;
/// Faults that a frame has: those around the next one that is due.
const FAULTS_MAX: usize = 60;
/// Over how many seconds rates are told.
const RATE_OVER: usize = 5;

/// A picture of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Frame {
    /// The scenario.
    pub scenario: String,
    /// The profile, if any.
    pub profile: Option<String>,
    /// Id of the run.
    pub run_id: String,
    /// Where its evidence will be.
    pub evidence: String,
    /// Seconds since the start.
    pub elapsed_s: u64,
    /// Seconds of the declared phases; the drain comes after.
    pub planned_s: u64,
    /// Seconds that the drain may take.
    pub drain_s: u64,
    /// The phase; empty before the first.
    pub phase: String,
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// Clients planned, with a socket, and with replay complete.
    pub clients: Clients,
    /// Publishes begun.
    pub published: u64,
    /// Updates delivered and judged.
    pub deliveries: u64,
    /// Connects begun.
    pub connects: u64,
    /// Publishes begun a second, of late.
    pub published_per_s: f64,
    /// Connects begun a second, of late.
    pub connects_per_s: f64,
    /// Updates a second, of late.
    pub deliveries_per_s: f64,
    /// Violations of all rules.
    pub violations: u64,
    /// Those of each rule that has any.
    pub rules: Vec<RuleSoFar>,
    /// Times that clients saw seqs skipped, which is judged at the end.
    pub skips: u64,
    /// How each gate stands.
    pub gates: Vec<GateSoFar>,
    /// Faults of the whole plan.
    pub faults_planned: u64,
    /// Some of them.
    pub faults: Vec<FaultSoFar>,
    /// Figures by metric and surface.
    pub figures: Vec<Figure>,
    /// What happened of late, a line each.
    pub lines: Vec<String>,
}

/// A phase of the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// When it begins, in seconds.
    pub start_s: f64,
    /// When it ends, in seconds.
    pub end_s: f64,
}

/// Clients at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clients {
    /// Of the plan.
    pub planned: u64,
    /// With a socket.
    pub online: u64,
    /// With replay complete.
    pub live: u64,
}

/// Violations of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleSoFar {
    /// The rule.
    pub rule: String,
    /// How many.
    pub violations: u64,
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultState {
    /// It is not due yet.
    #[default]
    Planned,
    /// It was due, and nothing has proven it yet.
    Due,
    /// It is known whom it hit.
    Proven,
    /// It could not be carried out, or not be proven.
    Failed,
}

impl FaultState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Planned, Self::Due, Self::Proven, Self::Failed];

    /// The name on the page and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Due => "due",
            Self::Proven => "proven",
            Self::Failed => "failed",
        }
    }
}

/// A fault so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FaultSoFar {
    /// Its id.
    pub id: u16,
    /// Its type.
    pub kind: String,
    /// When it is due, in seconds.
    pub at_s: f64,
    /// Whom it is to hit: clients, or 1 for the target.
    pub planned: u64,
    /// What became of it.
    pub state: FaultState,
    /// Whom it hit.
    pub effective: Option<u64>,
    /// Of one that waits for a hand, whether it is switched on.
    pub switch: Option<bool>,
    /// What is owed to take it back, until that is done.
    pub owed: Option<String>,
}

/// A metric's figures over the whole run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The metric.
    pub metric: &'static str,
    /// The surface; none where no client is concerned.
    pub surface: Option<&'static str>,
    /// What the figures are in.
    pub unit: Unit,
    /// Median; none where the sample that decides it had not ended.
    pub p50: Option<u64>,
    /// 95th percentile.
    pub p95: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// The largest.
    pub max: Option<u64>,
    /// Samples.
    pub n: u64,
}

/// A frame as the page draws it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Picture {
    /// The frame.
    #[serde(flatten)]
    pub frame: Frame,
    /// Part of the data that the report will hold, and in its shape.
    pub data: serde_json::Value,
    /// The rows of the gates, as the report's table has them.
    pub gate_rows: String,
    /// The charts that are none over the run's seconds.
    pub curves: Curves,
}

/// Which run it is.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// When it began: UTC, RFC 3339.
    pub started_at: String,
    /// Where its evidence will be.
    pub evidence: String,
}

/// Takes what an observer is told, and makes frames of it.
#[derive(Debug)]
pub struct Watch {
    plan: Arc<Plan>,
    schedule: Arc<Schedule>,
    standing: Arc<Mutex<Standing>>,
    run: Run,
    /// Who is to be cut off by plan.
    returning: Vec<Returning>,
    progress: Progress,
    faults: Vec<FaultSoFar>,
    lines: VecDeque<String>,
    /// Seconds, published, deliveries and connects, the latest last.
    recent: VecDeque<[u64; 4]>,
}

impl Watch {
    /// Before the start of a run.
    #[must_use]
    pub fn new(
        plan: Arc<Plan>,
        schedule: Arc<Schedule>,
        standing: Arc<Mutex<Standing>>,
        run: Run,
    ) -> Self {
        // In the order of the schedule's ids.
        let by_hand = plan.phases.iter().flat_map(|phase| &phase.faults).map(|fault| fault.by_hand);
        let faults = schedule.faults.iter().zip(by_hand).map(|(fault, by_hand)| FaultSoFar {
            switch: by_hand.then_some(false),
            id: fault.id,
            kind: fault.kind.name().to_owned(),
            at_s: Duration::from_micros(fault.at_us).as_secs_f64(),
            planned: match fault.kind.acts_on() {
                ActsOn::Clients => fault.targets.len() as u64,
                ActsOn::Target => 1,
            },
            ..FaultSoFar::default()
        });
        Self {
            faults: faults.collect(),
            returning: curves::planned(&plan, &schedule),
            progress: Progress { clients: schedule.arrivals.len() as u64, ..Progress::default() },
            plan,
            schedule,
            standing,
            run,
            lines: VecDeque::new(),
            recent: VecDeque::new(),
        }
    }

    /// Something happened.
    pub fn event(&mut self, event: &Event) {
        if let Some(mut line) = words::line(event) {
            if let Some((end, _)) = line.char_indices().nth(LINE_MAX) {
                line.truncate(end);
            }
            self.lines.push_back(line);
            if self.lines.len() > LINES_MAX {
                self.lines.pop_front();
            }
        }
        let (id, change): (u16, fn(&mut FaultSoFar, &EventKind)) = match &event.kind {
            EventKind::FaultDue { id, .. } => (*id, |fault, _| fault.state = FaultState::Due),
            EventKind::FaultActed { id, failed: Some(_) } => {
                (*id, |fault, _| fault.state = FaultState::Failed)
            }
            EventKind::FaultProven { id, .. } => (*id, |fault, kind| {
                let EventKind::FaultProven { effective, .. } = kind else { return };
                fault.effective = *effective;
                let is_known =
                    effective.is_some_and(|hit| hit > 0) && fault.state != FaultState::Failed;
                fault.state = if is_known { FaultState::Proven } else { FaultState::Failed };
            }),
            EventKind::FaultSwitched { id, .. } => (*id, |fault, kind| {
                let EventKind::FaultSwitched { on, .. } = kind else { return };
                fault.switch = Some(*on);
            }),
            EventKind::UndoOwed { id, .. } => (*id, |fault, kind| {
                let EventKind::UndoOwed { what, .. } = kind else { return };
                fault.owed = Some(what.chars().take(LINE_MAX).collect());
            }),
            EventKind::UndoDone { id, failed: None } => (*id, |fault, _| fault.owed = None),
            _ => return,
        };
        if let Some(fault) = self.faults.iter_mut().find(|fault| fault.id == id) {
            change(fault, &event.kind);
        }
    }

    /// Once a second: the picture of now.
    pub fn progress(&mut self, progress: &Progress) -> Frame {
        self.progress = progress.clone();
        let totals = self.look(|standing| *standing.totals());
        self.recent.push_back([
            progress.elapsed_s,
            progress.published,
            totals.deliveries,
            totals.connects,
        ]);
        if self.recent.len() > RATE_OVER + 1 {
            self.recent.pop_front();
        }
        self.frame()
    }

    /// The picture of now, between two seconds.
    #[must_use]
    pub fn now(&self) -> Frame {
        self.frame()
    }

    /// What it comes to so far.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.look(Standing::clone)
    }

    /// Who adds to it waits meanwhile.
    fn look<T>(&self, look: impl FnOnce(&Standing) -> T) -> T {
        look(&self.standing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the page draws beside a frame.
    #[must_use]
    pub fn picture(&self, frame: Frame) -> Picture {
        let rows: Vec<_> = frame.gates.iter().map(GateSoFar::row).collect();
        let curves =
            self.look(|standing| curves::so_far(&self.returning, &self.schedule, standing, &rows));
        Picture { gate_rows: so_far::gate_rows(&rows), data: self.data(false), curves, frame }
    }

    /// Part of the data that the report will hold: of the seconds that may still change, or of all. The last second
    /// is not over, and what is of the one before is still on its way.
    #[must_use]
    pub fn data(&self, all: bool) -> serde_json::Value {
        let until = u32::try_from(self.progress.elapsed_s.saturating_sub(1)).unwrap_or(u32::MAX);
        let seconds = self.look(|standing| standing.seconds().before(until, all));
        so_far::data(&self.run.started_at, &seconds, &self.stretches())
    }

    /// Phases, and the latest of the faults that were carried out.
    fn stretches(&self) -> Vec<Stretch> {
        let s = |us| Duration::from_micros(us).as_secs_f64();
        let phases = self.schedule.phases.iter().map(|phase| Stretch {
            name: phase.name.clone(),
            from_s: s(phase.start_us),
            to_s: s(phase.end_us),
            fault: false,
        });
        let planned = self.schedule.faults.iter().zip(&self.faults);
        let there = [FaultState::Due, FaultState::Proven];
        let due: Vec<_> = planned.filter(|(_, so_far)| there.contains(&so_far.state)).collect();
        let faults = due.iter().rev().take(FAULTS_MAX).rev().map(|(fault, _)| Stretch {
            name: format!("#{} {}", fault.id, fault.kind.name()),
            from_s: s(fault.at_us),
            to_s: s(fault.at_us + fault.lasts_us().unwrap_or(0)),
            fault: true,
        });
        phases.chain(faults).collect()
    }

    /// The whole plan's faults.
    #[must_use]
    pub fn faults(&self) -> &[FaultSoFar] {
        &self.faults
    }

    fn frame(&self) -> Frame {
        let standing = self.standing();
        let Progress { elapsed_s, planned_s, clients, online, live, published, .. } = self.progress;
        let totals = *standing.totals();
        let now = self.recent.back().copied().unwrap_or_default();
        let before = self.recent.front().copied().unwrap_or_default();
        let rate = |of: usize| rate(now[of], before[of], now[0] - before[0]);
        let rules = standing
            .rules()
            .iter()
            .map(|(rule, &violations)| RuleSoFar { rule: rule.name().to_owned(), violations });
        let phases = self.schedule.phases.iter().map(|phase| Phase {
            name: phase.name.clone(),
            start_s: Duration::from_micros(phase.start_us).as_secs_f64(),
            end_s: Duration::from_micros(phase.end_us).as_secs_f64(),
        });
        Frame {
            scenario: self.plan.name.clone(),
            profile: self.plan.profile.clone(),
            run_id: self.run.id.clone(),
            evidence: self.run.evidence.clone(),
            elapsed_s,
            planned_s,
            drain_s: self.plan.oracle.drain_within.as_secs(),
            phase: self.progress.phase.clone(),
            phases: phases.collect(),
            clients: Clients { planned: clients, online, live },
            published,
            deliveries: totals.deliveries,
            connects: totals.connects,
            published_per_s: rate(1),
            connects_per_s: rate(3),
            deliveries_per_s: rate(2),
            violations: standing.violations(),
            rules: rules.collect(),
            skips: standing.skips(),
            gates: gates::so_far(&self.plan, &self.schedule, &standing, elapsed_s * 1_000_000),
            faults_planned: self.faults.len() as u64,
            faults: self.faults_around_now(),
            figures: figures(&standing, self.schedule.phases.len()),
            lines: self.lines.iter().cloned().collect(),
        }
    }

    fn faults_around_now(&self) -> Vec<FaultSoFar> {
        let planned = |fault: &FaultSoFar| fault.state == FaultState::Planned;
        let next = self.faults.iter().position(planned).unwrap_or(self.faults.len());
        let from =
            next.saturating_sub(FAULTS_MAX / 2).min(self.faults.len().saturating_sub(FAULTS_MAX));
        self.faults.iter().skip(from).take(FAULTS_MAX).cloned().collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(now: u64, before: u64, seconds: u64) -> f64 {
    if seconds == 0 { 0.0 } else { now.saturating_sub(before) as f64 / seconds as f64 }
}

fn figures(standing: &Standing, phases: usize) -> Vec<Figure> {
    let phases: Vec<u16> = (0_u16..).take(phases).collect();
    let mut keys: Vec<_> =
        standing.distributions().keys().map(|key| (key.metric, key.surface)).collect();
    keys.sort_unstable();
    keys.dedup();
    let figures = keys.into_iter().map(|(metric, surface)| {
        // A metric without a surface has no cell with one.
        let sample: Coarse = standing.distribution(metric, &phases, surface);
        Figure {
            metric: metric.name(),
            surface: surface.map(|surface| surface.name()),
            unit: unit(metric),
            p50: sample.percentile(50.0),
            p95: sample.percentile(95.0),
            p99: sample.percentile(99.0),
            max: sample.max(),
            n: sample.len(),
        }
    });
    figures.collect()
}

fn unit(metric: MetricId) -> Unit {
    if metric.kind() == MetricKind::Latency { Unit::Micros } else { Unit::Count }
}
