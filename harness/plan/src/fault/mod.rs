//! The fault types: what a scenario may write under `[[phase.fault]]`.
//!
//! A type is one file here (its attributes, their documentation, how they are read), one line in
//! [`REGISTRY`], one variant of [`FaultKind`], and one file in the engine that applies it. Nothing
//! else in this crate knows the types apart.

pub mod command_over_socket;
pub mod cursor;
pub mod disconnect;
pub mod hook;
pub mod offline;
pub mod publish_burst;
pub mod restart;
pub mod retention_trim;
pub mod revoke_sessions;
pub mod slow_reader;
pub mod token;
pub mod unsubscribe;

use crate::model::{ActsOn, FaultKind};
use crate::read::fields::Fields;
use crate::read::schema::Key;

/// Every type that can be used, in the order in which the documentation lists them.
pub const REGISTRY: &[FaultType] = &[
    disconnect::TYPE,
    offline::TYPE,
    slow_reader::TYPE,
    unsubscribe::TYPE,
    cursor::TYPE,
    token::TYPE,
    revoke_sessions::TYPE,
    command_over_socket::TYPE,
    restart::TYPE,
    retention_trim::TYPE,
    publish_burst::TYPE,
    hook::TYPE,
];

/// Types that the design names and that no engine applies yet.
pub const NOT_YET: &[&str] = &[
    "reconnect_policy",
    "slow_handshake",
    "handshake_flood",
    "ping_flood",
    "fragment",
    "oversized_frame",
    "invalid_utf8",
    "bad_frame",
    "duplicate_subscribe",
    "heartbeat_stop",
    "abandon_join",
    "latency",
    "bandwidth",
    "slow_close",
    "timeout",
    "reset_peer",
    "slicer",
    "limit_data",
    "down",
    "blackhole",
    "reset_now",
    "pause",
    "drain",
    "guard_tighten",
    "loss",
    "partition",
    "conn_kill",
];

/// A fault type, as a scenario and its documentation see it.
pub struct FaultType {
    /// `type` in a scenario.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What it acts on; on clients it has a `mode`, and may have a `cohort`.
    pub acts_on: ActsOn,
    /// Whether it has a `duration`.
    pub extent: Extent,
    /// The keys of `attributes`, for the schema.
    pub(crate) attributes: fn() -> Vec<Key>,
    /// Reads `attributes`; reports what is wrong with them.
    pub(crate) read: fn(&mut Fields<'_>) -> Option<FaultKind>,
}

/// How long a fault type lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// No time.
    Instant,
    /// No time, at an instant of each client's own if a `spread` is given.
    InstantOfEach,
    /// Its `duration`.
    Interval,
    /// Its `duration` where one is given, else no time.
    InstantOrInterval,
}

/// The type of this name.
#[must_use]
pub fn of(name: &str) -> Option<&'static FaultType> {
    REGISTRY.iter().find(|fault| fault.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_none_is_both_served_and_not() {
        let served: BTreeSet<_> = REGISTRY.iter().map(|fault| fault.name).collect();
        let awaited: BTreeSet<_> = NOT_YET.iter().copied().collect();
        assert_eq!((served.len(), awaited.len()), (REGISTRY.len(), NOT_YET.len()));
        assert!(served.is_disjoint(&awaited));
    }
}
