//! Warnings: what a sound scenario will probably not do as its author thinks.

mod faults;
mod objectives;

use super::diagnostic::Diagnostic;
use super::scenario::Placeable;
use crate::estimate::{Estimate, PUBLISH_LIMIT_PER_S, returned};
use crate::model::Plan;
use crate::schedule::Schedule;

/// All warnings about a plan.
pub(crate) fn of(placeable: &Placeable) -> Vec<Diagnostic> {
    let plan = &placeable.plan;
    let schedule = Schedule::of(plan);
    let estimate = Estimate::of(plan, &schedule);
    let mut found = objectives::of(placeable, &estimate);
    found.extend(storms_without_deliveries(placeable, &schedule));
    found.extend(faults::of(placeable, &schedule));
    found.extend(unfed_topics(placeable));
    found.extend(too_fast(placeable, &estimate));
    found
}

/// Storms that will not be judged for want of deliveries before or after them.
fn storms_without_deliveries(placeable: &Placeable, schedule: &Schedule) -> Vec<Diagnostic> {
    let plan = &placeable.plan;
    if plan.is_passive() {
        // How much others write nobody knows.
        return Vec::new();
    }
    let needed = plan.oracle.storm_min_deliveries as usize;
    let faults = schedule.faults.iter().zip(&placeable.fault_places);
    faults
        .filter_map(|(fault, place)| {
            let before = schedule.publishes.partition_point(|publish| publish.at_us < fault.at_us);
            let back_us = returned(plan, fault)?;
            let after = schedule.publishes.len()
                - schedule.publishes.partition_point(|publish| publish.at_us < back_us);
            if before.min(after) >= needed {
                return None;
            }
            let what = "the storm has too few deliveries around it to be judged";
            let note = format!(
                "{before} publishes come before it, {after} after the first back-off; \
                 each client needs {needed} deliveries on each side"
            );
            let help = "raise the load's rate, or lengthen the phases";
            Some(Diagnostic::warning(place, what).note(note).help(help))
        })
        .collect()
}

/// Topics to which nothing is published.
fn unfed_topics(placeable: &Placeable) -> Option<Diagnostic> {
    let plan = &placeable.plan;
    if plan.is_passive() {
        return None;
    }
    let fed: Vec<_> = plan.loads.iter().flat_map(|load| load.command.topics()).collect();
    let mut unfed: Vec<&str> =
        subscribed(plan).filter(|topic| !fed.contains(topic)).map(|t| t.name()).collect();
    unfed.sort_unstable();
    unfed.dedup();
    (!unfed.is_empty()).then(|| {
        let what = format!("no load publishes to {}", super::suggest::list(unfed));
        let note = "clients that subscribe to it receive nothing, so nothing of it is judged";
        Diagnostic::warning(&placeable.fleet_place, what)
            .note(note)
            .help("add a `[[load]]`, or subscribe to other topics")
    })
}

fn subscribed(plan: &Plan) -> impl Iterator<Item = khala_wire::topic::TopicId> {
    plan.fleet.cohorts.iter().flat_map(|cohort| cohort.topics.iter().copied())
}

/// More commands than a runtime takes by default.
fn too_fast(placeable: &Placeable, estimate: &Estimate) -> Option<Diagnostic> {
    let place = placeable.load_places.first()?;
    (estimate.commands_per_s > PUBLISH_LIMIT_PER_S).then(|| {
        let what =
            format!("the loads publish {:.0} commands a second in all", estimate.commands_per_s);
        let note = format!("a runtime refuses more than {PUBLISH_LIMIT_PER_S} by default");
        Diagnostic::warning(place, what).note(note).help("lower the rate, or raise the limit")
    })
}
