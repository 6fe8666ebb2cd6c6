//! The closed list of defects, with what must catch each.

use super::Kind;

/// One way to break the contract.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defect {
    pub(crate) kind: Kind,
    /// Its name, as [`super::DefectSpec`] reads it.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// The oracle rule that must catch it, or `gate:NAME`.
    pub primary: &'static str,
    /// Rules and gates that may fail beside it, because they follow from it.
    pub consequences: &'static [&'static str],
    /// Share of the opportunities that it takes unless told otherwise.
    pub probability: f64,
}

/// Every defect. The order is that of the internal enumeration; a test holds them together.
pub const CATALOGUE: &[Defect] = &[
    Defect {
        kind: Kind::DropOnReconnect,
        name: "drop_on_reconnect",
        summary: "A subscribe with a cursor loses one event of each stream topic: the first that \
                  is replayed or, when there is nothing to replay, the first that comes live.",
        primary: "gap",
        consequences: &["lost_publish", "no_convergence"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::NeverReplayComplete,
        name: "never_replay_complete",
        summary: "A subscribe is never answered; its replay and the live tail flow all the same.",
        primary: "no_convergence",
        consequences: &["gate:reconnect", "gate:replay", "stuck_channel"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::SwapTwo,
        name: "swap_two",
        summary: "Two adjacent updates of the live tail of a stream topic change places; a single \
                  one is held for up to 2 s until there is a second.",
        primary: "nonmonotonic",
        consequences: &["gap", "late_publish", "lost_publish", "no_convergence"],
        probability: 0.1,
    },
    Defect {
        kind: Kind::DropAcknowledged,
        name: "drop_acknowledged",
        summary: "Every tenth worker event (1 / probability) is answered 202 with a seq, but enters \
                  no log and no document.",
        primary: "lost_publish",
        consequences: &["late_publish", "no_convergence", "state_stale"],
        probability: 0.1,
    },
    Defect {
        kind: Kind::CorruptPayload,
        name: "corrupt_payload",
        summary: "One in eight connections (probability) is sent about half of its batches with a \
                  first update whose payload was altered; the hash fits the altered payload.",
        primary: "divergent_value",
        consequences: &["bad_duplicate", "no_convergence"],
        probability: 0.125,
    },
    Defect {
        kind: Kind::EarlyReplayComplete,
        name: "early_replay_complete",
        summary: "The reply to a subscribe with a cursor is sent at once; the replay follows 500 ms \
                  later.",
        primary: "false_replay_complete",
        consequences: &["gate:replay", "late_publish", "no_convergence"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::SlowRecovery,
        name: "slow_recovery",
        summary: "A subscribe with a cursor is replayed and answered 8 s late.",
        primary: "gate:reconnect",
        consequences: &["gate:replay", "late_publish", "no_convergence", "state_stale"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::IgnoreFloor,
        name: "ignore_floor",
        summary: "A cursor below the retention floor is served from the floor on, as if nothing \
                  were missing.",
        primary: "stale_not_signalled",
        consequences: &["gap", "lost_publish", "no_convergence", "state_stale"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::AlwaysStale,
        name: "always_stale",
        summary: "Three in ten subscribes with a fresh cursor (probability) are refused as over \
                  their replay budget.",
        primary: "false_stale",
        consequences: &["gate:error-budget", "gate:reconnect", "gate:replay", "no_convergence"],
        probability: 0.3,
    },
    Defect {
        kind: Kind::WrongReason,
        name: "wrong_reason",
        summary: "A stale cursor is refused with the other of the two reasons.",
        primary: "wrong_reason",
        consequences: &[],
        probability: 1.0,
    },
    Defect {
        kind: Kind::NoSlowEviction,
        name: "no_slow_eviction",
        summary: "A connection that does not read is neither struck nor dropped, however long; what \
                  retention has taken meanwhile is passed over.",
        primary: "no_eviction",
        consequences: &[
            "gap",
            "gate:slow-consumer",
            "late_publish",
            "lost_publish",
            "no_convergence",
            "unbounded_buffer",
        ],
        probability: 1.0,
    },
    Defect {
        kind: Kind::EvictHealthy,
        name: "evict_healthy",
        summary: "After one live batch in a hundred (probability) the connection is evicted as a \
                  slow consumer, whatever it has read.",
        primary: "wrongful_eviction",
        consequences: &[
            "gate:reconnect",
            "gate:slow-consumer",
            "late_publish",
            "no_convergence",
            "stuck_channel",
        ],
        probability: 0.01,
    },
    Defect {
        kind: Kind::SnapshotOld,
        name: "snapshot_old",
        summary: "A snapshot carries a watermark that cannot be resumed from: below the floor, or \
                  beyond the replay budget.",
        primary: "bad_snapshot",
        consequences: &["gate:reconnect", "gate:replay", "no_convergence", "state_stale"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::TailDuringReplay,
        name: "tail_during_replay",
        summary: "A subscribe with a cursor two or more behind is sent the newest event of a stream \
                  topic before its replay.",
        primary: "nonmonotonic",
        consequences: &["bad_duplicate", "gap", "lost_publish", "no_convergence"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::AfterUnsubscribe,
        name: "after_unsubscribe",
        summary: "One more batch of a topic follows the reply to its unsubscribe.",
        primary: "after_unsubscribe",
        consequences: &["authz_leak"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::LatePublish,
        name: "late_publish",
        summary: "One event in five of a stream topic (probability) goes out only when the next one \
                  has come.",
        primary: "late_publish",
        consequences: &["lost_publish", "no_convergence"],
        probability: 0.2,
    },
    Defect {
        kind: Kind::FrameMismatch,
        name: "frame_mismatch",
        summary: "One batch in ten (probability) says something else in its frame than in its \
                  legacy push.",
        primary: "frame_mismatch",
        consequences: &["divergent_value"],
        probability: 0.1,
    },
    Defect {
        kind: Kind::StateRegress,
        name: "state_regress",
        summary: "One update in five of a state topic (probability) carries an old version of its \
                  document under the new watermark.",
        primary: "state_regress",
        consequences: &["divergent_value", "no_convergence", "state_stale"],
        probability: 0.2,
    },
    Defect {
        kind: Kind::BadDuplicate,
        name: "bad_duplicate",
        summary: "One live batch in ten of a stream topic (probability) begins with the last event \
                  that was sent, altered.",
        primary: "bad_duplicate",
        consequences: &["divergent_value", "nonmonotonic"],
        probability: 0.1,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_in_the_order_of_the_kinds() {
        for (index, defect) in CATALOGUE.iter().enumerate() {
            assert_eq!(defect.kind as usize, index, "{}", defect.name);
        }
    }

    #[test]
    fn names_are_unique_and_no_defect_is_its_own_consequence() {
        for (index, defect) in CATALOGUE.iter().enumerate() {
            assert!(CATALOGUE[..index].iter().all(|other| other.name != defect.name));
            assert!(!defect.consequences.contains(&defect.primary), "{}", defect.name);
        }
    }
}
