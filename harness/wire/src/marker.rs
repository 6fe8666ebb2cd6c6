//! The mark that a harness publisher puts into a command's payload, so that a delivery can be
//! matched with its publish and timed without a look-up.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Key of the mark inside the command's payload.
pub const MARKER_KEY: &str = "khala_harness";

/// Numbers from here on are of commands that were sent over a socket, where they must change nothing:
/// this plus the number of the client that sent it.
pub const OVER_SOCKET: u32 = 1 << 31;

/// Which publish a delivery stems from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker<'a> {
    /// Id of the run; events with another one are foreign.
    #[serde(borrow)]
    pub run: Cow<'a, str>,
    /// Number of the publish in the run's plan.
    pub n: u32,
    /// Intended send time, in microseconds from the start of the run.
    pub at_us: u64,
    /// When the command was really begun, on the same clock: a stalled publisher is late.
    pub begun_us: u64,
}

/// What is read of a worker event's payload, borrowed: `payload` of
/// `runtime/codex_worker_event:{worker}:{seq}`.
#[derive(Clone, Debug, Deserialize)]
pub struct WorkerEvent<'a> {
    /// The worker's own sequence number of the event.
    pub seq: u64,
    /// The worker.
    #[serde(borrow)]
    pub worker_id: Cow<'a, str>,
    /// The command's payload as it stands.
    #[serde(borrow)]
    pub payload: &'a RawValue,
}

#[derive(Deserialize)]
struct Marked<'a> {
    #[serde(borrow, default, rename = "khala_harness")]
    marker: Option<Marker<'a>>,
}

/// The mark inside a command's payload, if it carries one.
#[must_use]
pub fn marker_of(payload: &str) -> Option<Marker<'_>> {
    serde_json::from_str::<Marked<'_>>(payload).ok()?.marker
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_without_reading_the_rest() {
        let text = r#"{"eventType":"worker.progress","payload":{"khala_harness":{"run":"r1","n":7,"at_us":12,"begun_us":13},"pad":"xx"},"seq":3,"worker_id":"w"}"#;
        let event: WorkerEvent<'_> = serde_json::from_str(text).expect("an event");
        let marker = marker_of(event.payload.get()).expect("marked");
        assert_eq!((event.seq, marker.n, marker.at_us, marker.begun_us), (3, 7, 12, 13));
        assert!(matches!(marker.run, Cow::Borrowed("r1")), "nothing is copied");
        assert_eq!(marker_of(r#"{"status":"running"}"#), None);
    }
}
