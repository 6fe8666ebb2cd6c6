//! Which clients can be counted on to get what is published at a moment, live: those that have come, that no
//! fault has sent away, and that read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::samples::hit;
use crate::model::Plan;
use crate::schedule::{PlannedFault, Schedule};
use crate::units::micros;

/// How long a client may take until it is live, from when it may connect, without being missed in what is expected:
/// connect, join, subscribe and replay, and those of all that come at once with it. A plan that needs the samples
/// of this second would end a hair short.
pub(crate) const LIVE_WITHIN: Duration = Duration::from_secs(1);

/// When the clients of a cohort begin to be live, and when they cease to be: both in ascending order.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence {
    begins: Vec<u64>,
    ceases: Vec<u64>,
}

impl Presence {
    /// That of each cohort. Clients that a fault makes read slowly, at any time, are never counted: the judge takes
    /// no sample of theirs either.
    pub fn of_cohorts(plan: &Plan, schedule: &Schedule) -> Vec<Self> {
        let slow = slow(schedule);
        let away = away(plan, schedule);
        let mut all = vec![Self::default(); plan.fleet.cohorts.len()];
        for arrival in schedule.arrivals.iter().filter(|it| !slow.contains(&it.client)) {
            let presence = &mut all[usize::from(arrival.cohort)];
            let until = arrival.leaves_us.unwrap_or(u64::MAX);
            let mut from = arrival.at_us + micros(LIVE_WITHIN);
            for &(gone, back) in away.get(&arrival.client).into_iter().flatten() {
                presence.add(from, gone.min(until));
                from = from.max(back);
            }
            presence.add(from, until);
        }
        for presence in &mut all {
            presence.begins.sort_unstable();
            presence.ceases.sort_unstable();
        }
        all
    }

    fn add(&mut self, from: u64, until: u64) {
        if from < until {
            self.begins.push(from);
            self.ceases.push(until);
        }
    }

    /// Clients that are live at a moment.
    pub fn at(&self, us: u64) -> u64 {
        let by = |moments: &[u64]| moments.partition_point(|moment| *moment <= us) as u64;
        by(&self.begins) - by(&self.ceases)
    }
}

/// Clients that a fault makes read slowly, at any time.
pub(super) fn slow(schedule: &Schedule) -> BTreeSet<u32> {
    let slow = schedule.faults.iter().filter(|fault| fault.kind.slowness().is_some());
    slow.flat_map(|fault| fault.targets.iter().copied()).collect()
}

/// From when until when the faults keep each client from what is published, in ascending order. They may overlap.
fn away(plan: &Plan, schedule: &Schedule) -> BTreeMap<u32, Vec<(u64, u64)>> {
    let mut cohort_of = vec![0; plan.fleet.clients as usize];
    for arrival in &schedule.arrivals {
        cohort_of[arrival.client as usize] = usize::from(arrival.cohort);
    }
    let mut all: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for fault in &schedule.faults {
        for client in hit(schedule, fault) {
            let cohort = cohort_of[client as usize];
            if let Some(back) = back(plan, fault, client, cohort) {
                all.entry(client).or_default().push((fault.at_us, back));
            }
        }
    }
    all.values_mut().for_each(|spans| spans.sort_unstable());
    all
}

/// When a client that the fault sends away, or lets leave topics, is live again at the latest, if nothing refuses it.
fn back(plan: &Plan, fault: &PlannedFault, client: u32, cohort: usize) -> Option<u64> {
    let begun = fault.at_us + fault.spread_us.unwrap_or(0);
    if let Some(left_for) = fault.kind.topics_left_for() {
        return Some(begun + micros(left_for + LIVE_WITHIN));
    }
    let away = fault.kind.away()?;
    let cohort = &plan.fleet.cohorts[cohort];
    let (_, noticed) = fault.kind.noticed_after(cohort.heartbeat);
    let back_off = match fault.kind.backs_off() {
        true => cohort.backoff.delay(plan.seed, client, 1),
        false => Duration::ZERO,
    };
    Some(begun + micros(noticed + away + back_off + LIVE_WITHIN))
}
