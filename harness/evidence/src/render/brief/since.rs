//! Since when it is so that a run fails, on its own clock and in UTC, and whom it befell: of what the headline tells. Where
//! there is no moment or nobody to be named, why there is none.

use std::collections::BTreeMap;

use khala_plan::metric::MetricId;
use khala_plan::stability::Incident;
use khala_plan::surface::Surface;

use super::super::units::{clients, count, moment, utc};
use super::{absences, condemned, failed, happened};
use crate::judge::{ObjectiveVerdict, Verdict, stability};
use crate::oracle::Rule;
use crate::report::{Phase, RunReport};
use crate::shard::absence::Absence;

/// In the order in which a NO-GO's headline tells what is worst.
pub fn since(report: &RunReport) -> String {
    if report.altered {
        return "Not known: the evidence was changed after the run.".to_owned();
    }
    let incident = happened::incident(report);
    let rule = condemned(report).next();
    let told = if let Some(first) = absences(report).next() {
        of_absence(report, first)
    } else if let Some(rule) = rule.filter(|it| *it != Rule::NoConvergence || incident.is_none()) {
        of_rule(report, rule)
    } else if let Some(incident) = incident {
        of_incident(report, incident)
    } else if let Some(objective) = failed(report, Verdict::Fail).next() {
        of_objective(report, objective)
    } else {
        "no moment of the run and no client by itself: see the gates".to_owned()
    };
    format!("{}.", super::users::capital(&told))
}

/// A moment with its time on the clock.
fn at(report: &RunReport, us: u64) -> String {
    match utc(&report.started_at, us) {
        Some(utc) => format!("{} ({utc} UTC)", moment(us)),
        None => moment(us),
    }
}

fn from_to(report: &RunReport, first: u64, last: u64) -> String {
    match moment(last) != moment(first) && last > first {
        true => format!("{} until {}", at(report, first), at(report, last)),
        false => at(report, first),
    }
}

/// So many of each surface of all of it.
fn of_surfaces(report: &RunReport, some: &BTreeMap<Surface, u64>) -> String {
    let all = &report.fleet.clients;
    let told = some.iter().filter(|(_, n)| **n > 0).map(|(surface, n)| {
        let of = all.get(surface).copied().unwrap_or_default();
        format!("{} of {} {}", count(*n), count(of), surface.name())
    });
    told.collect::<Vec<_>>().join(", ")
}

fn of_absence(report: &RunReport, absence: &Absence) -> String {
    let until = match absence.until_us {
        Some(until) => format!(" until {}", at(report, until)),
        None => " until the end".to_owned(),
    };
    let whom = match absence.clients >= absence.arrived {
        // Nobody that was there was spared, of whichever surface.
        true => {
            let there: Vec<_> = report.fleet.clients.iter().filter(|(_, n)| **n > 0).collect();
            let names: Vec<_> = there.iter().map(|(surface, _)| surface.name()).collect();
            format!("hit everybody who was there ({})", names.join(", "))
        }
        false => format!(
            "hit {}, of which surfaces is not known: sockets were counted, and not whose",
            stability::of_all(absence.clients, absence.arrived)
        ),
    };
    format!("{}{until}: {whom}", at(report, absence.from_us))
}

fn of_rule(report: &RunReport, rule: Rule) -> String {
    let causes: Vec<_> = report.oracle.causes.iter().filter(|it| it.rule == rule).collect();
    let first = causes.iter().map(|it| it.first.at_us).min().unwrap_or_default();
    let last = causes.iter().map(|it| it.last_us).max().unwrap_or_default();
    let mut surfaces = BTreeMap::new();
    for (surface, n) in causes.iter().flat_map(|it| &it.surfaces) {
        let most = surfaces.entry(*surface).or_insert(0);
        *most = (*n).max(*most);
    }
    let befell = of_surfaces(report, &surfaces);
    let most = causes.iter().map(|it| it.clients).max().unwrap_or_default();
    let whom = match (befell.as_str(), most) {
        ("", 0) => "it is of the service, and of no client by itself".to_owned(),
        ("", some) => format!("hit {}, of which surfaces is not known", clients(some)),
        // Who is of several causes is counted once.
        (_, _) if causes.len() > 1 => format!("hit at least {befell}"),
        _ => format!("hit {befell}"),
    };
    format!("{}: {whom}", from_to(report, first, last))
}

fn of_incident(report: &RunReport, incident: Incident) -> String {
    let lines = || report.unplanned_ends.iter().filter(|line| line.kind == incident);
    let first = lines().map(|line| line.first_at_us).min();
    let last = lines().map(|line| line.last_at_us).max().unwrap_or_default();
    let whom = match lines()
        .next()
        .map_or((0, String::new()), |line| (line.clients, of_surfaces(report, &line.surfaces)))
    {
        (0, _) => "it is of the service, and of no client by itself".to_owned(),
        (some, befell) if befell.is_empty() => {
            format!("hit {}, of which surfaces is not known", clients(some))
        }
        (_, befell) => format!("hit {befell}"),
    };
    match first {
        Some(first) => format!("{}: {whom}", from_to(report, first, last)),
        None => format!("when is not known: {whom}"),
    }
}

/// A claim is on all samples of its phases: it has no moment, and its phases have.
fn of_objective(report: &RunReport, objective: &ObjectiveVerdict) -> String {
    let counts = |phase: &&Phase| match objective.during.is_empty() {
        true => phase.measure,
        false => objective.during.contains(&phase.name),
    };
    let phases: Vec<_> = report.phases.iter().filter(counts).collect();
    let when = match phases.first() {
        Some(first) => {
            let names: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
            format!("{} on, in all of {}", at(report, first.start_us), names.join(", "))
        }
        None => format!("{} on, in all of the run", at(report, 0)),
    };
    let whom = match objective.selected("surface") {
        Some(surface) => {
            let all = report.fleet.clients.iter().find(|(it, _)| it.name() == surface);
            format!("the {} of {surface}", clients(all.map_or(0, |(_, n)| *n)))
        }
        None if matches!(
            MetricId::of(&objective.metric),
            Some(MetricId::Publish | MetricId::PublishErrors)
        ) =>
        {
            "the load's commands".to_owned()
        }
        None => {
            let all = report.fleet.clients.iter().filter(|(_, n)| **n > 0);
            let names: Vec<_> = all.map(|(surface, _)| surface.name()).collect();
            format!("all of {}", names.join(", "))
        }
    };
    format!("{when} (a claim has no moment): {whom}")
}
