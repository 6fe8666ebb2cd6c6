//! What happens to a run as a whole: the lines of `events.ndjson`, one of a run's sources.

use serde::{Deserialize, Serialize};

use crate::command::CommandRun;

/// Something that happened to the run as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds from the start of the run.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The target is there and speaks Khala.
    TargetReady {
        /// Its URL.
        url: String,
    },
    /// The target does not give something, and what follows from that.
    TargetLacks {
        /// What, with what mends it.
        what: String,
    },
    /// A phase began.
    PhaseBegan {
        /// The phase.
        phase: String,
        /// When the plan wanted it, in microseconds of the run: what is judged goes by that.
        #[serde(default)]
        due_us: u64,
    },
    /// A fault was due.
    FaultDue {
        /// Its id.
        id: u16,
        /// Its type.
        kind: String,
        /// Clients it is aimed at.
        planned: u64,
        /// When the plan wanted it, in microseconds of the run.
        #[serde(default)]
        due_us: u64,
    },
    /// Somebody switched a fault that waits for a hand.
    FaultSwitched {
        /// Its id.
        id: u16,
        /// Whether it is to happen at its time.
        on: bool,
        /// Who.
        by: String,
    },
    /// A fault on the target as a whole was carried out, or could not be.
    FaultActed {
        /// Its id.
        id: u16,
        /// What went wrong, if anything.
        failed: Option<String>,
    },
    /// Something is about to be done to the target that must be taken back.
    UndoOwed {
        /// Its fault.
        id: u16,
        /// What must be done, as a wish to whoever finds that it was not.
        what: String,
    },
    /// It was taken back, or could not be.
    UndoDone {
        /// Its fault.
        id: u16,
        /// What went wrong, if anything.
        failed: Option<String>,
    },
    /// A command of the user's began.
    CommandBegan {
        /// Its fault.
        id: u16,
        /// What it is for: `command`, `check` or `undo`.
        part: String,
        /// Program and arguments.
        command: Vec<String>,
    },
    /// A command of the user's ended, or could not be run.
    CommandEnded {
        /// Its fault.
        id: u16,
        /// What came of it.
        run: CommandRun,
    },
    /// A fault was counted from the target's side.
    FaultProven {
        /// Its id.
        id: u16,
        /// Clients it hit.
        effective: Option<u64>,
        /// How that was counted.
        how: String,
    },
    /// The target went away unasked.
    TargetLost {
        /// Why.
        why: String,
    },
    /// The end was asked for.
    Interrupted {
        /// By whom, where it was neither a signal nor the stop file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Publishing is over, and the topics run dry.
    DrainBegan,
    /// The drain is over.
    DrainEnded {
        /// Whether every live client had everything, or had the time for it while nothing more came.
        drained: bool,
        /// Live clients that had not everything.
        behind: u64,
        /// Clients that were not live.
        not_live: u64,
        /// Acknowledged publishes that no client had seen.
        unseen: u64,
    },
    /// A worker could not be stopped and remains on the target.
    WorkerRemains {
        /// Its name.
        worker: String,
        /// Why.
        why: String,
    },
    /// All clients have left.
    Retired,
}
