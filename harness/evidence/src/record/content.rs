//! What topics carry: cursors, deliveries, documents, and the publishes that they stem from.

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::{Micros, Outcome};

/// A topic of a subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribedTopic {
    /// The topic.
    pub topic: TopicId,
    /// The cursor that was sent, if any.
    pub cursor: Option<u64>,
    /// The highest sequence that any client had seen by then: a lower bound of the head that the
    /// client must reach to count as recovered.
    pub head_seen: u64,
    /// Whether a fault chose the cursor, so that a refusal is planned.
    pub by_fault: bool,
}

/// A stale topic, as the target describes it; a figure is `None` where it gives none, as a lane may that only
/// says that all must be fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleTopic {
    /// The topic.
    pub topic: TopicId,
    /// The reason given.
    pub reason: StaleReason,
    /// The cursor that was refused, as the target read it; where it names none, the client's own.
    pub cursor: u64,
    /// Lowest cursor that retention still serves.
    pub floor: Option<u64>,
    /// Head.
    pub head: Option<u64>,
    /// Replay budget, in events.
    pub budget: Option<u64>,
    /// Head minus cursor.
    pub lag: Option<u64>,
    /// The topic's tier of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

/// A topic's tier of service (contract, section 3, known topics).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// `hot`
    Hot,
    /// `warm`
    Warm,
    /// `cold`
    Cold,
    /// One that the contract does not name.
    Other,
}

impl Tier {
    /// The tier of this name; `None` where nothing is said.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "" => None,
            "hot" => Some(Self::Hot),
            "warm" => Some(Self::Warm),
            "cold" => Some(Self::Cold),
            _ => Some(Self::Other),
        }
    }
}

impl StaleTopic {
    /// Whether a cursor is below the floor, by these figures.
    #[must_use]
    pub fn is_below_floor(&self, cursor: u64) -> Option<bool> {
        self.floor.map(|floor| cursor < floor)
    }

    /// Whether a cursor is further behind head than the budget, by these figures.
    #[must_use]
    pub fn is_beyond_budget(&self, cursor: u64) -> Option<bool> {
        let behind = self.head.map(|head| head.saturating_sub(cursor)).or(self.lag);
        behind.zip(self.budget).map(|(behind, budget)| behind > budget)
    }

    /// The figures of the log, as far as there are any: floor, head, budget.
    #[must_use]
    pub fn figures(&self) -> String {
        let figures = [("floor", self.floor), ("head", self.head), ("budget", self.budget)];
        let there =
            figures.iter().filter_map(|(name, figure)| Some(format!("{name} {}", (*figure)?)));
        there.collect::<Vec<_>>().join(", ")
    }
}

/// Why a cursor is stale, as the target says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleReason {
    /// `retention_floor_breach`
    RetentionFloor,
    /// `replay_budget_exceeded`
    ReplayBudget,
    /// A reason that the contract does not name.
    Other,
    /// None was given, on a lane that gives none.
    Unsaid,
}

/// Stands for the digest of an update without a payload (pointer mode): what it says is not known, so
/// that it is held against nothing.
pub const NO_CONTENT: u64 = 0;

/// An update, as it arrived in the push that the clients apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The client.
    pub client: u32,
    /// The epoch in force on the topic.
    pub epoch: u32,
    /// The topic.
    pub topic: TopicId,
    /// The sequence number (watermark).
    pub seq: u64,
    /// When the bytes were read.
    pub at: Micros,
    /// Digest of the canonical content: key, version and payload; [`NO_CONTENT`] without a payload.
    pub content: u64,
    /// Whether the payload's hash, where there is one, fits the payload.
    pub hash_fits: bool,
    /// What it stems from.
    pub source: Source,
}

/// A document of one of our workers, as it stands in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    /// Our number of the worker.
    pub worker: u16,
    /// The document's version.
    pub version: u64,
    /// Whether its payload fits its hash.
    pub hash_fits: bool,
    /// Digest of its key, version and payload, as a delivery's content; [`NO_CONTENT`] where older recordings do not
    /// say.
    #[serde(default)]
    pub content: u64,
}

