//! Warnings: what a sound scenario will probably not do as its author thinks.

mod faults;

use super::diagnostic::Diagnostic;
use super::scenario::Placeable;
use crate::estimate::{Estimate, Expected, ObjectiveEstimate, PUBLISH_LIMIT_PER_S, returned};
use crate::gate::power::Needs;
use crate::model::Plan;
use crate::schedule::Schedule;

/// What to do about an objective that must apply and cannot.
const MUST_APPLY: &str = "give the plan what exercises it, or take its name out of `must_apply`";

/// All warnings about a plan.
pub(crate) fn of(placeable: &Placeable) -> Vec<Diagnostic> {
    let plan = &placeable.plan;
    let schedule = Schedule::of(plan);
    let estimate = Estimate::of(plan, &schedule);
    let mut found = undecidable(placeable, &estimate);
    found.extend(storms_without_deliveries(placeable, &schedule));
    found.extend(faults::of(placeable, &schedule));
    found.extend(unfed_topics(placeable));
    found.extend(too_fast(placeable, &estimate));
    found
}

/// Objectives that cannot reach a verdict with the evidence there will be.
fn undecidable(placeable: &Placeable, estimate: &Estimate) -> Vec<Diagnostic> {
    let places = placeable.objective_places.iter().flatten();
    let undecidable = |(objective, place): (&ObjectiveEstimate, _)| {
        if let Some((surface, why)) = objective.not_applicable.first().filter(|_| objective.judged)
        {
            // One that need not apply is no mistake: the plan names it, and so does the report.
            let whose = surface.map_or(String::new(), |surface| format!(" for `{surface}`"));
            let what = format!("`{}` must apply, and cannot{whose}", objective.metric);
            let warning = Diagnostic::warning(place, what).note(why.clone()).help(MUST_APPLY);
            return objective.must_apply.then_some(warning);
        }
        let (surface, expected) = objective.judged.then(|| objective.unreachable().next())??;
        let whose = surface.map_or(String::new(), |surface| format!(" for `{surface}`"));
        let amount = match expected {
            Expected::Samples(samples) => format!("about {samples:.0} samples are expected"),
            Expected::SamplesOver(samples, seconds) => {
                format!("about {samples:.0} samples over {seconds} s are expected")
            }
            Expected::Seconds(seconds) => format!("it is observed for {seconds:.0} s"),
        };
        let needed = match objective.needs {
            Needs::Samples(samples) => {
                let samples = samples.max(objective.min_samples);
                match objective.seconds_needed {
                    Some(seconds) => format!("{samples} over {seconds} s are needed"),
                    None => format!("{samples} are needed"),
                }
            }
            Needs::Seconds(seconds) => format!("{seconds:.0} s are needed"),
            Needs::Never => "no number is enough".to_owned(),
        };
        let what = format!("`{}` cannot reach a verdict{whose}", objective.metric);
        Some(
            Diagnostic::warning(place, what)
                .note(format!("{amount}, {needed} if none fails"))
                .help("claim less (such as a lower percentile), or run more clients or longer"),
        )
    };
    estimate.objectives.iter().zip(places).filter_map(undecidable).collect()
}

/// Storms that will not be judged for want of deliveries before or after them.
fn storms_without_deliveries(placeable: &Placeable, schedule: &Schedule) -> Vec<Diagnostic> {
    let plan = &placeable.plan;
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
