//! What a plan will take and give, before it is run: what `check` prints.
//!
//! Arithmetic on the plan and its schedule. It promises nothing: whether a host can open so many
//! sockets is found out by the engine, how many samples there were is counted by the evidence.

mod applies;
mod bounds;
mod json;
mod places;
mod presence;
mod render;
mod samples;
mod strike;

use std::time::Duration;

pub use self::json::{schema as check_schema, unread as check_unread};
use crate::fault::Befalls;
use crate::gate::power::{self, Needs};
use crate::model::{ActsOn, Arrival, Gate, Load, Mint, Objective, Plan, TargetKind};
use crate::read::Diagnostics;
use crate::schedule::{PlannedFault, Schedule};
use crate::stability::{Allowance, Consequence, Incident, Limit, LimitFrom};
use crate::surface::Surface;
use crate::units::micros;

pub use applies::not_applicable;
pub use bounds::{Foregone, NeverKept, Why, never_kept};
pub use places::{Span, chosen_cursors};
pub(crate) use presence::LIVE_WITHIN;
pub(crate) use samples::returned;
pub use samples::{Expected, expected};
pub use strike::{
    BATCH_BYTES, FRAME_BYTES, STATE_PAYLOAD_BYTES, STRIKE_EVERY, Strike, third_strike,
};

/// Publish limit of the topic class that workers feed, per second (contract, section 4).
pub(crate) const PUBLISH_LIMIT_PER_S: f64 = 240.0;
/// Ephemeral ports of one source address to one target (Linux's default range, 32768 to 60999).
pub const PORTS_PER_SOURCE_ADDRESS: u64 = 28_232;
/// How long a closed connection keeps its port (Linux's TIME_WAIT, which cannot be changed).
pub const TIME_WAIT: Duration = Duration::from_secs(60);
/// Connections to a control service that one worker thread may have open.
pub const MINTS_PER_WORKER_THREAD: u64 = 512;
/// Sockets beside the clients' own (bad tokens, commands) that a worker thread has open at once.
pub const ASIDES_PER_WORKER_THREAD: u64 = 32;
/// How long the token of the fault `token` with `kind = "expires"` is good, where the harness signs it.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(3);
/// The longest life of a token that the fault waits for, where the control service mints it.
pub const EXPIRES_AFTER_MAX: Duration = Duration::from_secs(30);
/// For how long acknowledged events are waited for by a client whose cursor beyond head was accepted.
const FUTURE_WATCH: Duration = Duration::from_secs(2);

/// How long a client stays subscribed whose cursor beyond head was accepted: what is acknowledged in the
/// first part is due by the end of the settle bound that follows.
#[must_use]
pub fn future_stay(settle_within: Duration) -> Duration {
    settle_within + FUTURE_WATCH
}

/// Descriptors set aside for publishers and probes.
pub const PUBLISHERS_AND_PROBES: u64 = 64;
/// Descriptors set aside for files, pipes and the runtime's own.
pub const FILES: u64 = 64;

/// Assumed memory of the harness per client, in bytes: socket buffers of the codec, the client's
/// state, its share of the histograms. An assumption until a capacity run has measured it.
pub const HARNESS_BYTES_PER_CLIENT: u64 = 64 * 1024;
/// Assumed memory of the embedded reference runtime per client, in bytes. An assumption likewise.
pub const REFERENCE_BYTES_PER_CLIENT: u64 = 64 * 1024;
/// Assumed memory of the harness per planned publish, in bytes: schedule, ledger, digest.
pub const BYTES_PER_PUBLISH: u64 = 512;
/// Assumed memory of a harness without clients, in bytes.
pub const BASE_BYTES: u64 = 64 * 1024 * 1024;

/// Share of the samples needed that a plan should make beyond them.
const SPARE_SHARE: f64 = 0.01;

/// Each update is pushed twice: `sync:update_batch` and `sync:frame` (contract, section 3).
const PUSHES_PER_UPDATE: f64 = 2.0;