/// What a delivery stems from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An event of one of our workers.
    Event {
        /// The publish.
        publish: PublishId,
        /// When it was intended, if it carries our marker.
        intended: Option<Micros>,
        /// When it was really begun, if it carries our marker.
        begun: Option<Micros>,
        /// Digest of the canonical command payload, if it carries our marker.
        payload: u64,
        /// The worker's seq that it shows, if it carries our marker.
        #[serde(default)]
        worker_seq: Option<u64>,
    },
    /// The state of one of our workers.
    State {
        /// Our number of the worker.
        worker: u16,
        /// The document's version: the worker's seq of the event that it reflects.
        version: u64,
    },
    /// The state of a document of somebody else's.
    Document {
        /// Digest of its key.
        key: u64,
        /// Its version.
        version: u64,
    },
    /// Somebody else's.
    Foreign,
}

impl Source {
    /// Whether it is somebody else's.
    #[must_use]
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::Document { .. } | Self::Foreign)
    }
}

/// Which publish of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishId {
    /// Planned, with a marker: its number.
    Planned(u32),
    /// A worker's own event (started, stopped), known by worker and seq.
    Lifecycle {
        /// Our number of the worker.
        worker: u16,
        /// The worker's seq.
        seq: u64,
    },
    /// A command that a client sent over a session: it must never come out.
    #[serde(rename = "over_socket")]
    OverSession {
        /// The client.
        client: u32,
    },
}

/// A command that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Which one.
    pub id: PublishId,
    /// Our number of the worker it went to.
    pub worker: u16,
    /// When it was due.
    pub intended: Micros,
    /// When it was begun.
    pub start: Micros,
    /// When it ended.
    pub done: Micros,
    /// How it ended; only `Ok` is an acknowledgement.
    pub outcome: Outcome,
    /// The HTTP status of the answer, if there was one.
    #[serde(default)]
    pub status: Option<u16>,
    /// The worker's seq in the acknowledgement.
    pub worker_seq: Option<u64>,
    /// Digest of the canonical command payload.
    pub payload: u64,
}

/// A documented limit (contract, section 3 and, of commands, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Bytes of an update's JSON.
    UpdateBytes,
    /// Updates of a batch.
    BatchUpdates,
    /// Bytes of a batch's JSON.
    BatchBytes,
    /// Bytes of the payload of a command that was acknowledged.
    PublishBytes,
}

impl Limit {
    /// It, in its unit.
    #[must_use]
    pub fn most(self) -> u64 {
        let most = match self {
            Self::UpdateBytes => khala_wire::UPDATE_BYTES_MAX,
            Self::BatchUpdates => khala_wire::BATCH_UPDATES_MAX,
            Self::BatchBytes => khala_wire::BATCH_BYTES_MAX,
            Self::PublishBytes => khala_wire::WORKER_EVENT_BYTES_MAX,
        };
        most as u64
    }

    /// The finding that it is to be over it.
    #[must_use]
    pub fn finding(self) -> &'static str {
        match self {
            Self::UpdateBytes => "update_over_limit",
            Self::BatchUpdates | Self::BatchBytes => "batch_over_limit",
            Self::PublishBytes => "publish_over_limit",
        }
    }

    /// What is over it, in a sentence.
    #[must_use]
    pub fn told(self, size: u64) -> String {
        let most = self.most();
        match self {
            Self::UpdateBytes => format!("an update of {size} bytes came; the limit is {most}"),
            Self::BatchUpdates => format!("a batch of {size} updates came; the limit is {most}"),
            Self::BatchBytes => format!("a batch of {size} bytes came; the limit is {most}"),
            Self::PublishBytes => format!(
                "a command with a payload of {size} bytes was acknowledged; over {most} it is refused with 413"
            ),
        }
    }
}
