//! What parts of a scenario need of one another.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::phase::Phases;
use super::source::Place;
use super::tree::Node;
use crate::fault::{Advice, Need};
use crate::model::{Fleet, Target, TargetKind};
use crate::units::format_duration;

/// Reports source addresses from which the target cannot be reached.
pub(crate) fn check_sources(cx: &Cx, target: Option<&Target>, generator: Option<&Node>) {
    let Some(TargetKind::Url { base_url }) = target.map(|target| &target.kind) else { return };
    let sources = generator.and_then(Node::as_table).and_then(|it| it.get("source_addresses"));
    if let (true, Some(sources)) = (base_url.contains("://["), sources) {
        let what = "the target has an IPv6 address, and IPv4 addresses reach none";
        let help = "leave `source_addresses` out, or give the target's IPv4 address";
        cx.report(Diagnostic::error(&sources.place, what).help(help));
    }
}

/// Reports stages of the fleet that go on when the phases are over, and those in which clients leave before the
/// oracle could say of one that it never got up to date: a target that answers nobody would break no rule.
pub(crate) fn check_stages(
    cx: &Cx,
    fleet: Option<&Fleet>,
    place: &Place,
    phases: &Phases,
    converge_within: Duration,
) {
    let (Some(fleet), Some(phases)) = (fleet, &phases.phases) else { return };
    let mut before = fleet.at_first;
    for stage in &fleet.stages {
        let there = f64::from(before).midpoint(f64::from(stage.target));
        before = stage.target;
        // Whoever came first leaves first: in a stage that is shorter, those who were there before.
        let stay_s = there / stage.churn_per_s;
        let least = converge_within.min(stage.duration).as_secs_f64();
        if stage.churn_per_s > 0.0 && stay_s < least {
            let within = format_duration(converge_within);
            let what = format!(
                "clients stay for {stay_s:.1} s in a stage of {}, and only after {within} is one that is not up to \
                 date held against the target (`oracle.converge_within`)",
                format_duration(stage.duration)
            );
            let help = "lower `churn`, or `converge_within`";
            cx.report(Diagnostic::error(place, what).help(help));
        }
    }
    let stages: Duration = fleet.stages.iter().map(|stage| stage.duration).sum();
    let lasts: Duration = phases.iter().map(|phase| phase.duration).sum();
    if stages > lasts {
        let (stages, lasts) = (format_duration(stages), format_duration(lasts));
        let what = format!("the stages of the fleet take {stages}, and the phases {lasts}");
        let help = "lengthen the phases, or shorten the stages";
        cx.report(Diagnostic::error(place, what).help(help));
    }
}

/// Reports faults that do not go with the target or with their phase. Asks nothing while any
/// fault is unreadable.
pub(crate) fn check(cx: &Cx, target: Option<&Target>, phases: &Phases) {
    let declared = phases.phases.iter().flatten();
    let faults =
        declared.flat_map(|phase| phase.faults.iter().map(move |fault| (fault, phase.duration)));
    for ((fault, phase), place) in faults.zip(&phases.fault_places) {
        let of_target =
            fault.kind.needs(Need::OwnProcess).then(|| no_process(target, fault.kind.name()));
        let found = of_target.flatten().or_else(|| fault.kind.misfit(fault, phase));
        if let Some(Advice { what, note, help, .. }) = found {
            let error = Diagnostic::error(place, what).help(help);
            cx.report(note.into_iter().fold(error, Diagnostic::note));
        }
    }
}

/// A fault on a process of the harness's own, where the target is none.
fn no_process(target: Option<&Target>, fault: &str) -> Option<Advice> {
    let TargetKind::Url { .. } = target?.kind else { return None };
    let what = format!("the harness cannot {fault} a target that it has not started");
    let help = "use `kind = \"reference\"` in `[target]`, or remove the fault; commands that do this to \
                another target can be a fault of type `hook`";
    Some(Advice::new(what, help))
}
