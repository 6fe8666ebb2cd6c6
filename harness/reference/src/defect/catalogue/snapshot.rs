//! Defects of snapshots.

use super::{Defect, Group, Kind, Per};

/// The group, in the order in which its page shows it.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        kind: Kind::SnapshotOld,
        group: Group::Snapshot,
        name: "snapshot_old",
        summary: "A snapshot carries a watermark that cannot be resumed from: below the floor, or \
                  beyond the replay budget.",
        per: Per::Request,
        primary: "bad_snapshot",
        consequences: &[
            "gate:error-budget",
            "gate:reconnect",
            "gate:replay",
            "no_convergence",
            "state_stale",
        ],
        probability: 1.0,
    },
    Defect {
        kind: Kind::SnapshotLags,
        group: Group::Snapshot,
        name: "snapshot_lags",
        summary: "The documents of a snapshot are those of 500 ms before, under the watermark of now.",
        per: Per::Request,
        primary: "bad_snapshot",
        consequences: &["no_convergence", "state_stale"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::SnapshotAhead,
        group: Group::Snapshot,
        name: "snapshot_ahead",
        summary: "A snapshot carries a watermark 1,000 beyond head.",
        per: Per::Request,
        primary: "bad_snapshot",
        consequences: &[
            "gate:reconnect",
            "gate:replay",
            "lost_publish",
            "no_convergence",
            "state_stale",
        ],
        probability: 1.0,
    },
    Defect {
        kind: Kind::SnapshotWrongTopic,
        group: Group::Snapshot,
        name: "snapshot_wrong_topic",
        summary: "A snapshot is of the other topic that has one, under that topic's name.",
        per: Per::Request,
        primary: "bad_snapshot",
        consequences: &[
            "authz_leak",
            "gate:reconnect",
            "gate:replay",
            "no_convergence",
            "state_stale",
        ],
        probability: 1.0,
    },
];
