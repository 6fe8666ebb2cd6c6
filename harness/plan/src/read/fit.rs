//! What faults need of the rest of the scenario.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::phase::Phases;
use super::source::Place;
use crate::model::{Fault, FaultKind, Target, TargetKind};
use crate::units::format_duration;

/// Reports faults that do not go with the target or with their phase. Asks nothing while any
/// fault is unreadable.
pub(crate) fn check(cx: &Cx, target: Option<&Target>, phases: &Phases) {
    let declared = phases.phases.iter().flatten();
    let faults =
        declared.flat_map(|phase| phase.faults.iter().map(move |fault| (fault, phase.duration)));
    for ((fault, phase), place) in faults.zip(&phases.fault_places) {
        let found = match &fault.kind {
            FaultKind::Restart { .. } => no_process(target, place),
            FaultKind::PublishBurst { over, .. } => outlasts(fault, *over, phase, place),
            FaultKind::Hook(hook) if fault.duration.is_some() && hook.undo.is_none() => {
                endless(place)
            }
            _ => None,
        };
        if let Some(found) = found {
            cx.report(found);
        }
    }
}

fn no_process(target: Option<&Target>, place: &Place) -> Option<Diagnostic> {
    let TargetKind::Url { .. } = target?.kind else { return None };
    let what = "the harness cannot restart a target that it has not started";
    let help = "use `kind = \"reference\"` in `[target]`, or remove the fault; commands that restart \
                another target can be a fault of type `hook`";
    Some(Diagnostic::error(place, what).help(help))
}

fn endless(place: &Place) -> Option<Diagnostic> {
    let what = "the hook has a `duration`, and no `undo` ends it";
    let help = "add `undo` to its attributes, or remove `duration`";
    Some(Diagnostic::error(place, what).help(help))
}

fn outlasts(fault: &Fault, over: Duration, phase: Duration, place: &Place) -> Option<Diagnostic> {
    let end = fault.at + over;
    (end > phase && fault.at < phase).then(|| {
        let (end, phase) = (format_duration(end), format_duration(phase));
        let what = format!("the burst ends at {end}, after its phase, which is {phase} long");
        let help = "shorten `over`, or lengthen the phase";
        Diagnostic::error(place, what).help(help)
    })
}
