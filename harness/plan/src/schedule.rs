//! The planned part of a run: when clients arrive, when publishes are due, whom faults hit.
//!
//! A pure function of the [`Plan`], its seed included: it must never read a clock, a socket or a
//! stream of random numbers that something else also draws from. Times are microseconds from the
//! start of the run; what happens late is measured against them, it never moves them.

mod ndjson;
mod publishes;
mod targets;

pub(crate) use targets::targets_max;

use rand::Rng;

use crate::draw::{self, Purpose};
use crate::fault::FaultKind;
use crate::model::{DRAIN, Plan, RAMP};
use crate::stages;
use crate::surface::Surface;
use crate::units::micros;

/// Everything that is known before the first socket opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Index 0 is [`RAMP`], the declared phases follow, the last is [`DRAIN`]; without gaps.
    pub phases: Vec<PhaseWindow>,
    /// One for each client, sorted by (`at_us`, `client`).
    pub arrivals: Vec<ClientArrival>,
    /// All loads merged, sorted by `at_us`.
    pub publishes: Vec<PlannedPublish>,
    /// In the order of their phases, then of time, then as the scenario lists them.
    pub faults: Vec<PlannedFault>,
}

/// When a phase runs: from `start_us`, up to but not including `end_us`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseWindow {
    /// The phase's name.
    pub name: String,
    /// First microsecond.
    pub start_us: u64,
    /// First microsecond after it.
    pub end_us: u64,
    /// Whether objectives that name no phase judge it; false for the ramp and the drain.
    pub measure: bool,
}

/// A client's first connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientArrival {
    /// Id, from 0, dealt out cohort by cohort.
    pub client: u32,
    /// Index into `fleet.cohorts`.
    pub cohort: u16,
    /// Intended start.
    pub at_us: u64,
    /// When it leaves in good order; `None` of one that stays to the end.
    pub leaves_us: Option<u64>,
}

impl ClientArrival {
    /// Whether it is there at an instant, by plan.
    #[must_use]
    pub fn is_there(&self, at_us: u64) -> bool {
        self.at_us <= at_us && self.leaves_us.is_none_or(|leaves_us| at_us < leaves_us)
    }
}

/// One command that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedPublish {
    /// Number over all loads, from 0, in order of time.
    pub n: u32,
    /// Intended start.
    pub at_us: u64,
    /// Index into `plan.loads`.
    pub load: u16,
    /// Which of the load's workers, from 0.
    pub worker: u16,
    /// The fault that adds it to the load, if one does.
    pub fault: Option<u16>,
}

/// One fault that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedFault {
    /// From 0, over all phases.
    pub id: u16,
    /// Index into [`Schedule::phases`].
    pub phase: u16,
    /// Intended instant, or start of an interval.
    pub at_us: u64,
    /// How long an interval lasts; `None` for instants.
    pub duration_us: Option<u64>,
    /// Over how long it comes to its targets, in their order; `None` is all at once.
    pub spread_us: Option<u64>,
    /// What is done.
    pub kind: FaultKind,
    /// To which clients, sorted; empty when it acts on the target.
    pub targets: Vec<u32>,
}

impl PlannedFault {
    /// How long it goes on, or comes to its clients one by one; `None` of a moment.
    #[must_use]
    pub fn lasts_us(&self) -> Option<u64> {
        self.duration_us.into_iter().chain(self.spread_us).max()
    }

    /// The same as it is for one of its targets alone, at that one's own instant.
    #[must_use]
    pub fn of(&self, client: u32) -> Self {
        let nth = self.targets.partition_point(|target| *target < client) as u64;
        let after =
            self.spread_us.unwrap_or(0).saturating_mul(nth) / self.targets.len().max(1) as u64;
        Self { at_us: self.at_us + after, targets: vec![client], ..self.clone() }
    }
}

/// Who a client is. No run id in it: equal plans have equal identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Number of the client.
    pub number: u32,
    /// `oa_user_id`; shared by clients when there are fewer users than clients.
    pub user: String,
    /// `oa_org_id`.
    pub org: String,
    /// `oa_session_id`, the client's own.
    pub session: String,
    /// `oa_device_id`, the client's own.
    pub device: String,
    /// `oa_client_surface`; `None` of somebody who is no client of the fleet.
    pub surface: Option<Surface>,
}

