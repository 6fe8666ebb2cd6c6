//! Bounds on the size of a schedule, which is computed and kept whole.

use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::phase::Phases;
use super::source::Place;
use crate::model::Load;

/// Most publishes of a run: 24 bytes each in the schedule, more in the ledger.
const PUBLISHES_MAX: f64 = 5_000_000.0;
/// Most targets of all faults together: a sorted list of ids each.
const TARGETS_MAX: u64 = 100_000_000;
/// Most phases, loads and faults: they are numbered with 16 bits. A scenario has no more profiles than that, and a profile
/// changes no more of each.
pub(crate) const NUMBERED_MAX: usize = 1_000;

/// Reports a schedule that would be too large.
pub(crate) fn check(
    cx: &Cx,
    loads: Option<&[Load]>,
    load_places: &[Place],
    clients: Option<u32>,
    phases: &Phases,
) {
    let seconds = |load: &Load| {
        let declared = phases.phases.iter().flatten();
        let runs = declared.filter(|phase| load.runs_in(&phase.name));
        runs.map(|phase| phase.duration.as_secs_f64()).sum::<f64>()
    };
    let bursts = phases.phases.iter().flatten().flat_map(|phase| &phase.faults);
    let bursts = bursts.filter_map(|fault| Some(f64::from(fault.kind.burst()?.events)));
    let publishes: f64 =
        loads.unwrap_or_default().iter().map(|load| load.rate_per_s * seconds(load)).sum();
    let publishes = publishes + bursts.sum::<f64>();
    if let (true, Some(place)) = (publishes > PUBLISHES_MAX, load_places.first()) {
        let what = format!("the loads publish about {publishes:.0} commands in the run");
        let help = format!("stay below {PUBLISHES_MAX:.0}: lower the rate, or shorten the phases");
        cx.report(Diagnostic::error(place, what).help(help));
    }
    let faults = phases.fault_places.len();
    let targets = faults as u64 * u64::from(clients.unwrap_or(0));
    if let (true, Some(place)) = (targets > TARGETS_MAX, phases.fault_places.first()) {
        let what = format!("{faults} faults may hit {targets} clients in all");
        let help = format!("stay below {TARGETS_MAX}: plan fewer faults");
        cx.report(Diagnostic::error(place, what).help(help));
    }
    let declared: Vec<Place> =
        phases.declared.iter().map(|phase| phase.name.place.clone()).collect();
    let numbered =
        [("phases", &*declared), ("loads", load_places), ("faults", &phases.fault_places)];
    for (what, places) in numbered {
        if let (true, Some(place)) = (places.len() > NUMBERED_MAX, places.last()) {
            let what = format!("the scenario has {} {what}", places.len());
            let help = format!("stay below {NUMBERED_MAX}");
            cx.report(Diagnostic::error(place, what).help(help));
        }
    }
}
