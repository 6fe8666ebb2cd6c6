//! `cursor`: clients come back with a cursor that is not theirs.
//!
//! Each target closes its socket, connects again by its back-off, and subscribes with the chosen
//! cursor on the new socket: on the old one events would still be under way, and nobody could say
//! which subscribe they belong to.

use std::time::Duration;

use serde::Serialize;

use super::{Advice, Definition, Exercise, Extent, FaultKind, FaultType};
use crate::estimate::future_stay;
use crate::model::{ActsOn, ChosenCursor, Garbage, Plan, TargetKind};
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::Fields;
use crate::read::key::{Key, Within, Words};
use crate::schedule::{PlannedFault, Schedule};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "cursor",
    summary: "Closes the sockets of its targets, which come back with a cursor that is not theirs.",
    told: |clients, _| format!("{clients} come back to another place than they left"),
    mend: "See under Requests how `subscribe` was answered: with such a cursor, too, an answer is \
           due, ok or `stale_cursor`.",
    acts_on: ActsOn::Clients,
    extent: Extent::InstantOfEach,
    by_hand: true,
    exercises: &[Exercise::StaleCursor],
    attributes: &[&STALE_BY, &FUTURE_BY, &GARBAGE],
    read,
};

/// Closes sockets at an instant; the clients come back with a cursor that is not theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cursor {
    /// Which one.
    #[serde(flatten)]
    pub cursor: ChosenCursor,
}

impl Cursor {
    fn is_future(self) -> bool {
        matches!(self.cursor, ChosenCursor::FutureBy(_))
    }
}

impl Definition for Cursor {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn exercises(&self, what: Exercise) -> bool {
        what == Exercise::StaleCursor && matches!(self.cursor, ChosenCursor::StaleBy(_))
    }

    fn away(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn invites_refusals(&self) -> bool {
        true
    }

    fn acts_for(&self, plan: &Plan, _duration: Option<Duration>) -> Duration {
        if self.is_future() { future_stay(plan.oracle.settle_within) } else { Duration::ZERO }
    }

    /// A cursor beyond head costs the socket that it was accepted on as well.
    fn closes_in_order(&self) -> u64 {
        if self.is_future() { 2 } else { 1 }
    }

    /// Cursors that would be older than all that is published before.
    fn advice(&self, fault: &PlannedFault, plan: &Plan, schedule: &Schedule) -> Option<Advice> {
        let ChosenCursor::StaleBy(events) = self.cursor else { return None };
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
            Advice::new(what, "lower `stale_by`, publish more, or move the fault").note(note)
        })
    }
}

const EVENTS: Within<u64> = Within(1, u32::MAX as u64);
const STALE_BY: Key<Within<u64>> = Key::new(
    "stale_by",
    EVENTS,
    "stale_by = 100",
    "So many events behind what the target had applied, on each topic that has had as \
     many: the contract decides whether that is stale.",
)
.unit("events")
.alternative();
const FUTURE_BY: Key<Within<u64>> = Key::new(
    "future_by",
    EVENTS,
    "future_by = 100",
    "So many events beyond the highest that any client has seen. The contract is \
     silent on it: what is answered is a finding, and where it is accepted, what \
     does not come to the client, which stays subscribed for the settle bound and \
     two seconds more before it comes back with its own cursor.",
)
.unit("events")
.alternative();
const GARBAGE: Key<Words<Garbage>> = Key::new(
    "garbage",
    Words(&[("negative", Garbage::Negative), ("text", Garbage::Text), ("number", Garbage::Number)]),
    "garbage = \"negative\"",
    "No cursor at all, which must be refused with `bad_subscription`: a `negative` \
     number, a number as `text`, or one bare `number` for all topics.",
)
.alternative();

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let stale_by = attributes.get(&STALE_BY).map(ChosenCursor::StaleBy);
    let future_by = attributes.get(&FUTURE_BY).map(ChosenCursor::FutureBy);
    let garbage = attributes.get(&GARBAGE);
    let given: Vec<_> = TYPE.attributes.iter().filter(|key| attributes.has(**key)).collect();
    match *given {
        [_] => {
            let chosen = stale_by.or(future_by).or(garbage.map(ChosenCursor::Garbage));
            chosen.map(|cursor| Cursor { cursor }.into())
        }
        [] => {
            let what = "the fault does not say which cursor the targets come back with";
            let help = "add `stale_by = 100`, `future_by = 100` or `garbage = \"negative\"`";
            attributes.cx.report_missing(Diagnostic::error(&attributes.place, what).help(help));
            None
        }
        [first, second, ..] => {
            let node = attributes.node(*second)?;
            let what = "the targets come back with one cursor, not with several";
            let help = format!("remove `{}` or `{}`", first.name(), second.name());
            attributes.cx.report(Diagnostic::error(&node.place, what).help(help));
            None
        }
    }
}
