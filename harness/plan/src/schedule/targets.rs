//! Whom faults hit: a function of (seed, fault, client), whatever the sockets do.

use std::ops::Range;

use rand::{Rng, RngExt};

use super::{ClientArrival, PhaseWindow, PlannedFault};
use crate::draw::{self, Purpose};
use crate::model::{ActsOn, Fault, FaultMode, Fleet, Plan};
use crate::units::micros;

/// Key of a fault's own draws, which no client id reaches.
const NO_CLIENT: u64 = u64::MAX;

/// The faults of all phases; `windows` and `arrivals` are those of the schedule.
pub(super) fn faults(
    plan: &Plan,
    windows: &[PhaseWindow],
    arrivals: &[ClientArrival],
) -> Vec<PlannedFault> {
    let is_there = Presence::of(plan, arrivals);
    // The ramp is window 0 and declares no faults.
    let declared = plan.phases.iter().zip(windows.iter().zip(0_u16..).skip(1));
    declared
        .flat_map(|(phase, window)| phase.faults.iter().map(move |fault| (fault, window)))
        .zip(0_u16..)
        .map(|((fault, (window, phase)), id)| PlannedFault {
            id,
            phase,
            at_us: window.start_us + micros(fault.at),
            duration_us: fault.duration.map(micros),
            spread_us: fault.spread.map(micros),
            kind: fault.kind.clone(),
            targets: match fault.kind.acts_on() {
                ActsOn::Clients => {
                    let at_us = window.start_us + micros(fault.at);
                    let crowd = crowd(&plan.fleet, fault);
                    // Whoever goes before their own instant would not be hit.
                    let until_us = at_us + fault.spread.map_or(0, micros);
                    let stays = |client: &u32| {
                        is_there.at(*client, at_us) && is_there.at(*client, until_us)
                    };
                    let there = crowd.filter(stays).collect();
                    targets(plan.seed, id, fault.mode, there)
                }
                ActsOn::Target => Vec::new(),
            },
        })
        .collect()
}

/// Ids of the clients among whom a fault chooses: its cohort's, or all.
fn crowd(fleet: &Fleet, fault: &Fault) -> Range<u32> {
    let mut first = 0;
    for cohort in &fleet.cohorts {
        let end = first + cohort.clients;
        if fault.cohort.as_ref().is_some_and(|name| *name == cohort.name) {
            return first..end;
        }
        first = end;
    }
    // A name that is no cohort's was refused when the scenario was read.
    0..if fault.cohort.is_none() { first } else { 0 }
}

/// How many of `clients` a mode hits; for `random-max-percent` the most it may.
///
/// Percentages round to the nearest client.
#[must_use]
pub(crate) fn targets_max(mode: FaultMode, clients: u32) -> u32 {
    let share = |percent: f64| {
        // In range: percent is clamped, and a u32 is exact in an f64.
        (f64::from(clients) * percent.clamp(0.0, 100.0) / 100.0).round() as u32
    };
    match mode {
        FaultMode::One => clients.min(1),
        FaultMode::All => clients,
        FaultMode::Fixed(count) => count.min(clients),
        FaultMode::FixedPercent(percent) | FaultMode::RandomMaxPercent(percent) => share(percent),
    }
}

/// Who is there when, by plan. Without stages everybody is, from the first phase on.
struct Presence<'a>(Option<Vec<Option<&'a ClientArrival>>>);

impl<'a> Presence<'a> {
    fn of(plan: &Plan, arrivals: &'a [ClientArrival]) -> Self {
        if plan.fleet.stages.is_empty() {
            return Self(None);
        }
        let mut clients = vec![None; plan.fleet.clients as usize];
        for arrival in arrivals {
            clients[arrival.client as usize] = Some(arrival);
        }
        Self(Some(clients))
    }

    fn at(&self, client: u32, at_us: u64) -> bool {
        let Some(clients) = &self.0 else { return true };
        clients[client as usize].is_some_and(|arrival| arrival.is_there(at_us))
    }
}

fn targets(seed: u64, fault: u16, mode: FaultMode, crowd: Vec<u32>) -> Vec<u32> {
    let mode = match mode {
        FaultMode::RandomMaxPercent(max) => {
            let drawn = draw::rng(seed, Purpose::FaultTargets, NO_CLIENT, fault.into())
                .random_range(0.0..=max.clamp(0.0, 100.0));
            FaultMode::FixedPercent(drawn)
        }
        settled => settled,
    };
    let there = u32::try_from(crowd.len()).unwrap_or(u32::MAX);
    let count = targets_max(mode, there) as usize;
    let mut drawn: Vec<(u64, u32)> = crowd
        .into_iter()
        .map(|client| {
            let mut rng = draw::rng(seed, Purpose::FaultTargets, client.into(), u64::from(fault));
            (rng.next_u64(), client)
        })
        .collect();
    drawn.sort_unstable();
    drawn.truncate(count);
    let mut targets: Vec<u32> = drawn.into_iter().map(|(_, client)| client).collect();
    targets.sort_unstable();
    targets
}
