//! Defects of slow consumers, fairness, and the life of channels and sockets.

use super::{Defect, Group, Kind, Per};

/// The group, in the order in which its page shows it.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        kind: Kind::NoSlowEviction,
        group: Group::Flow,
        name: "no_slow_eviction",
        summary: "A connection that does not read is neither struck nor dropped, however long; \
                  what retention has taken meanwhile is passed over.",
        per: Per::Connection,
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
        kind: Kind::UnboundedQueue,
        group: Group::Flow,
        name: "unbounded_queue",
        summary: "What a connection does not take waits in the server's memory without limit; \
                  nobody is struck, and nothing is passed over.",
        per: Per::Connection,
        primary: "unbounded_buffer",
        consequences: &[
            "gate:slow-consumer",
            "late_publish",
            "lost_publish",
            "no_convergence",
            "no_eviction",
            "state_stale",
        ],
        probability: 1.0,
    },
    Defect {
        kind: Kind::EvictHealthy,
        group: Group::Flow,
        name: "evict_healthy",
        summary: "After one live batch in a hundred (probability) the connection is evicted as a \
                  slow consumer, whatever it has read.",
        per: Per::Batch,
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
        kind: Kind::SlowStallsNeighbours,
        group: Group::Flow,
        name: "slow_stalls_neighbours",
        summary: "Batches are written one at a time over the whole server, so that whoever does \
                  not read makes all others wait.",
        per: Per::Batch,
        primary: "gate:bystanders",
        // Whoever waits for a turn is not struck meanwhile and gets all of it later, as from a queue
        // without a limit; and one that waits for long enough looks like a slow one itself.
        consequences: &[
            "gate:delivery",
            "gate:reconnect",
            "gate:replay",
            "gate:slow-consumer",
            "late_publish",
            "no_convergence",
            "no_eviction",
            "starved_topic",
            "state_stale",
            "unbounded_buffer",
            "wrongful_eviction",
        ],
        probability: 1.0,
    },
    Defect {
        kind: Kind::StarvedTopic,
        group: Group::Flow,
        name: "starved_topic",
        summary: "The last of a connection's topics waits until its other topics have been quiet \
                  for 5 s.",
        per: Per::Batch,
        primary: "starved_topic",
        consequences: &[
            "gate:bystanders",
            "gate:delivery",
            "late_publish",
            "lost_publish",
            "no_convergence",
            "state_stale",
        ],
        probability: 1.0,
    },
    Defect {
        kind: Kind::HeartbeatsUnanswered,
        group: Group::Flow,
        name: "heartbeats_unanswered",
        summary: "Heartbeats of a joined client, `sync:heartbeat` and Phoenix's own, keep the \
                  socket alive and get no answer.",
        per: Per::Request,
        primary: "gate:reconnect",
        consequences: &["gate:replay", "no_convergence", "stuck_channel"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::StuckChannel,
        group: Group::Flow,
        name: "stuck_channel",
        summary: "After one live batch in a hundred (probability) the channel falls silent, to \
                  messages too, while its socket lives on.",
        per: Per::Batch,
        primary: "stuck_channel",
        consequences: &[
            "gate:delivery",
            "gate:reconnect",
            "gate:replay",
            "late_publish",
            "lost_publish",
            "no_convergence",
            "starved_topic",
            "state_stale",
        ],
        probability: 0.01,
    },
    Defect {
        kind: Kind::WrongCloseCode,
        group: Group::Flow,
        name: "wrong_close_code",
        summary: "A close that the server begins carries 1008, whatever the reason.",
        per: Per::Request,
        primary: "wrong_close_or_error",
        consequences: &[],
        probability: 1.0,
    },
];
