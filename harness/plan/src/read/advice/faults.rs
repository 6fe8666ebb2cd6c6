//! Warnings about single faults: those that will not bite, or not as their author thinks.

use std::time::Duration;

use crate::fault::{Advice, Need};
use crate::model::Plan;
use crate::read::diagnostic::Diagnostic;
use crate::read::scenario::Placeable;
use crate::schedule::{PlannedFault, Schedule};
use crate::units::micros;

pub(super) fn of(placeable: &Placeable, schedule: &Schedule) -> Vec<Diagnostic> {
    let plan = &placeable.plan;
    let mut found = Vec::new();
    for (index, (fault, place)) in schedule.faults.iter().zip(&placeable.fault_places).enumerate() {
        let before = schedule.faults[..index].iter().find(|before| overlap(plan, before, fault));
        let advice = [
            fault.kind.advice(fault, plan, schedule),
            nothing_to_publish(plan, fault),
            before.map(|before| {
                let (name, at) = (before.kind.name(), Duration::from_micros(before.at_us));
                let what = format!(
                    "it hits clients on which another fault acts at that time, the `{name}` that begins at \
                     {} s of the run",
                    at.as_secs_f64()
                );
                Advice::new(what, "move one of them, or aim them at different cohorts")
            }),
        ];
        found.extend(advice.into_iter().flatten().map(|Advice { what, note, help, is_asked }| {
            let warning = Diagnostic::warning(place, what).help(help).asked(is_asked);
            note.into_iter().fold(warning, Diagnostic::note)
        }));
    }
    found
}

/// A fault that publishes, in a scenario that has no worker to publish for.
fn nothing_to_publish(plan: &Plan, fault: &PlannedFault) -> Option<Advice> {
    (fault.kind.needs(Need::Load) && plan.loads.is_empty()).then(|| {
        let what = format!("`{}` needs a load, and the scenario has none", fault.kind.name());
        let note = "the fault will do nothing, and its gates will be INCONCLUSIVE";
        Advice::new(what, "add a `[[load]]`").note(note)
    })
}

/// Whether two faults act on one client at one time.
fn overlap(plan: &Plan, a: &PlannedFault, b: &PlannedFault) -> bool {
    let ((a_from, a_to), (b_from, b_to)) = (span(plan, a), span(plan, b));
    a_from <= b_to && b_from <= a_to && share_a_target(&a.targets, &b.targets)
}

/// From the first to the last microsecond at which a fault itself acts.
fn span(plan: &Plan, fault: &PlannedFault) -> (u64, u64) {
    let acts_us = micros(fault.kind.acts_for(plan, fault.duration_us.map(Duration::from_micros)));
    (fault.at_us, fault.at_us + fault.spread_us.unwrap_or(0) + acts_us)
}

/// Whether two sorted lists have an id in common.
fn share_a_target(a: &[u32], b: &[u32]) -> bool {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(one), Some(other)) = (a.peek(), b.peek()) {
        match one.cmp(other) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => drop(a.next()),
            std::cmp::Ordering::Greater => drop(b.next()),
        }
    }
    false
}
