//! `pause`: the target's process stands still for a while, and goes on where it was.
//!
//! Its sockets stay open and nobody is told: what a stalled host, a stop-the-world collection or a frozen
//! disk does. Only of a target that the harness starts itself.

use std::time::Duration;

use serde::Serialize;

use super::{Advice, Befalls, Definition, Extent, FaultKind, FaultType, Need};
use crate::model::{ActsOn, Plan};
use crate::read::fields::Fields;
use crate::schedule::{PlannedFault, Schedule};
use crate::stability::{Consequence, Incident};
use crate::units::format_duration;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "pause",
    summary: "Stops the target's process (SIGSTOP) for a while; its sockets stay open.",
    told: |_, _| "the service stands still for a while".to_owned(),
    mend: "Let the harness start the target itself, so that it has a process to stop.",
    acts_on: ActsOn::Target,
    extent: Extent::Interval,
    by_hand: true,
    exercises: &[],
    attributes: &[],
    read,
};

/// Until clients that gave it up have come back: a dial's time-out and the longest first back-off.
const AFTER: Duration = Duration::from_secs(15);

/// Stops the target's process for an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {}

impl Definition for Pause {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::OwnProcess
    }

    fn silences_the_target(&self) -> bool {
        true
    }

    /// That it does not answer, and what follows from that. A channel that crashes does not.
    fn befalls(&self) -> Option<Befalls> {
        let follows = [
            Incident::HeartbeatTimeouts,
            Incident::SocketEnds,
            Incident::Rejoins,
            Incident::ConnectErrors,
            Incident::MintErrors,
            Incident::JoinErrors,
            Incident::SubscribeErrors,
            Incident::SnapshotErrors,
            Incident::PublishErrors,
        ];
        let causes = follows.map(Consequence::Incident).into_iter();
        let causes = std::iter::once(Consequence::Absence).chain(causes).collect();
        Some(Befalls { after: AFTER, causes: Some(causes) })
    }

    /// What is published meanwhile comes when it goes on, and is late by the bound all the same.
    fn advice(&self, fault: &PlannedFault, plan: &Plan, _schedule: &Schedule) -> Option<Advice> {
        let stands = Duration::from_micros(fault.duration_us?);
        let bound = plan.oracle.settle_within;
        (stands >= bound).then(|| {
            let (stands, bound) = (format_duration(stands), format_duration(bound));
            let what = format!("the target stands still for {stands}, longer than updates may take");
            let note = format!(
                "what it acknowledged just before is late beyond `oracle.settle_within` ({bound}) when it goes on"
            );
            Advice::new(what, "shorten the pause, or raise `oracle.settle_within`").note(note)
        })
    }
}

fn read(_attributes: &mut Fields<'_>) -> Option<FaultKind> {
    Some(Pause {}.into())
}
