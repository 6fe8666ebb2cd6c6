//! What a shard must know of the plan to attribute records: phases, surfaces, bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khala_plan::estimate::third_strike;
use khala_plan::fault::{Befalls, Slowness};
use khala_plan::model::OracleBounds;
use khala_plan::schedule::{PhaseWindow, PlannedFault, Schedule};
use khala_plan::stability::Consequence;
use khala_plan::surface::Surface;
use khala_plan::{Plan, metric, model};
use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use crate::oracle::Rule;
use crate::record::Micros;

/// The planned part of a run, as the shards of all threads share it, read-only.
#[derive(Clone, Debug)]
pub struct Context {
    phases: Vec<PhaseWindow>,
    /// Of the clients that take part.
    surfaces: Vec<Option<Surface>>,
    /// The topics that each cohort's tokens open, and the cohort of each client.
    granted: Vec<Vec<TopicId>>,
    cohorts: Vec<u16>,
    bounds: OracleBounds,
    fault_phases: BTreeMap<u16, usize>,
    /// Faults of which refusals may come.
    refusing: BTreeSet<u16>,
    slow_clients: BTreeSet<u32>,
    /// Of them, those that a fault keeps from reading at all.
    paused_clients: BTreeSet<u32>,
    eviction_needs: u64,
    exclusive: bool,
    passive: bool,
    generator: model::Generator,
    close_codes: Vec<u16>,
    dense_states: bool,
    findings_are_rules: Vec<&'static str>,
    /// Size of the payloads of each worker's commands, by its number.
    payload_bytes: Vec<u32>,
    /// Faults on the target that answer for what befalls everybody.
    befalling: Vec<Befalling>,
    /// When clients arrive, in order.
    arrivals: Vec<Micros>,
    /// When clients leave that do not stay to the end, in order; and which they are, with when.
    departures: Vec<Micros>,
    leaving: BTreeMap<u32, Micros>,
    /// When which fault is due that is aimed at a client, in order of time.
    aimed: Vec<Vec<(Micros, u16)>>,
    absence: Micros,
}

/// How long before it was due such a fault may show: clocks of threads differ by less.
const LEAD_US: Micros = 500_000;

/// A fault on the target that may befall anybody, from when until when.
#[derive(Clone, Debug)]
struct Befalling {
    from: Micros,
    until: Micros,
    /// What may follow from it; `None` is anything.
    causes: Option<Vec<Consequence>>,
}

impl Befalling {
    fn of(fault: &PlannedFault) -> Option<Self> {
        let Befalls { after, causes } = fault.kind.befalls()?;
        let after = u64::try_from(after.as_micros()).unwrap_or(Micros::MAX);
        let lasts = fault.duration_us.unwrap_or(0).saturating_add(after);
        let (from, until) =
            (fault.at_us.saturating_sub(LEAD_US), fault.at_us.saturating_add(lasts));
        Some(Self { from, until, causes })
    }

    fn causes(&self, what: Consequence) -> bool {
        self.causes.as_ref().is_none_or(|causes| causes.contains(&what))
    }
}

/// How much later than expected an eviction may come: the estimate leaves out user-space buffers, TCP
/// segments, and the look at which a target gives its strikes.
pub const EVICTION_FACTOR: f64 = 2.0;

fn eviction_needs(plan: &Plan, schedule: &Schedule) -> u64 {
    let slow = |fault: &&PlannedFault| fault.kind.slowness().is_some();
    let needs = schedule.faults.iter().filter(slow).map(|fault| {
        let Some(strike) = third_strike(plan, schedule, fault) else { return u64::MAX };
        let due = Duration::from_secs_f64(strike.struck_s * EVICTION_FACTOR);
        let until = fault.at_us + u64::try_from(due.as_micros()).unwrap_or(u64::MAX);
        let before = |at| schedule.publishes.partition_point(|publish| publish.at_us < at);
        before(until).saturating_sub(before(fault.at_us)) as u64
    });
    needs.max().unwrap_or(u64::MAX)
}

