//! What faults need of the rest of the scenario.

use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::phase::Phases;
use crate::model::{FaultKind, Target, TargetKind};

/// Reports faults that the target does not go with. Asks nothing while any fault is unreadable.
pub(crate) fn check(cx: &Cx, target: Option<&Target>, phases: &Phases) {
    let faults = phases.phases.iter().flatten().flat_map(|phase| &phase.faults);
    for (fault, place) in faults.zip(&phases.fault_places) {
        if let FaultKind::Restart { .. } = fault.kind
            && let Some(TargetKind::Url { .. }) = target.map(|target| &target.kind)
        {
            let what = "the harness cannot restart a target that it has not started";
            let help = "use `kind = \"reference\"` in `[target]`, or remove the fault; commands that \
                        restart another target are not yet served";
            cx.report(Diagnostic::error(place, what).help(help));
        }
    }
}
