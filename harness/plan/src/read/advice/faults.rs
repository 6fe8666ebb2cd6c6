//! Warnings about single faults: those that will not bite, or not as their author thinks.

use std::time::Duration;

use super::{PUBLISH_LIMIT_PER_S, returned};
use crate::estimate::{Strike, future_stay, third_strike};
use crate::model::{ChosenCursor, DisconnectStyle, FaultKind, Mint, Plan, Resume, TargetKind};
use crate::read::diagnostic::Diagnostic;
use crate::read::scenario::Placeable;
use crate::read::source::Place;
use crate::schedule::{PlannedFault, Schedule, micros};
use crate::units::format_duration;

/// A client heartbeats every 20 s and misses the answer at the next: twice that, and some to spare.
const HALF_OPEN_PHASE_MIN: Duration = Duration::from_secs(60);
/// How long after its back-off a client may take to connect and to ask for the target's window.
const RETURN_TAKES: Duration = Duration::from_secs(1);

pub(super) fn of(placeable: &Placeable, schedule: &Schedule) -> Vec<Diagnostic> {
    let plan = &placeable.plan;
    let mut found = Vec::new();
    for (index, (fault, place)) in schedule.faults.iter().zip(&placeable.fault_places).enumerate() {
        found.extend(half_open(schedule, fault, place));
        found.extend(never_struck(plan, schedule, fault, place));
        found.extend(inexact_cursor(plan, schedule, fault, place));
        found.extend(never_so_old(plan, schedule, fault, place));
        found.extend(refused_burst(plan, schedule, fault, place));
        found.extend(unsubscribes_nobody(plan, schedule, fault, place));
        found.extend(not_our_token(plan, fault, place));
        found.extend(nothing_to_publish(plan, fault, place));
        let before = schedule.faults[..index].iter().find(|before| overlap(plan, before, fault));
        found.extend(before.map(|before| {
            let what = format!(
                "it hits clients on which another fault still acts, the `{}` before it",
                before.kind.name()
            );
            let help = "move one of them, or aim them at different cohorts";
            Diagnostic::warning(place, what).help(help)
        }));
    }
    found
}

fn half_open(schedule: &Schedule, fault: &PlannedFault, place: &Place) -> Option<Diagnostic> {
    let FaultKind::Disconnect { style: DisconnectStyle::HalfOpen } = fault.kind else {
        return None;
    };
    let phase = &schedule.phases[usize::from(fault.phase)];
    let length = Duration::from_micros(phase.end_us - phase.start_us);
    (length < HALF_OPEN_PHASE_MIN).then(|| {
        let what = "the phase is too short for clients to notice a half-open socket";
        let note = format!(
            "it is {} long; they notice at a heartbeat that goes unanswered, and {} are needed",
            format_duration(length),
            format_duration(HALF_OPEN_PHASE_MIN)
        );
        Diagnostic::warning(place, what).note(note).help("lengthen the phase")
    })
}

/// Slow readers whose interval is too short to be struck in, or only just long enough.
fn never_struck(
    plan: &Plan,
    schedule: &Schedule,
    fault: &PlannedFault,
    place: &Place,
) -> Option<Diagnostic> {
    let FaultKind::SlowReader { .. } = fault.kind else { return None };
    let duration_s = fault.duration_us.unwrap_or(0) as f64 / 1e6;
    let help = "lengthen the fault, publish more or larger events, or make the buffers smaller";
    let warning = match third_strike(plan, schedule, fault) {
        None => Diagnostic::warning(place, "the slow reader will not be evicted")
            .note("what is published during the fault does not fill the buffers and the queue"),
        Some(Strike { struck_s, .. }) if duration_s < 2.0 * struck_s => {
            let what = "the slow reader may not be evicted in time";
            let note = format!(
                "the third strike is expected about {struck_s:.1} s after it begins, and twice \
                 that is longer than its {duration_s} s"
            );
            Diagnostic::warning(place, what).note(note)
        }
        Some(_) => return None,
    };
    Some(warning.help(help))
}

/// Cursors that are computed from the target's window while it moves.
fn inexact_cursor(
    plan: &Plan,
    schedule: &Schedule,
    fault: &PlannedFault,
    place: &Place,
) -> Option<Diagnostic> {
    let FaultKind::Offline { offline_for, resume } = fault.kind else { return None };
    if resume == Resume::Kept {
        return None;
    }
    let from = fault.at_us + micros(offline_for);
    let to = returned(plan, fault)? + micros(RETURN_TAKES);
    let first = schedule.publishes.partition_point(|publish| publish.at_us < from);
    schedule.publishes.get(first).filter(|publish| publish.at_us < to).map(|_| {
        let what = "the clients come back while a load publishes, so their cursor is not exact";
        let note = "it is computed from the target's window, which every publish moves";
        let help = "end `offline_for` in a phase in which no load runs (`during`)";
        Diagnostic::warning(place, what).note(note).help(help)
    })
}

/// Cursors that would be older than all that is published before.
fn never_so_old(
    plan: &Plan,
    schedule: &Schedule,
    fault: &PlannedFault,
    place: &Place,
) -> Option<Diagnostic> {
    let FaultKind::Cursor { cursor: ChosenCursor::StaleBy(events) } = fault.kind else {
        return None;
    };
    // On any other target there may be events from before the run.
    let TargetKind::Reference { .. } = plan.target.kind else { return None };
    let published = schedule.publishes.partition_point(|publish| publish.at_us < fault.at_us);
    // Each worker's beginning is an event too.
    let workers: u32 = plan.loads.iter().map(|load| load.workers).sum();
    let most = published as u64 + u64::from(workers);
    (most < events).then(|| {
        let what =
            format!("no cursor can be {events} events old: no more than {most} come before it");
        let note = "the fault will hit nobody, and its gates will be INCONCLUSIVE";
        let help = "lower `stale_by`, publish more, or move the fault";
        Diagnostic::warning(place, what).note(note).help(help)
    })
}

