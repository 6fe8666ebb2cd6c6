//! Defects of loss, order and content of what is sent.

use super::{Defect, Group, Kind, Per};

/// The group, in the order in which its page shows it.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        kind: Kind::DropNth,
        group: Group::Delivery,
        name: "drop_nth",
        summary: "One event in fifty of a stream topic (probability) is left out of its batch, in \
                  replay and live.",
        per: Per::Event,
        primary: "gap",
        consequences: &["false_replay_complete", "lost_publish", "no_convergence"],
        probability: 0.02,
    },
    Defect {
        kind: Kind::DropOnReconnect,
        group: Group::Delivery,
        name: "drop_on_reconnect",
        summary: "A subscribe with a cursor loses one event of each stream topic: the first that \
                  is replayed or, when there is nothing to replay, the first that comes live.",
        per: Per::Subscribe,
        primary: "gap",
        consequences: &["lost_publish", "no_convergence"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::DropLastOfBatch,
        group: Group::Delivery,
        name: "drop_last_of_batch",
        summary: "One in five batches of two or more events of a stream topic (probability) lacks \
                  its last one.",
        per: Per::Batch,
        primary: "gap",
        consequences: &["false_replay_complete", "lost_publish", "no_convergence"],
        probability: 0.2,
    },
    Defect {
        kind: Kind::DropAcknowledged,
        group: Group::Delivery,
        name: "drop_acknowledged",
        summary: "Every tenth worker event (1 / probability) is answered 202 with a seq, but \
                  enters no log and no document.",
        per: Per::Event,
        primary: "lost_publish",
        consequences: &["late_publish", "no_convergence", "state_stale"],
        probability: 0.1,
    },
    Defect {
        kind: Kind::LatePublish,
        group: Group::Delivery,
        name: "late_publish",
        summary: "One event in five of a stream topic (probability) goes out only when the next \
                  one has come.",
        per: Per::Event,
        primary: "late_publish",
        consequences: &["lost_publish", "no_convergence"],
        probability: 0.2,
    },
    Defect {
        kind: Kind::DuplicateNewSeq,
        group: Group::Delivery,
        name: "duplicate_new_seq",
        summary: "Every twentieth worker event (1 / probability) enters its topic twice, the \
                  second time under a seq of its own.",
        per: Per::Event,
        primary: "bad_duplicate",
        consequences: &["divergent_value", "phantom"],
        probability: 0.05,
    },
    Defect {
        kind: Kind::InventedEvent,
        group: Group::Delivery,
        name: "invented_event",
        summary: "Every twentieth worker event (1 / probability) is followed by another that nobody \
                  published: with a seq and a hash of its own, and marked with a number that was \
                  never given.",
        per: Per::Event,
        primary: "phantom",
        consequences: &[],
        probability: 0.05,
    },
    Defect {
        kind: Kind::BadDuplicate,
        group: Group::Delivery,
        name: "bad_duplicate",
        summary: "One live batch in ten of a stream topic (probability) begins with the last \
                  event that was sent, altered.",
        per: Per::Batch,
        primary: "bad_duplicate",
        consequences: &["divergent_value", "nonmonotonic"],
        probability: 0.1,
    },
    Defect {
        kind: Kind::SwapTwo,
        group: Group::Delivery,
        name: "swap_two",
        summary: "Two adjacent events of one live batch in ten of a stream topic (probability) \
                  change places; a single one is held for up to 2 s until there is a second.",
        per: Per::Batch,
        primary: "nonmonotonic",
        consequences: &["gap", "late_publish", "lost_publish", "no_convergence"],
        probability: 0.1,
    },
    Defect {
        kind: Kind::ReplaySkipsOne,
        group: Group::Delivery,
        name: "replay_skips_one",
        summary: "A replay begins one event late on each stream topic: at the second after the \
                  cursor.",
        per: Per::Subscribe,
        primary: "gap",
        consequences: &["false_replay_complete", "lost_publish", "no_convergence"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::TailDuringReplay,
        group: Group::Delivery,
        name: "tail_during_replay",
        summary: "A subscribe with a cursor two or more behind is sent the newest event of a \
                  stream topic before its replay.",
        per: Per::Subscribe,
        primary: "nonmonotonic",
        consequences: &["bad_duplicate", "gap", "lost_publish", "no_convergence"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::TailLost,
        group: Group::Delivery,
        name: "tail_lost",
        summary: "What comes on a stream topic within 1 s after the reply to a subscribe is never \
                  sent.",
        per: Per::Subscribe,
        primary: "gap",
        consequences: &["lost_publish", "no_convergence"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::EarlyReplayComplete,
        group: Group::Delivery,
        name: "early_replay_complete",
        summary: "The reply to a subscribe with a cursor is sent at once; the replay follows 500 \
                  ms later.",
        per: Per::Subscribe,
        primary: "false_replay_complete",
        consequences: &["gate:replay", "late_publish", "no_convergence"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::NeverReplayComplete,
        group: Group::Delivery,
        name: "never_replay_complete",
        summary: "A subscribe is never answered; its replay and the live tail flow all the same.",
        per: Per::Subscribe,
        primary: "no_convergence",
        consequences: &["gate:reconnect", "gate:replay", "stuck_channel"],
        probability: 1.0,
    },
    Defect {
        kind: Kind::CorruptPayload,
        group: Group::Delivery,
        name: "corrupt_payload",
        summary: "One in eight connections (probability) is sent about half of its batches with a \
                  first update whose payload was altered; the hash fits the altered payload.",
        per: Per::Connection,
        primary: "divergent_value",
        consequences: &["bad_duplicate", "no_convergence"],
        probability: 0.125,
    },
    Defect {
        kind: Kind::WrongPayload,
        group: Group::Delivery,
        name: "wrong_payload",
        summary: "One in ten batches of a stream topic (probability) begins with an event that \
                  carries payload and hash of the one before it.",
        per: Per::Batch,
        primary: "divergent_value",
        consequences: &[
            "bad_duplicate",
            "lost_publish",
            "malformed_message",
            "no_convergence",
            "phantom",
        ],
        probability: 0.1,
    },
    Defect {
        kind: Kind::FrameMismatch,
        group: Group::Delivery,
        name: "frame_mismatch",
        summary: "One batch in ten (probability) says something else in its frame than in its \
                  legacy push.",
        per: Per::Batch,
        primary: "frame_mismatch",
        consequences: &["divergent_value"],
        probability: 0.1,
    },
    Defect {
        kind: Kind::StateRegress,
        group: Group::Delivery,
        name: "state_regress",
        summary: "One update in five of a state topic (probability) carries an old version of its \
                  document under the new watermark.",
        per: Per::Batch,
        primary: "state_regress",
        consequences: &["divergent_value", "no_convergence", "state_stale"],
        probability: 0.2,
    },
    Defect {
        kind: Kind::AfterUnsubscribe,
        group: Group::Delivery,
        name: "after_unsubscribe",
        summary: "One more batch of a topic follows the reply to its unsubscribe.",
        per: Per::Request,
        primary: "after_unsubscribe",
        consequences: &["authz_leak"],
        probability: 1.0,
    },
];
