//! Defects of what is right and comes too late.

use super::{Defect, Group, Kind, Per};

/// The group, in the order in which its page shows it.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        kind: Kind::SlowRecovery,
        group: Group::Latency,
        name: "slow_recovery",
        summary: "A subscribe with a cursor is replayed and answered 8 s late.",
        per: Per::Subscribe,
        primary: "gate:reconnect",
        consequences: &["gate:replay", "late_publish", "no_convergence", "state_stale"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::DeliveryDelay,
        group: Group::Latency,
        name: "delivery_delay",
        summary: "Each live event goes out 3 s after it came.",
        per: Per::Event,
        primary: "gate:delivery",
        consequences: &[
            "gate:replay",
            "late_publish",
            "lost_publish",
            "no_convergence",
            "starved_topic",
            "state_stale",
        ],
        probability: 1.0,
    },
    Defect {
        kind: Kind::StateDelay,
        group: Group::Latency,
        name: "state_delay",
        summary: "One live update in thirty of a state topic (probability) goes out 3 s after it came, and \
                  those behind it with it.",
        per: Per::Event,
        primary: "state_stale",
        consequences: &["gate:delivery", "no_convergence", "starved_topic"],
        probability: 1.0 / 30.0,
    },
    Defect {
        kind: Kind::PauseEvery10s,
        group: Group::Latency,
        name: "pause_every_10s",
        summary: "Nothing goes out live in the first half of every 10 s but the first.",
        per: Per::Period,
        primary: "gate:delivery",
        consequences: &[
            "gate:replay",
            "late_publish",
            "lost_publish",
            "no_convergence",
            "starved_topic",
            "state_stale",
        ],
        probability: 1.0,
    },
    Defect {
        kind: Kind::SlowAccepts,
        group: Group::Latency,
        name: "slow_accepts",
        summary: "Upgrades are let in one by one, 250 ms apart; one that comes alone does not \
                  wait.",
        per: Per::Request,
        primary: "gate:reconnect",
        consequences: &["gate:connect", "gate:error-budget", "gate:replay", "no_convergence"],
        probability: 1.0,
    },
];