/// Bursts that a runtime's publish limit refuses in part.
fn refused_burst(
    plan: &Plan,
    schedule: &Schedule,
    fault: &PlannedFault,
    place: &Place,
) -> Option<Diagnostic> {
    let FaultKind::PublishBurst { .. } = fault.kind else { return None };
    // On any other target the limit may have been raised.
    let TargetKind::Reference { .. } = plan.target.kind else { return None };
    let own = schedule.publishes.iter().filter(|publish| publish.fault == Some(fault.id));
    let most = own.map(|publish| in_a_second(schedule, publish.at_us)).max()?;
    (most as f64 > PUBLISH_LIMIT_PER_S).then(|| {
        let what =
            format!("there are {most} publishes in a second of the burst, the load's included");
        let note = format!(
            "the runtime refuses more than {PUBLISH_LIMIT_PER_S}: publish errors, and no bite"
        );
        let help = "lower `events`, or lengthen `over`";
        Diagnostic::warning(place, what).note(note).help(help)
    })
}

/// Publishes in the second from a time on.
fn in_a_second(schedule: &Schedule, from_us: u64) -> usize {
    let place = |at| schedule.publishes.partition_point(|publish| publish.at_us < at);
    place(from_us.saturating_add(1_000_000)) - place(from_us)
}

fn unsubscribes_nobody(
    plan: &Plan,
    schedule: &Schedule,
    fault: &PlannedFault,
    place: &Place,
) -> Option<Diagnostic> {
    let FaultKind::Unsubscribe { topics, .. } = &fault.kind else { return None };
    let mut hit =
        schedule.arrivals.iter().filter(|a| fault.targets.binary_search(&a.client).is_ok());
    let subscribes = |cohort: u16| {
        let cohort = &plan.fleet.cohorts[usize::from(cohort)];
        topics.iter().any(|topic| cohort.topics.contains(topic))
    };
    (!hit.any(|arrival| subscribes(arrival.cohort))).then(|| {
        let what = "none of the clients that it hits subscribes to such a topic";
        Diagnostic::warning(place, what).help("name a topic of theirs, or aim at another cohort")
    })
}

/// Tokens, or sessions, that are not the harness's to make.
fn not_our_token(plan: &Plan, fault: &PlannedFault, place: &Place) -> Option<Diagnostic> {
    if matches!(plan.target.kind, TargetKind::Reference { .. }) {
        // Its keys are the harness's own.
        return None;
    }
    let what = match (&fault.kind, &plan.auth.mint) {
        // What was good once the control service mints.
        (FaultKind::Token { kind }, Mint::Control) if kind.finding().is_some() => return None,
        (FaultKind::Token { .. }, Mint::Control | Mint::Static { .. }) => {
            "the harness cannot make such a token: it has no key to sign it with"
        }
        (FaultKind::RevokeSessions { .. }, Mint::Static { .. }) => {
            "the harness does not know whose session the one token is of, so it cannot revoke it"
        }
        _ => return None,
    };
    let note = "the fault will hit nobody, and its gates will be INCONCLUSIVE";
    let help = "write `mint = \"hs256\"` and the key in `[auth]`";
    Some(Diagnostic::warning(place, what).note(note).help(help))
}

/// A fault that publishes, in a scenario that has no worker to publish for.
fn nothing_to_publish(plan: &Plan, fault: &PlannedFault, place: &Place) -> Option<Diagnostic> {
    let publishes =
        matches!(fault.kind, FaultKind::CommandOverSocket | FaultKind::PublishBurst { .. });
    (publishes && plan.loads.is_empty()).then(|| {
        let what = format!("`{}` needs a load, and the scenario has none", fault.kind.name());
        let note = "the fault will do nothing, and its gates will be INCONCLUSIVE";
        Diagnostic::warning(place, what).note(note).help("add a `[[load]]`")
    })
}

/// Whether two faults act on one client at one time.
fn overlap(plan: &Plan, a: &PlannedFault, b: &PlannedFault) -> bool {
    let ((a_from, a_to), (b_from, b_to)) = (span(plan, a), span(plan, b));
    a_from <= b_to && b_from <= a_to && share_a_target(&a.targets, &b.targets)
}

/// From the first to the last microsecond at which a fault itself acts.
fn span(plan: &Plan, fault: &PlannedFault) -> (u64, u64) {
    let acts_us = match fault.kind {
        FaultKind::Offline { offline_for, .. } => micros(offline_for),
        FaultKind::Unsubscribe { unsubscribed_for, .. } => micros(unsubscribed_for),
        FaultKind::RevokeSessions { revoked_for } => micros(revoked_for),
        FaultKind::SlowReader { .. } | FaultKind::Hook(_) => fault.duration_us.unwrap_or(0),
        FaultKind::Cursor { cursor: ChosenCursor::FutureBy(_) } => {
            micros(future_stay(plan.oracle.settle_within))
        }
        FaultKind::Disconnect { .. }
        | FaultKind::Cursor { .. }
        | FaultKind::Token { .. }
        | FaultKind::CommandOverSocket
        | FaultKind::Restart { .. }
        | FaultKind::RetentionTrim { .. }
        | FaultKind::PublishBurst { .. } => 0,
    };
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
