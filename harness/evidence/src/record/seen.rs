//! What the harness sees of the target as a whole, and of itself.

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::Micros;

/// What was not heard for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// Nothing: neither HTTP answered nor did anything come over a client's session.
    Nothing,
    /// Nothing over a client's session, and no connect was answered; other requests may have been.
    #[serde(rename = "no_socket")]
    NoSession,
}

/// By what a target shows that it is not the one that it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalSign {
    /// Its metrics name another process.
    Process,
    /// The head of a topic went back.
    Head {
        /// The topic.
        topic: TopicId,
        /// Where it was.
        was: u64,
        /// Where it is.
        is: u64,
    },
}

/// A look of the generator at itself; times are those since the look before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When.
    pub at: Micros,
    /// How long since the look before.
    pub wall_us: u64,
    /// CPU time of the process.
    pub cpu_us: u64,
    /// CPU time of the busiest thread.
    pub hottest_us: u64,
    /// Time that the thread which waited most wanted a core and had none.
    pub waited_us: u64,
    /// Descriptors open.
    pub descriptors: u64,
    /// Resident set, in KiB.
    pub memory_kib: u64,
    /// Most bytes that waited in the kernel after a read by a client that is to keep up.
    pub backlog_bytes: u64,
}