/// The clients that read slowly in some way.
fn slow(schedule: &Schedule, how: impl Fn(Slowness) -> bool) -> BTreeSet<u32> {
    let faults = schedule.faults.iter().filter(|fault| fault.kind.slowness().is_some_and(&how));
    faults.flat_map(|fault| fault.targets.iter().copied()).collect()
}

/// The faults that are aimed at each client, at the instant at which they come to it.
fn aimed(plan: &Plan, schedule: &Schedule) -> Vec<Vec<(Micros, u16)>> {
    let mut aimed = vec![Vec::new(); plan.fleet.clients as usize];
    for fault in &schedule.faults {
        let all = fault.targets.len().max(1) as u64;
        for (nth, &client) in (0_u64..).zip(&fault.targets) {
            let after = fault.spread_us.unwrap_or(0).saturating_mul(nth) / all;
            if let Some(of_client) = aimed.get_mut(client as usize) {
                of_client.push((fault.at_us.saturating_add(after), fault.id));
            }
        }
    }
    aimed.iter_mut().for_each(|faults| faults.sort_unstable());
    aimed
}

impl Context {
    /// The context of a plan and its schedule.
    #[must_use]
    pub fn of(plan: &Plan, schedule: &Schedule) -> Self {
        let mut surfaces = vec![None; plan.fleet.clients as usize];
        let mut cohorts = vec![0; plan.fleet.clients as usize];
        for arrival in &schedule.arrivals {
            let cohort = &plan.fleet.cohorts[usize::from(arrival.cohort)];
            surfaces[arrival.client as usize] = Some(cohort.surface);
            cohorts[arrival.client as usize] = arrival.cohort;
        }
        Self {
            phases: schedule.phases.clone(),
            surfaces,
            granted: plan.fleet.cohorts.iter().map(|cohort| cohort.topics.clone()).collect(),
            cohorts,
            bounds: plan.oracle.clone(),
            fault_phases: schedule
                .faults
                .iter()
                .map(|fault| (fault.id, usize::from(fault.phase)))
                .collect(),
            refusing: schedule
                .faults
                .iter()
                .filter(|fault| fault.kind.invites_refusals())
                .map(|fault| fault.id)
                .collect(),
            slow_clients: slow(schedule, |_| true),
            paused_clients: slow(schedule, |how| how.rate_bytes_per_s.is_none()),
            eviction_needs: eviction_needs(plan, schedule),
            exclusive: plan.target.exclusive,
            passive: plan.is_passive(),
            generator: plan.generator.clone(),
            close_codes: plan.target.close_codes.clone(),
            dense_states: plan.target.dense_states,
            findings_are_rules: plan.target.findings_are_rules.clone(),
            payload_bytes: plan
                .loads
                .iter()
                .flat_map(|load| std::iter::repeat_n(load.payload_bytes, load.workers as usize))
                .collect(),
            befalling: schedule.faults.iter().filter_map(Befalling::of).collect(),
            arrivals: {
                let mut arrivals: Vec<_> = schedule.arrivals.iter().map(|one| one.at_us).collect();
                arrivals.sort_unstable();
                arrivals
            },
            departures: {
                let leaves = schedule.arrivals.iter().filter_map(|one| one.leaves_us);
                let mut leaves: Vec<_> = leaves.collect();
                leaves.sort_unstable();
                leaves
            },
            leaving: schedule
                .arrivals
                .iter()
                .filter_map(|one| Some((one.client, one.leaves_us?)))
                .collect(),
            aimed: aimed(plan, schedule),
            absence: u64::try_from(plan.stability.absence.as_micros()).unwrap_or(Micros::MAX),
        }
    }

    /// Whether something that was under way between two instants may be the doing of a planned fault on
    /// the target as a whole: whatever it is of a restart, what it says that it causes of a hook.
    #[must_use]
    pub fn is_befalling(&self, what: Consequence, start: Micros, at: Micros) -> bool {
        let may = |one: &Befalling| start <= one.until && at >= one.from && one.causes(what);
        self.befalling.iter().any(may)
    }

