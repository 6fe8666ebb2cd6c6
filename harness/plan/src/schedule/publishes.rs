//! When publishes are due: each load on its own, then merged into one numbered sequence.

use std::ops::Range;
use std::time::Duration;

use rand::distr::Distribution;
use rand_distr::Exp1;

use super::{PhaseWindow, PlannedFault, PlannedPublish};
use crate::draw::{self, Purpose};
use crate::fault::Burst;
use crate::model::{Arrival, Load, Plan};
use crate::units::micros;

/// Key of the first gap of a load's second window; no window has so many gaps.
const GAPS_OF_A_WINDOW: u64 = 1 << 32;

/// All publishes of the plan; `phases` are those of the schedule.
pub(super) fn of(
    plan: &Plan,
    phases: &[PhaseWindow],
    faults: &[PlannedFault],
) -> Vec<PlannedPublish> {
    let mut due: Vec<(u64, u16, u32, Option<u16>)> = Vec::new();
    for (load, index) in plan.loads.iter().zip(0_u16..) {
        let windows = windows(load, phases).into_iter().zip(0_u64..);
        let times = windows.flat_map(|(window, number)| {
            times(load, plan.seed, index, number * GAPS_OF_A_WINDOW, &window)
        });
        due.extend(times.zip(0_u32..).map(|(at_us, turn)| (at_us, index, turn, None)));
    }
    // Bursts take turns of their own, so that they leave those of the load alone.
    for fault in faults.iter().filter(|_| !plan.loads.is_empty()) {
        let times = burst(fault).zip(0_u32..);
        due.extend(times.map(|(at_us, turn)| (at_us, 0, turn, Some(fault.id))));
    }
    due.sort_unstable();
    due.into_iter()
        .zip(0_u32..)
        .map(|((at_us, load, turn, fault), n)| {
            let workers = plan.loads[usize::from(load)].workers.clamp(1, u32::from(u16::MAX));
            let worker = u16::try_from(turn % workers).unwrap_or(u16::MAX);
            PlannedPublish { n, at_us, load, worker, fault }
        })
        .collect()
}

/// The times of a burst, if the fault is one.
fn burst(fault: &PlannedFault) -> impl Iterator<Item = u64> + use<> {
    let Burst { events, over } =
        fault.kind.burst().unwrap_or(Burst { events: 0, over: Duration::ZERO });
    let (events, over_us) = (u64::from(events), micros(over));
    let at_us = fault.at_us;
    (0..events).map(move |i| at_us.saturating_add(over_us.saturating_mul(i) / events))
}

/// When a load runs: its phases, those without a gap between them as one.
fn windows(load: &Load, phases: &[PhaseWindow]) -> Vec<Range<u64>> {
    let [_ramp, declared @ .., _drain] = phases else { return Vec::new() };
    let mut windows: Vec<Range<u64>> = Vec::new();
    for phase in declared.iter().filter(|phase| load.runs_in(&phase.name)) {
        match windows.last_mut() {
            Some(last) if last.end == phase.start_us => last.end = phase.end_us,
            _ => windows.push(phase.start_us..phase.end_us),
        }
    }
    windows
}

/// The times of one load in one of its windows, in order; its gaps are drawn from key `first_gap`.
fn times(
    load: &Load,
    seed: u64,
    index: u16,
    first_gap: u64,
    window_us: &Range<u64>,
) -> Box<dyn Iterator<Item = u64>> {
    let Range { start, end } = *window_us;
    if load.rate_per_s <= 0.0 {
        return Box::new(std::iter::empty());
    }
    let gap_us = 1e6 / load.rate_per_s;
    let at = move |offset_us: f64| start.saturating_add(offset_us as u64);
    match load.arrival {
        Arrival::Constant => Box::new(
            (0_u32..).map(move |i| at(f64::from(i) * gap_us)).take_while(move |t| *t < end),
        ),
        // Gap number i is a function of (seed, load, window, i): a longer phase appends publishes,
        // and a higher rate moves them together, without changing which gap is long.
        Arrival::Poisson => Box::new(
            (0_u64..)
                .scan(0.0_f64, move |offset_us, i| {
                    let draw: f64 = Exp1.sample(&mut draw::rng(
                        seed,
                        Purpose::Publish,
                        index.into(),
                        first_gap + i,
                    ));
                    *offset_us += draw * gap_us;
                    Some(at(*offset_us))
                })
                .take_while(move |t| *t < end),
        ),
        Arrival::Bursts { size, gap } => {
            let gap_us = micros(gap).max(1);
            Box::new(
                (0_u64..)
                    .map(move |i| start.saturating_add(i.saturating_mul(gap_us)))
                    .take_while(move |t| *t < end)
                    .flat_map(move |t| std::iter::repeat_n(t, size as usize)),
            )
        }
    }
}