impl Schedule {
    /// The schedule of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let phases = phases(plan);
        let mut arrivals = arrivals(plan);
        let mut faults = targets::faults(plan, &phases, &arrivals);
        let publishes = publishes::of(plan, &phases, &faults);
        // Left out at the end, so that who takes part changes nothing for those who do.
        arrivals.retain(|arrival| plan.fleet.takes_part(arrival.client));
        for fault in &mut faults {
            fault.targets.retain(|&client| plan.fleet.takes_part(client));
        }
        Self { phases, arrivals, publishes, faults }
    }

    /// How many clients stay to the end.
    #[must_use]
    pub fn staying(&self) -> u64 {
        self.arrivals.iter().filter(|arrival| arrival.leaves_us.is_none()).count() as u64
    }

    /// The most clients that are there at once.
    #[must_use]
    pub fn clients_peak(&self) -> u64 {
        let comes = self.arrivals.iter().map(|arrival| (arrival.at_us, 1_i64));
        let leaves = self.arrivals.iter().filter_map(|arrival| Some((arrival.leaves_us?, -1)));
        let mut changes: Vec<_> = comes.chain(leaves).collect();
        changes.sort_unstable();
        let mut there = 0;
        let levels = changes.into_iter().map(|(_, change)| {
            there += change;
            there
        });
        levels.max().map_or(0, i64::unsigned_abs)
    }

    /// Index of the phase that an intended start belongs to; what comes after the end belongs to
    /// the drain.
    #[must_use]
    pub fn phase_at(&self, at_us: u64) -> usize {
        // The last phase that has begun, so that an empty ramp holds nothing.
        self.phases.partition_point(|phase| phase.start_us <= at_us).saturating_sub(1)
    }

    /// Who client number `client` is, but for its surface, which its cohort has.
    ///
    /// Clients share users in turn, users share organisations in turn.
    #[must_use]
    pub fn identity(plan: &Plan, client: u32) -> Identity {
        let prefix = &plan.fleet.name_prefix;
        let user = client % plan.fleet.users.max(1);
        let org = user % plan.fleet.orgs.max(1);
        Identity {
            number: client,
            user: plan.fleet.user_id(user),
            org: format!("{prefix}-org-{org}"),
            session: format!("{prefix}-session-{client}"),
            device: format!("{prefix}-device-{client}"),
            surface: None,
        }
    }

    /// Publishes in the busiest second, wherever it begins.
    #[must_use]
    pub fn most_publishes_in_a_second(&self) -> u32 {
        let at: Vec<u64> = self.publishes.iter().map(|publish| publish.at_us).collect();
        let within = |first: usize| at[first..].partition_point(|&it| it < at[first] + 1_000_000);
        let most = (0..at.len()).map(within).max().unwrap_or_default();
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// `schedule.ndjson`: one JSON object a line, header first; equal byte for byte for equal plans
    /// and seeds.
    #[must_use]
    pub fn to_ndjson(&self, plan: &Plan) -> String {
        ndjson::render(self, plan)
    }
}

fn phases(plan: &Plan) -> Vec<PhaseWindow> {
    let declared = plan.phases.iter().map(|p| (p.name.as_str(), p.duration, p.measure));
    let mut start_us = 0;
    std::iter::once((RAMP, plan.fleet.ramp, false))
        .chain(declared)
        .chain(std::iter::once((DRAIN, plan.oracle.drain_within, false)))
        .map(|(name, duration, measure)| {
            let end_us = start_us + micros(duration);
            let window = PhaseWindow { name: name.to_owned(), start_us, end_us, measure };
            start_us = end_us;
            window
        })
        .collect()
}

/// Puts clients, who come in this order, so that whoever is there is of the cohorts in their shares, whatever the
/// number: a stage must not empty a surface by chance.
fn evenly(drawn: &mut [(u64, u32, u16)], plan: &Plan) {
    let mut ranks = vec![0_u32; plan.fleet.cohorts.len()];
    let mut placed: Vec<(f64, (u64, u32, u16))> = Vec::with_capacity(drawn.len());
    for &one in drawn.iter() {
        let cohort = usize::from(one.2);
        let of = f64::from(plan.fleet.cohorts[cohort].clients.max(1));
        placed.push(((f64::from(ranks[cohort]) + 0.5) / of, one));
        ranks[cohort] += 1;
    }
    placed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for (slot, (_, one)) in drawn.iter_mut().zip(placed) {
        *slot = one;
    }
}

/// Arrivals at equal gaps over the ramp (so that the peak connect rate is the planned one), in an
/// order drawn by seed (so that no cohort comes first), and after it as the stages say.
fn arrivals(plan: &Plan) -> Vec<ClientArrival> {
    let cohorts = plan.fleet.cohorts.iter().zip(0_u16..);
    let mut drawn: Vec<(u64, u32, u16)> = cohorts
        .flat_map(|(cohort, index)| std::iter::repeat_n(index, cohort.clients as usize))
        .zip(0_u32..)
        .map(|(cohort, client)| {
            let draw = draw::rng(plan.seed, Purpose::Arrival, client.into(), 0).next_u64();
            (draw, client, cohort)
        })
        .collect();
    drawn.sort_unstable();
    if !plan.fleet.stages.is_empty() {
        evenly(&mut drawn, plan);
    }
    let ramp = micros(plan.fleet.ramp);
    let at_first = match plan.fleet.stages.is_empty() {
        true => drawn.len() as u128,
        false => u128::from(plan.fleet.at_first),
    };
    let (ramp_us, count) = (u128::from(ramp), at_first.max(1));
    let in_ramp = |rank: u128| u64::try_from(ramp_us * rank / count).unwrap_or(u64::MAX);
    let mut comes: Vec<u64> = (0..at_first).map(in_ramp).collect();
    let mut leaves = Vec::new();
    for change in stages::changes(plan.fleet.at_first, &plan.fleet.stages) {
        let whose = if change.comes { &mut comes } else { &mut leaves };
        whose.push(ramp.saturating_add(change.at_us));
    }
    // Who came first leaves first.
    let leaves = leaves.into_iter().map(Some).chain(std::iter::repeat(None));
    let mut arrivals: Vec<_> = drawn
        .into_iter()
        .zip(comes.into_iter().zip(leaves))
        .map(|((_, client, cohort), (at_us, leaves_us))| ClientArrival {
            client,
            cohort,
            at_us,
            leaves_us,
        })
        .collect();
    // Only a ramp shorter than a microsecond a client leaves ties.
    arrivals.sort_unstable_by_key(|arrival| (arrival.at_us, arrival.client));
    arrivals
}

#[cfg(test)]
mod tests;
