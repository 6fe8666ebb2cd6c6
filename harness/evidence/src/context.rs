//! What a shard must know of the plan to attribute records: phases, surfaces, bounds.

use std::collections::BTreeMap;

use khala_plan::model::OracleBounds;
use khala_plan::schedule::{PhaseWindow, Schedule};
use khala_plan::surface::Surface;
use khala_plan::{Plan, model};

use crate::record::Micros;

/// The planned part of a run, as the shards of all threads share it, read-only.
#[derive(Clone, Debug)]
pub struct Context {
    phases: Vec<PhaseWindow>,
    surfaces: Vec<Surface>,
    bounds: OracleBounds,
    fault_phases: BTreeMap<u16, usize>,
}

impl Context {
    /// The context of a plan and its schedule.
    #[must_use]
    pub fn of(plan: &Plan, schedule: &Schedule) -> Self {
        let mut surfaces = vec![Surface::Desktop; schedule.arrivals.len()];
        for arrival in &schedule.arrivals {
            let cohort = &plan.fleet.cohorts[usize::from(arrival.cohort)];
            surfaces[arrival.client as usize] = cohort.surface;
        }
        Self {
            phases: schedule.phases.clone(),
            surfaces,
            bounds: plan.oracle.clone(),
            fault_phases: schedule
                .faults
                .iter()
                .map(|fault| (fault.id, usize::from(fault.phase)))
                .collect(),
        }
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

    /// The surface of a client.
    #[must_use]
    pub fn surface(&self, client: u32) -> Surface {
        self.surfaces.get(client as usize).copied().unwrap_or(Surface::Desktop)
    }

    /// Number of clients of each surface in the run.
    #[must_use]
    pub fn clients_by_surface(&self) -> BTreeMap<Surface, u64> {
        let mut counts = BTreeMap::new();
        for &surface in &self.surfaces {
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