    /// Whether clients that a fault hit may be refused something on their way back.
    #[must_use]
    pub fn invites_refusals(&self, fault: u16) -> bool {
        self.refusing.contains(&fault)
    }

    /// Clients that had arrived by then, and had not left.
    #[must_use]
    pub fn arrived(&self, by: Micros) -> u64 {
        let before = |times: &[Micros]| times.partition_point(|at| *at <= by) as u64;
        before(&self.arrivals).saturating_sub(before(&self.departures))
    }

    /// Whether a client leaves before the end, by plan: it is no witness of what came to those who stayed.
    #[must_use]
    pub fn leaves(&self, client: u32) -> bool {
        self.leaving.contains_key(&client)
    }

    /// Whether a client leaves by plan before the phase of a fault ends: it has not the time that others have.
    #[must_use]
    pub fn leaves_within(&self, client: u32, fault: u16) -> bool {
        self.leaving.get(&client).is_some_and(|&at| at < self.fault_phase_end(fault))
    }

    /// When which fault is due that is aimed at a client, in order of time.
    #[must_use]
    pub fn aimed_at(&self, client: u32) -> &[(Micros, u16)] {
        self.aimed.get(client as usize).map_or(&[], Vec::as_slice)
    }

    /// For how long the target may answer nobody although it is asked.
    #[must_use]
    pub fn absence(&self) -> Micros {
        self.absence
    }

    /// Close codes that the target may send beside the contract's.
    #[must_use]
    pub fn close_codes(&self) -> &[u16] {
        &self.close_codes
    }

    /// Whether no seq of a topic is left out: on streams, and on states if the target's keys say so.
    #[must_use]
    pub fn is_dense(&self, topic: TopicId) -> bool {
        self.dense_states || topic.kind() == TopicKind::Stream
    }

    /// Whether a finding breaks a rule on this target.
    #[must_use]
    pub fn is_rule(&self, finding: &str) -> bool {
        self.findings_are_rules.contains(&finding)
    }

    /// The rule that a finding breaks on this target, if it breaks one.
    #[must_use]
    pub fn rule_of(&self, finding: &str) -> Option<Rule> {
        let known = metric::finding(finding).filter(|known| self.is_rule(known.name))?;
        Rule::of(known.rule)
    }

    /// Size of the payloads of the load's commands to each worker, in bytes, by the worker's number.
    #[must_use]
    pub fn payload_bytes(&self) -> &[u32] {
        &self.payload_bytes
    }

    /// Whether nobody else writes to the target, so that every event must be ours.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Whether the harness writes nothing, so that events of others are all that is judged.
    #[must_use]
    pub fn is_passive(&self) -> bool {
        self.passive
    }

    /// When the drain begins, by plan.
    #[must_use]
    pub fn drain_from(&self) -> Micros {
        self.phases.last().map_or(Micros::MAX, |phase| phase.start_us)
    }

    /// The threads that carry clients.
    pub fn client_threads(&self) -> impl Iterator<Item = u16> + use<> {
        (0..self.generator.client_threads()).map(|thread| u16::try_from(thread).unwrap_or(u16::MAX))
    }

    /// Whether the plan makes a client slow at some time: its socket differs from the first connect
    /// on, so that it is no bystander even before.
    #[must_use]
    pub fn is_slow_by_plan(&self, client: u32) -> bool {
        self.slow_clients.contains(&client)
    }

    /// Whether the plan makes a client slow, and never keeps it from reading: what the target sends reaches
    /// it in the end.
    #[must_use]
    pub fn reads_on_slowly(&self, client: u32) -> bool {
        self.slow_clients.contains(&client) && !self.paused_clients.contains(&client)
    }

