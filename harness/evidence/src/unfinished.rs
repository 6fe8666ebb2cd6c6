//! The facts of a run that never came to its end, from what it left behind.
//!
//! A run that is killed writes no facts. Its journal says which run it was and how far it came, its
//! events say what was done until then; nothing else is guessed.

use khala_plan::Plan;
use khala_plan::model::TargetKind;
use khala_plan::schedule::{PlannedFault, Schedule};

use crate::event::{Event, EventKind};
use crate::facts::{FaultOutcome, Finding, Generator, RunFacts, TargetFacts};
use crate::journal::Begin;
use crate::record::Micros;

/// What is known of a run of which the journal does not tell the end. `until` is the last time that the journal covers;
/// `full` where the journal itself says why it does not go on.
#[must_use]
pub fn facts(
    plan: &Plan,
    schedule: &Schedule,
    begin: &Begin,
    events: &[Event],
    until: Micros,
    (mut why, full): (String, bool),
) -> RunFacts {
    let (kind, defects) = match &plan.target.kind {
        TargetKind::Reference { defects, .. } => ("reference", defects.clone()),
        TargetKind::Url { .. } => ("url", Vec::new()),
    };
    let url = events.iter().find_map(|event| match &event.kind {
        EventKind::TargetReady { url } => Some(url.clone()),
        _ => None,
    });
    let lost = events.iter().find_map(|event| match &event.kind {
        EventKind::TargetLost { why } => Some((event.at_us, why.clone())),
        _ => None,
    });
    // Of a run that came to its end, and whose journal was cut afterwards, the events know when that was.
    let ended = ended(events);
    let until = ended.map_or(until, |end| until.min(end));
    if let Some(end) = ended {
        let at = std::time::Duration::from_micros(end).as_secs_f64();
        why += &match full {
            true => format!(
                "; the run itself went on to its end at {at:.1} s, of which nothing is kept"
            ),
            false => format!(
                "; the run itself came to its end at {at:.1} s, so that it was cut or changed afterwards, or had no \
                 room on the disk to be written on"
            ),
        };
    }
    let seen = if ended.is_some() { until } else { until.max(last_event(events)) };
    RunFacts {
        run_id: begin.run_id.clone(),
        started_at: begin.started_at.clone(),
        // Nobody was there to look at a clock.
        ended_at: String::new(),
        duration_us: seen,
        interrupted: false,
        drained: false,
        target: TargetFacts {
            way: None,
            url: url.unwrap_or_default(),
            kind: kind.to_owned(),
            defects,
            build: None,
            sockets: None,
            lost_at_us: lost.as_ref().map(|(at_us, _)| *at_us),
            lost: lost.map(|(_, why)| why),
        },
        faults: schedule.faults.iter().map(|fault| outcome(schedule, fault, events)).collect(),
        generator: Generator {
            worker_threads: plan.generator.worker_threads.max(1),
            publishes_planned: schedule.publishes.len() as u64,
            ..Generator::default()
        },
        findings: owed(events),
        events_dropped: 0,
        unfinished: Some(why),
        unkept: Vec::new(),
    }
}

/// When the run came to its own end, if the events say that it did.
#[must_use]
pub fn ended(events: &[Event]) -> Option<Micros> {
    events.iter().find(|event| event.kind == EventKind::Retired).map(|event| event.at_us)
}

fn last_event(events: &[Event]) -> Micros {
    events.last().map_or(0, |event| event.at_us)
}

/// What the events say of a fault.
fn outcome(schedule: &Schedule, fault: &PlannedFault, events: &[Event]) -> FaultOutcome {
    let mut outcome = FaultOutcome::not_applied(schedule, fault, "the run did not come so far");
    for event in events {
        match &event.kind {
            EventKind::FaultDue { id, .. } if *id == fault.id => {
                outcome.applied = true;
                "the run ended before it was proven".clone_into(&mut outcome.proof);
            }
            EventKind::FaultProven { id, effective, how } if *id == fault.id => {
                outcome.effective = *effective;
                outcome.proof.clone_from(how);
            }
            EventKind::CommandEnded { id, run } if *id == fault.id => {
                outcome.commands.push(run.clone());
            }
            _ => {}
        }
    }
    outcome
}

/// What was begun and never taken back: who reads this may have to.
fn owed(events: &[Event]) -> Vec<Finding> {
    let done = |fault: u16| {
        events
            .iter()
            .any(|event| matches!(event.kind, EventKind::UndoDone { id, .. } if id == fault))
    };
    let owed = events.iter().filter_map(|event| {
        let EventKind::UndoOwed { id, what } = &event.kind else { return None };
        let message = format!("the run ended before fault {id} was taken back: {what}");
        (!done(*id)).then(|| Finding::at_end("not_undone", message, 1))
    });
    owed.collect()
}
