//! What a passive run may not have, and what any run may not be more than: both are said of the target, and
//! asked of the rest of the scenario.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::phase::Phases;
use super::scenario::key_of_target;
use super::source::Place;
use super::target::keys::{CLIENTS_MAX, COMMANDS, CONNECT_RATE_MAX, EXCLUSIVE};
use crate::model::{CommandPath, Fleet, Target, TargetKind};
use crate::units::format_duration;

/// What is held against the target's keys.
pub(crate) struct Asked<'a> {
    pub target: Option<&'a Target>,
    pub fleet: Option<&'a Fleet>,
    pub fleet_place: &'a Place,
    pub load_places: &'a [Place],
    pub phases: &'a Phases,
}

/// Reports what writes although nothing may be written, and a fleet beyond the target's ceilings.
pub(crate) fn check(scenario: &Fields<'_>, asked: &Asked<'_>) {
    let (cx, Some(target)) = (scenario.cx, asked.target) else { return };
    if target.commands == CommandPath::None {
        let said = said(scenario, COMMANDS.name, "none");
        writes(cx, scenario, target, &said, asked);
    }
    ceilings(cx, scenario, target, asked);
}

/// Where a key of the target stands, in a clause; of one that is left out, that it is the default.
fn said(scenario: &Fields<'_>, key: &str, value: &str) -> String {
    let node = key_of_target(scenario, key);
    let place = node.map(|node| scenario.cx.sources.borrow().describe(&node.place));
    match place {
        Some(place) => format!("`{key} = {value}` in `[target]` ({place})"),
        None => format!("`{key}` in `[target]` is {value} unless it says otherwise"),
    }
}

fn writes(cx: &Cx, scenario: &Fields<'_>, target: &Target, said: &str, asked: &Asked<'_>) {
    for place in asked.load_places {
        let what = "a passive run publishes nothing, and here is a `[[load]]`";
        let help =
            "remove the load, or the key; `scenarios/passive.toml` is a scenario without one";
        cx.report(Diagnostic::error(place, what).note(said).help(help));
    }
    let faults = asked.phases.phases.iter().flatten().flat_map(|phase| &phase.faults);
    for (fault, place) in faults.zip(&asked.phases.fault_places) {
        let Some(why) = fault.kind.disturbs() else { continue };
        let what = format!("a passive run has no place for `{}`: {why}", fault.kind.name());
        let help = "remove the fault, or the key";
        cx.report(Diagnostic::error(place, what).note(said).help(help));
    }
    let wrong = match target.kind {
        TargetKind::Reference { .. } => Some((
            "nobody writes to the embedded runtime, so that a passive run has nothing to judge",
            "aim it at a runtime that others use: `kind = \"url\"`",
            COMMANDS.name,
        )),
        TargetKind::Url { .. } if target.exclusive => Some((
            "`exclusive = true` says that nobody else writes, and a passive run does not either",
            "leave `exclusive` out there, or give `--set target.exclusive=false` to this run",
            EXCLUSIVE.name,
        )),
        TargetKind::Url { .. } => None,
    };
    if let Some((what, help, key)) = wrong {
        let place = key_of_target(scenario, key).map_or(asked.fleet_place, |node| &node.place);
        cx.report(Diagnostic::error(place, what).note(said).help(help));
    }
}

fn ceilings(cx: &Cx, scenario: &Fields<'_>, target: &Target, asked: &Asked<'_>) {
    let Some(fleet) = asked.fleet else { return };
    let fail = |what: String, note: String, help: String| {
        cx.report(Diagnostic::error(asked.fleet_place, what).note(note).help(help));
    };
    let peak = fleet.clients_peak();
    if let Some(most) = target.clients_max.filter(|most| peak > *most) {
        let what = format!("the fleet has {peak} clients; the target's ceiling is {most}");
        let note = said(scenario, CLIENTS_MAX.name, &most.to_string());
        let help = format!("lower `fleet.clients`, or raise `target.{}`", CLIENTS_MAX.name);
        fail(what, note, help);
    }
    let Some(most) = target.connect_rate_max else { return };
    let note = || said(scenario, CONNECT_RATE_MAX.name, &format!("{most}/s"));
    let raise = format!("raise `target.{}`", CONNECT_RATE_MAX.name);
    let needs_s = f64::from(fleet.at_first) / most;
    // One client needs no time at all.
    if fleet.at_first > 1 && fleet.ramp.as_secs_f64() < needs_s {
        let what = format!(
            "{} clients arrive within {}; the target's ceiling is {most} connects a second",
            fleet.at_first,
            format_duration(fleet.ramp)
        );
        let least = format_duration(Duration::from_secs_f64(needs_s.ceil()));
        fail(what, note(), format!("write `ramp = \"{least}\"` or more, or {raise}"));
    }
    let mut level = fleet.at_first;
    for stage in &fleet.stages {
        let up = f64::from(stage.target.saturating_sub(level));
        level = stage.target;
        let up_per_s = if up > 1.0 { up / stage.duration.as_secs_f64() } else { 0.0 };
        if up_per_s + stage.churn_per_s > most {
            let what = format!(
                "a stage of {} brings more than {most} clients a second, the target's ceiling of connects",
                format_duration(stage.duration)
            );
            fail(what, note(), format!("lengthen the stage, or {raise}"));
        }
    }
}