    /// Publishes that make the eviction of a client due that does not read: those of
    /// [`EVICTION_FACTOR`] times the time to the last strike that `check` prints. `u64::MAX` where no
    /// strike can be expected, so that nothing is ever due.
    #[must_use]
    pub fn eviction_needs(&self) -> u64 {
        self.eviction_needs
    }

    /// The oracle's bounds.
    #[must_use]
    pub fn bounds(&self) -> &OracleBounds {
        &self.bounds
    }

    /// The phases, implicit ones included.
    #[must_use]
    pub fn phases(&self) -> &[PhaseWindow] {
        &self.phases
    }

    /// The phase in which `at` lies; the last one for everything after its start.
    #[must_use]
    pub fn phase_at(&self, at: Micros) -> u16 {
        let index = self.phases.partition_point(|phase| phase.start_us <= at).saturating_sub(1);
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    /// End of the phase that a fault belongs to.
    #[must_use]
    pub fn fault_phase_end(&self, fault: u16) -> Micros {
        self.fault_phases
            .get(&fault)
            .and_then(|&phase| self.phases.get(phase))
            .map_or(Micros::MAX, |phase| phase.end_us)
    }

    /// The surface of a client; `None` of one that takes no part.
    #[must_use]
    pub fn surface(&self, client: u32) -> Option<Surface> {
        self.surfaces.get(client as usize).copied().flatten()
    }

    /// The thread that carries a client: its stalls alone excuse it.
    #[must_use]
    pub fn thread_of(&self, client: u32) -> u16 {
        self.generator.thread_of(client)
    }

    /// The publishers' thread.
    #[must_use]
    pub fn publisher_thread(&self) -> u16 {
        self.generator.publisher_thread()
    }

    /// The topics that a client's tokens open: those that it subscribes to.
    #[must_use]
    pub fn granted(&self, client: u32) -> &[TopicId] {
        let cohort = self.cohorts.get(client as usize).copied().unwrap_or_default();
        self.granted.get(usize::from(cohort)).map_or(&[], Vec::as_slice)
    }

    /// Number of clients of each surface in the run.
    #[must_use]
    pub fn clients_by_surface(&self) -> BTreeMap<Surface, u64> {
        let mut counts = BTreeMap::new();
        for surface in self.surfaces.iter().copied().flatten() {
            *counts.entry(surface).or_insert(0) += 1;
        }
        counts
    }

    /// Whether the phase is one that the scenario declares, not an implicit one.
    #[must_use]
    pub fn is_declared(&self, phase: u16) -> bool {
        self.phases
            .get(usize::from(phase))
            .is_some_and(|phase| phase.name != model::RAMP && phase.name != model::DRAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const TEXT: &str = r#"
version = 1
name = "slow"
seed = 7
[target]
kind = "reference"
[target.slow_consumer]
queue_limit = 10
send_buffer = "4KiB"
[auth]
mint = "hs256"
[fleet]
clients = 4
ramp = "1s"
[[fleet.surface]]
name = "desktop"
share = 1.0
[[load]]
command = "codex-worker-events"
rate = "10/s"
arrival = "constant"
payload_bytes = 1024
[[phase]]
name = "slow"
duration = "60s"
[[phase.fault]]
type = "slow_reader"
at = "1s"
duration = "50s"
mode = "one"
attributes = { pause = true, rcvbuf = "4KiB" }
[[gate]]
name = "ux"
[[gate.objective]]
metric = "violations"
require = "count == 0"
"#;

    #[test]
    fn an_eviction_is_due_after_the_load_of_twice_the_time_that_check_prints() {
        let plan = testing::plan(TEXT);
        let schedule = Schedule::of(&plan);
        let strike = third_strike(&plan, &schedule, &schedule.faults[0]).expect("is struck");
        let needs = Context::of(&plan, &schedule).eviction_needs();
        let expected = 10.0 * 2.0 * strike.struck_s;
        assert!((needs as f64 - expected).abs() <= 1.0, "{needs} publishes, not {expected:.1}");
        assert!(needs > plan.target.slow_consumer.queue_limit);
    }
}