/// What a plan will take and give.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The phases in order, ramp and drain included.
    pub phases: Vec<PhaseSpan>,
    /// From the first arrival to the end of the drain, at most.
    pub total: Duration,
    /// Clients that are connected at once.
    pub clients_peak: u32,
    /// Clients over the whole run, whoever is there at once.
    pub clients_in_all: u32,
    /// The cohorts: name, surface, clients.
    pub cohorts: Vec<(String, Surface, u32)>,
    /// Descriptors that the harness plans for.
    pub descriptors_harness: u64,
    /// Descriptors that the target needs for this run.
    pub descriptors_target: u64,
    /// Source ports in use at once, those in TIME_WAIT included.
    pub ports_needed: u64,
    /// Source ports that the source addresses have.
    pub ports_available: u64,
    /// Memory of the harness, in bytes; rests on assumed figures.
    pub memory_harness_bytes: u64,
    /// Memory of the embedded runtime, in bytes; `None` for another target.
    pub memory_reference_bytes: Option<u64>,
    /// Publishes in all.
    pub publishes: u64,
    /// Mean command rate of the loads, per second, in the busiest phase.
    pub commands_per_s: f64,
    /// Frames pushed to clients, per second, in the busiest phase, while every update comes in a batch of its own.
    pub frames_per_s: f64,
    /// The objectives, gate by gate.
    pub objectives: Vec<ObjectiveEstimate>,
    /// For how long the target may answer nobody, and whose word that is.
    pub absence: (Duration, LimitFrom),
    /// The limits of what nobody planned.
    pub limits: Vec<LimitEstimate>,
}

/// The limit of a kind of incident that nobody planned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitEstimate {
    /// The kind.
    pub incident: Incident,
    /// The limit.
    pub limit: Limit,
    /// What it comes to in a run that takes all its time; `None` of a share of occasions that nobody
    /// can count beforehand.
    pub count: Option<u64>,
}

/// A phase on the time line.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseSpan {
    /// Its name.
    pub name: String,
    /// From the start of the run.
    pub start: Duration,
    /// From the start of the run.
    pub end: Duration,
    /// Its faults.
    pub faults: Vec<FaultInstant>,
}

/// A fault on the time line.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultInstant {
    /// Its number, from 0 over all phases, by which messages and reports call it.
    pub id: u16,
    /// From the start of the run.
    pub at: Duration,
    /// How long it lasts, if it is no instant.
    pub duration: Option<Duration>,
    /// Its type.
    pub name: &'static str,
    /// Clients that it hits; `None` when it acts on the target.
    pub targets: Option<usize>,
    /// Of a slow reader, when it is expected to be evicted: see [`third_strike`].
    pub slow: Option<Slow>,
    /// Commands of the user's that it runs: what each is for, and its words.
    pub commands: Vec<(&'static str, Vec<String>)>,
    /// What may follow from them, and until when, from the start of the run.
    pub causes: Option<(Vec<Consequence>, Duration)>,
}

/// What is expected of a slow reader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slow {
    /// It is evicted.
    Struck(Strike),
    /// The traffic does not get it evicted before the fault ends.
    Spared,
}

