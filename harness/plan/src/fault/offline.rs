//! `offline`: clients vanish at an instant, stay away, and come back with an old cursor.

use std::time::Duration;

use serde::Serialize;

use super::{Advice, Definition, Exercise, Extent, FaultKind, FaultType, Need};
use crate::estimate::returned;
use crate::model::{ActsOn, Plan, Resume};
use crate::read::fields::Fields;
use crate::read::key::{Key, KeyOr, Within, Words};
use crate::schedule::{PlannedFault, Schedule};
use crate::units::micros;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "offline",
    summary: "Resets the sockets of its targets, which stay away and come back with an old cursor.",
    told: |clients, _| format!("{clients} go away and come back"),
    mend: "Give its targets the time to connect before it, and to come back after it (longer \
           phases, more time between faults); where they are refused, `upgrade` and `join` under \
           Requests say how.",
    acts_on: ActsOn::Clients,
    extent: Extent::InstantOfEach,
    by_hand: true,
    exercises: &[Exercise::StaleCursor],
    attributes: &[&OFFLINE_FOR, &RESUME],
    read,
};

/// How long after its back-off a client may take to connect and to ask for the target's window.
const RETURN_TAKES: Duration = Duration::from_secs(1);

/// Resets sockets at an instant; the clients stay away and come back with an old cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Offline {
    /// How long they stay away; the surface's back-off counts only from then on.
    #[serde(serialize_with = "crate::units::serialize_duration")]
    pub offline_for: Duration,
    /// The cursor that they come back with.
    pub resume: Resume,
}

impl Definition for Offline {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::Windows && self.resume != Resume::Kept
    }

    fn away(&self) -> Option<Duration> {
        Some(self.offline_for)
    }

    fn resumes(&self) -> Option<Resume> {
        Some(self.resume)
    }

    fn acts_for(&self, _plan: &Plan, _duration: Option<Duration>) -> Duration {
        self.offline_for
    }

    /// Cursors that are computed from the target's window while it moves.
    fn advice(&self, fault: &PlannedFault, plan: &Plan, schedule: &Schedule) -> Option<Advice> {
        if self.resume == Resume::Kept {
            return None;
        }
        let from = fault.at_us + micros(self.offline_for);
        let to = returned(plan, fault)? + micros(RETURN_TAKES);
        let first = schedule.publishes.partition_point(|publish| publish.at_us < from);
        schedule.publishes.get(first).filter(|publish| publish.at_us < to).map(|_| {
            let what = "the clients come back while a load publishes, so their cursor is not exact";
            let help = "end `offline_for` in a phase in which no load runs (`during`)";
            let note = "it is computed from the target's window, which every publish moves";
            Advice::new(what, help).note(note)
        })
    }
}

const OFFLINE_FOR: Key<Within<Duration>> = Key::new(
    "offline_for",
    Within(Duration::from_millis(1), Duration::from_secs(24 * 3600)),
    "offline_for = \"10s\"",
    "How long they stay away; their back-off counts only from then on. Both are part of \
     `time_to_recovered`.",
)
.required();
const RESUME: KeyOr<Words<Resume>> = Key::new(
    "resume",
    Words(&[
        ("kept", Resume::Kept),
        ("below-floor", Resume::BelowFloor),
        ("at-floor", Resume::AtFloor),
        ("beyond-budget", Resume::BeyondBudget),
        ("at-budget", Resume::AtBudget),
    ]),
    "resume = \"below-floor\"",
    "The cursor that they come back with: `kept`; or, computed from the target's \
     window just before the return and exact only while nothing is published, \
     `below-floor` and `beyond-budget` (stale), `at-floor` and `at-budget` (fresh).",
)
.or(Resume::Kept);

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let offline_for = attributes.need(&OFFLINE_FOR);
    let resume = attributes.right(&RESUME);
    Some(Offline { offline_for: offline_for?, resume: resume? }.into())
}
