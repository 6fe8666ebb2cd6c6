//! What a run tells whoever watches it: events for `events.ndjson`, numbers for the live view.

use khala_wire::metrics::FanoutMetrics;
use serde::Serialize;

/// Something that happened to the run as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Microseconds from the start of the run.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The target is there and speaks Khala.
    TargetReady {
        /// Its URL.
        url: String,
    },
    /// A phase began.
    PhaseBegan {
        /// The phase.
        phase: String,
    },
    /// A fault was due.
    FaultDue {
        /// Its id.
        id: u16,
        /// Its type.
        kind: String,
        /// Clients it is aimed at.
        planned: u64,
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
    /// A signal asked for the end.
    Interrupted,
    /// Publishing is over, and the topics run dry.
    DrainBegan,
    /// The drain is over.
    DrainEnded {
        /// Whether every client had everything.
        drained: bool,
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

/// Numbers of the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Seconds since the start.
    pub elapsed_s: u64,
    /// Seconds of the whole plan.
    pub planned_s: u64,
    /// The phase.
    pub phase: String,
    /// Clients planned.
    pub clients: u64,
    /// Clients with a socket.
    pub online: u64,
    /// Clients with replay complete.
    pub live: u64,
    /// Publishes begun.
    pub published: u64,
}

/// Watches a run. Called on the run's own thread: it must not block.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: &Event);
    /// Once a second.
    fn progress(&mut self, progress: &Progress);
    /// A snapshot of the target's metrics: `before`, `during-…`, `after`.
    fn metrics(&mut self, label: &str, metrics: &FanoutMetrics);
}