/// What can be expected of an objective.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveEstimate {
    /// The gate's name.
    pub gate: String,
    /// Whether the gate is judged.
    pub judged: bool,
    /// Whether it decides nothing.
    pub advisory: bool,
    /// The metric's name.
    pub metric: &'static str,
    /// The claim as written.
    pub claim: String,
    /// Evidence expected for each verdict: one, or one for each surface.
    pub expected: Vec<(Option<&'static str>, Expected)>,
    /// Evidence without which no verdict can be reached.
    pub needs: Needs,
    /// Seconds with samples that it takes beside, where it goes by seconds.
    pub seconds_needed: Option<u64>,
    /// `min_samples` of the objective.
    pub min_samples: u64,
    /// Why verdicts among them are not applicable: their surface, if they have one, and the reason.
    pub not_applicable: Vec<(Option<&'static str>, String)>,
    /// Whether the scenario says that it must apply.
    pub must_apply: bool,
    /// What is known of verdicts among them already: their surface, if they have one, and what.
    pub foregone: Vec<(Option<&'static str>, Foregone)>,
}

impl Estimate {
    /// Whether a run would be HOLD whatever the target does: an objective that counts cannot reach a verdict.
    #[must_use]
    pub fn is_undecidable(&self) -> bool {
        let counts = |it: &&ObjectiveEstimate| it.judged && !it.advisory;
        self.objectives.iter().filter(counts).any(|objective| {
            let must = objective.must_apply && !objective.not_applicable.is_empty();
            must || objective.unreachable().next().is_some()
        })
    }
}

impl Estimate {
    /// Whether a run would say nothing of the target: some objective that counts has its verdict by the plan
    /// alone, one way or the other.
    #[must_use]
    pub fn is_foregone(&self) -> bool {
        let counts = |it: &&ObjectiveEstimate| it.judged && !it.advisory;
        self.objectives.iter().filter(counts).any(|objective| !objective.foregone.is_empty())
    }
}

impl ObjectiveEstimate {
    /// What is known of the verdict of a surface already, if anything is.
    #[must_use]
    pub fn foregone(&self, surface: Option<&str>) -> Option<&Foregone> {
        let found = self.foregone.iter().find(|(whose, _)| *whose == surface);
        found.map(|(_, what)| what)
    }

    /// The verdicts that cannot be reached with so little evidence: their surface, if they have
    /// one, and what is expected.
    pub fn unreachable(&self) -> impl Iterator<Item = &(Option<&'static str>, Expected)> {
        let reaches = |(surface, expected): &(Option<&'static str>, Expected)| {
            self.reaches(*expected) || self.why_not_applicable(*surface).is_some()
        };
        self.expected.iter().filter(move |verdict| !reaches(verdict))
    }

    /// Why the verdict of a surface is not applicable, if it is not.
    #[must_use]
    pub fn why_not_applicable(&self, surface: Option<&str>) -> Option<&str> {
        let found = self.not_applicable.iter().find(|(whose, _)| *whose == surface);
        found.map(|(_, why)| why.as_str())
    }

    /// Whether the samples suffice by so little that a few which do not come leave it undecided: what the generator
    /// could not measure for its own stalls is no sample, nor is what a client got that came back on its own.
    fn has_none_to_spare(&self, expected: Expected) -> bool {
        let (
            Needs::Samples(needed),
            Expected::Samples(samples) | Expected::SamplesOver(samples, _),
        ) = (self.needs, expected)
        else {
            return false;
        };
        let needed = needed.max(self.min_samples);
        needed > 1 && samples < needed as f64 * (1.0 + SPARE_SHARE)
    }

    fn reaches(&self, expected: Expected) -> bool {
        match (self.needs, expected) {
            (Needs::Never, _) => false,
            (Needs::Seconds(needed), Expected::Seconds(expected)) => expected >= needed,
            (Needs::Samples(needed), Expected::Samples(expected)) => {
                expected >= needed.max(self.min_samples) as f64
            }
            (Needs::Samples(needed), Expected::SamplesOver(expected, seconds)) => {
                expected >= needed.max(self.min_samples) as f64
                    && self.seconds_needed.is_none_or(|needed| seconds >= needed)
            }
            (_, Expected::OfOthers) => true,
            // A count of something that is measured over time, or the other way round: any will do.
            (
                _,
                Expected::Seconds(amount)
                | Expected::Samples(amount)
                | Expected::SamplesOver(amount, _),
            ) => amount > 0.0,
        }
    }
}

/// File descriptors that the harness needs for a plan.
#[must_use]
pub fn planned_descriptors(plan: &Plan) -> u64 {
    let threads = u64::from(plan.generator.worker_threads);
    let mints = match plan.auth.mint {
        Mint::Control { .. } => MINTS_PER_WORKER_THREAD * threads,
        Mint::Hs256 { .. } | Mint::Static { .. } => 0,
    };
    let mut faults = plan.phases.iter().flat_map(|phase| &phase.faults);
    let asides = if faults.any(|fault| fault.kind.opens_asides()) {
        ASIDES_PER_WORKER_THREAD * threads
    } else {
        0
    };
    let clients = u64::from(plan.fleet.clients_peak());
    clients + mints + asides + fault_sockets(plan) + PUBLISHERS_AND_PROBES + FILES
}

/// Source ports that a plan has in use at once, those in TIME_WAIT included, and those that its source addresses
/// have.
#[must_use]
pub fn source_ports(plan: &Plan, schedule: &Schedule) -> (u64, u64) {
    let addresses = plan.generator.source_addresses.len() as u64;
    let needed = planned_descriptors(plan) - FILES + lingering(schedule);
    (needed, addresses * PORTS_PER_SOURCE_ADDRESS)
}

/// Sockets of faults on the target, all of them open at once.
fn fault_sockets(plan: &Plan) -> u64 {
    let faults = plan.phases.iter().flat_map(|phase| &phase.faults);
    faults.map(|fault| fault.kind.sockets()).sum()
}

impl Estimate {
    /// The estimate of a plan and its schedule.
    #[must_use]
    pub fn of(plan: &Plan, schedule: &Schedule) -> Self {
        let clients = u64::from(plan.fleet.clients_peak());
        let publishes = schedule.publishes.len() as u64;
        let reference = matches!(plan.target.kind, TargetKind::Reference { .. });
        let (ports_needed, ports_available) = source_ports(plan, schedule);
        let last = schedule.phases.last().map_or(0, |phase| phase.end_us);
        Self {
            phases: time_line(plan, schedule),
            total: Duration::from_micros(last),
            clients_peak: u32::try_from(schedule.clients_peak()).unwrap_or(u32::MAX),
            clients_in_all: u32::try_from(schedule.arrivals.len()).unwrap_or(u32::MAX),
            cohorts: plan
                .fleet
                .cohorts
                .iter()
                .map(|cohort| (cohort.name.clone(), cohort.surface, cohort.clients))
                .collect(),
            descriptors_harness: planned_descriptors(plan),
            descriptors_target: clients + fault_sockets(plan) + PUBLISHERS_AND_PROBES + FILES,
            ports_needed,
            ports_available,
            memory_harness_bytes: BASE_BYTES
                + clients * HARNESS_BYTES_PER_CLIENT
                + publishes * BYTES_PER_PUBLISH,
            memory_reference_bytes: reference.then_some(clients * REFERENCE_BYTES_PER_CLIENT),
            publishes,
            commands_per_s: busiest(plan, |load| load.rate_per_s),
            frames_per_s: frames_per_s(plan),
            objectives: objectives(plan, schedule),
            absence: (plan.stability.absence, plan.stability.absence_from),
            limits: limits(plan, schedule, Duration::from_micros(last)),
        }
    }

    /// The estimate as `check` prints it; no colour, a newline at the end of each line.
    #[must_use]
    pub fn render(&self, plan: &Plan) -> String {
        render::text(self, plan)
    }

    /// The estimate for machines, with the warnings of the load and why a run would be refused, of which file each:
    /// `check --json`.
    ///
    /// # Errors
    /// When it cannot be serialised, which is a bug.
    pub fn to_json(
        &self,
        plan: &Plan,
        warnings: &Diagnostics,
        errors: &[(String, String)],
    ) -> Result<String, serde_json::Error> {
        json::text(self, plan, warnings, errors)
    }
}

fn time_line(plan: &Plan, schedule: &Schedule) -> Vec<PhaseSpan> {
    let spans = schedule.phases.iter().enumerate().map(|(index, phase)| PhaseSpan {
        name: phase.name.clone(),
        start: Duration::from_micros(phase.start_us),
        end: Duration::from_micros(phase.end_us),
        faults: schedule
            .faults
            .iter()
            .filter(|fault| usize::from(fault.phase) == index)
            .map(|fault| FaultInstant {
                id: fault.id,
                at: Duration::from_micros(fault.at_us),
                duration: fault.duration_us.map(Duration::from_micros),
                name: fault.kind.name(),
                targets: (fault.kind.acts_on() == ActsOn::Clients).then_some(fault.targets.len()),
                slow: slow(plan, schedule, fault),
                commands: commands(fault),
                causes: causes(fault),
            })
            .collect(),
    });
    spans.collect()
}

fn commands(fault: &PlannedFault) -> Vec<(&'static str, Vec<String>)> {
    let commands = fault.kind.commands().into_iter();
    commands.map(|(part, words)| (part, words.to_vec())).collect()
}

fn causes(fault: &PlannedFault) -> Option<(Vec<Consequence>, Duration)> {
    let Befalls { after, causes } = fault.kind.befalls()?;
    let until = Duration::from_micros(fault.at_us + fault.duration_us.unwrap_or(0));
    Some((causes?, until + after))
}

fn slow(plan: &Plan, schedule: &Schedule, fault: &PlannedFault) -> Option<Slow> {
    fault.kind.slowness()?;
    Some(third_strike(plan, schedule, fault).map_or(Slow::Spared, Slow::Struck))
}

/// The most that the loads of one phase make together, of what `of_load` says each makes.
fn busiest(plan: &Plan, of_load: impl Fn(&Load) -> f64) -> f64 {
    let in_phase =
        |name: &str| plan.loads.iter().filter(|load| load.runs_in(name)).map(&of_load).sum::<f64>();
    plan.phases.iter().map(|phase| in_phase(&phase.name)).fold(0.0, f64::max)
}

/// Ports of connections that the harness closed itself and that wait out TIME_WAIT at the worst
/// moment.
fn lingering(schedule: &Schedule) -> u64 {
    let by_fault = schedule
        .faults
        .iter()
        .map(|fault| (fault.at_us, fault.kind.closes_in_order() * fault.targets.len() as u64));
    let closes: Vec<(u64, u64)> = by_fault.filter(|(_, count)| *count > 0).collect();
    // Sorted, so that those of a minute are counted at once.
    let mut left: Vec<u64> =
        schedule.arrivals.iter().filter_map(|arrival| arrival.leaves_us).collect();
    left.sort_unstable();
    let until = |from: usize| left[from].saturating_add(micros(TIME_WAIT));
    let in_a_minute = |from| left[from..].partition_point(|at| *at < until(from)) as u64;
    let departed = (0..left.len()).map(in_a_minute).max().unwrap_or(0);
    let at = |now: u64| {
        let waiting = closes
            .iter()
            .filter(|(at, _)| (*at..at.saturating_add(micros(TIME_WAIT))).contains(&now));
        waiting.map(|(_, count)| count).sum()
    };
    departed + closes.iter().map(|(now, _)| at(*now)).max().unwrap_or(0)
}

fn frames_per_s(plan: &Plan) -> f64 {
    let of_load = |load: &Load| {
        let fed = load.command.topics();
        let subscriptions: u64 = plan
            .fleet
            .cohorts
            .iter()
            .map(|cohort| {
                let topics = cohort.topics.iter().filter(|topic| fed.contains(topic)).count();
                u64::from(cohort.clients) * topics as u64
            })
            .sum();
        load.rate_per_s * subscriptions as f64
    };
    let there = f64::from(plan.fleet.clients_peak()) / f64::from(plan.fleet.clients.max(1));
    busiest(plan, of_load) * PUSHES_PER_UPDATE * there
}

fn objectives(plan: &Plan, schedule: &Schedule) -> Vec<ObjectiveEstimate> {
    let foregone = |objective: &Objective, expected: &[(Option<&'static str>, Expected)]| {
        let of = |&(surface, expected): &(Option<&'static str>, Expected)| {
            Some((surface, bounds::foregone(plan, schedule, objective, surface, expected)?))
        };
        expected.iter().filter_map(of).collect()
    };
    let estimate = |gate: &Gate, objective: &Objective| {
        let expected = expected(plan, schedule, objective);
        ObjectiveEstimate {
            foregone: foregone(objective, &expected),
            gate: gate.name.clone(),
            judged: gate.judged,
            advisory: gate.advisory,
            metric: objective.metric.name(),
            claim: objective.require.text.clone(),
            expected,
            needs: power::needs(&objective.require),
            seconds_needed: power::seconds(objective.metric, &objective.require, objective.reach),
            min_samples: objective.min_samples,
            not_applicable: not_applicable(plan, schedule, objective),
            must_apply: plan.must_apply(gate, objective),
        }
    };
    plan.gates
        .iter()
        .flat_map(|gate| gate.objectives.iter().map(|objective| estimate(gate, objective)))
        .collect()
}

fn limits(plan: &Plan, schedule: &Schedule, over: Duration) -> Vec<LimitEstimate> {
    let clients = schedule.clients_peak();
    let limit = |(&incident, &limit): (&Incident, &Limit)| {
        let countable = !matches!(limit.allowance, Allowance::Share(_));
        let count = countable.then(|| limit.count(0, clients, over));
        LimitEstimate { incident, limit, count }
    };
    plan.stability.limits.iter().map(limit).collect()
}

/// Publishes that a load makes at once, for the render.
fn arrival_text(arrival: Arrival) -> String {
    match arrival {
        Arrival::Poisson => "poisson".to_owned(),
        Arrival::Constant => "constant".to_owned(),
        Arrival::Bursts { size, gap } => {
            format!("bursts of {size} every {}", crate::units::format_duration(gap))
        }
    }
}

#[cfg(test)]
mod tests;
