//! What happens to a run, in a line for people.

use std::time::Duration;

use khala_engine::observe::{Event, EventKind};

/// An event in a line; none of what people need not see as it happens.
#[must_use]
pub fn line(event: &Event) -> Option<String> {
    let at_s = Duration::from_micros(event.at_us).as_secs_f64();
    let text = match &event.kind {
        EventKind::TargetReady { url } => return Some(format!("target ready at {url}")),
        EventKind::TargetLacks { what } => return Some(format!("note: {what}")),
        EventKind::PhaseBegan { phase, .. } => format!("phase {phase}"),
        EventKind::FaultDue { kind, planned, .. } => format!("fault {kind}: {planned} planned"),
        EventKind::FaultSwitched { id, on, by } => {
            let way = if *on { "on" } else { "off" };
            format!("fault {id} switched {way} by {by}")
        }
        EventKind::FaultActed { failed: Some(why), .. } => {
            format!("fault could not be carried out: {why}")
        }
        EventKind::CommandBegan { part, command, .. } => format!("{part} {command:?}"),
        EventKind::CommandEnded { run, .. } => run.told(),
        EventKind::FaultProven { effective: Some(effective), how, .. } => {
            format!("fault hit {effective} ({how})")
        }
        EventKind::FaultProven { effective: None, how, .. } => format!("fault not proven ({how})"),
        EventKind::TargetLost { why } => format!("target lost: {why}"),
        EventKind::WorkerRemains { worker, why } => {
            format!("worker {worker} remains on the target: {why}")
        }
        EventKind::DrainBegan => "draining".to_owned(),
        EventKind::DrainEnded { drained, behind, not_live, unseen } => {
            drain_end(*drained, *behind, *not_live, *unseen)
        }
        EventKind::UndoDone { id, failed: Some(why) } => {
            format!("fault {id} was NOT TAKEN BACK: {why}")
        }
        EventKind::Interrupted { by: Some(by) } => format!("aborted by {by}"),
        EventKind::FaultActed { failed: None, .. }
        | EventKind::UndoOwed { .. }
        | EventKind::UndoDone { failed: None, .. }
        | EventKind::Interrupted { by: None }
        | EventKind::Retired => return None,
    };
    Some(format!("{at_s:6.1} s  {text}"))
}

/// What became of the drain: that the topics ran dry is said only when they did.
fn drain_end(drained: bool, behind: u64, not_live: u64, unseen: u64) -> String {
    let missing = [
        (behind, "live clients behind"),
        (not_live, "clients not live"),
        (unseen, "acknowledged publishes that nobody has seen"),
    ];
    let missing: Vec<_> =
        missing.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    match (drained, missing.is_empty()) {
        (true, true) => "the topics ran dry".to_owned(),
        (true, false) => format!("nothing more comes: {}", missing.join(", ")),
        (false, true) => "the drain ended before the topics were known to be dry".to_owned(),
        (false, false) => format!("the topics did not run dry: {}", missing.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_topics_ran_dry_is_said_only_when_they_did() {
        for (drained, missing, said) in [
            (true, [0, 0, 0], "the topics ran dry"),
            (true, [0, 60, 0], "nothing more comes: 60 clients not live"),
            (false, [0, 0, 0], "the drain ended before the topics were known to be dry"),
            (
                false,
                [2, 1, 7],
                "the topics did not run dry: 2 live clients behind, 1 clients not live, \
                 7 acknowledged publishes that nobody has seen",
            ),
        ] {
            let [behind, not_live, unseen] = missing;
            assert_eq!(drain_end(drained, behind, not_live, unseen), said);
        }
    }
}
