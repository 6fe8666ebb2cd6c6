//! What a run tells whoever watches it: events for `events.ndjson`, numbers for the live view.

pub use khala_evidence::event::{Event, EventKind};
use khala_wire::metrics::FanoutMetrics;

/// Numbers of the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Seconds since the start.
    pub elapsed_s: u64,
    /// Seconds of the declared phases, after which comes the drain.
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
    /// A snapshot of the target's metrics: `before`, `during-…`, `after` (the topics are dry, the clients still there or just going), `left` (all
    /// clients have gone).
    fn metrics(&mut self, label: &str, metrics: &FanoutMetrics);
}
