//! The known topics of the WebSocket lane and what the contract says of each.
//!
//! A table, not behaviour: retention and budgets are *defaults of the contract*; a target may run
//! with others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a topic's updates relate to one another (contract, section 3; design, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicKind {
    /// Every event is delivered; the sequence is dense.
    Stream,
    /// The latest version of each document is delivered; versions may be skipped.
    State,
}

/// A topic that the contract names, with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownTopic {
    /// The name as it stands on the wire.
    pub name: &'static str,
    /// `topic_class` in the fan-out metrics.
    pub class: &'static str,
    /// `qos_tier` in `stale_cursor` and in the fan-out metrics.
    pub qos_tier: &'static str,
    /// Replay budget, in events behind head.
    pub replay_budget_events: u64,
    /// Retention, in seconds.
    pub retention_s: u64,
    /// Snapshot cadence in seconds, where the topic has a snapshot.
    pub snapshot_cadence_s: Option<u64>,
    /// Table behind the snapshot, as `stale_cursor` names it.
    pub snapshot_source_table: Option<&'static str>,
    /// Stream or state.
    pub kind: TopicKind,
}

/// `runtime.run_summaries`
pub const RUN_SUMMARIES: &str = "runtime.run_summaries";
/// `runtime.codex_worker_summaries`
pub const WORKER_SUMMARIES: &str = "runtime.codex_worker_summaries";
/// `runtime.codex_worker_events`
pub const WORKER_EVENTS: &str = "runtime.codex_worker_events";
/// `runtime.notifications`
pub const NOTIFICATIONS: &str = "runtime.notifications";

/// Every known topic, in the order in which a join's `allowed_topics` names them.
pub const KNOWN: [KnownTopic; 4] = [
    KnownTopic {
        name: RUN_SUMMARIES,
        class: "durable_summary",
        qos_tier: "warm",
        replay_budget_events: 20_000,
        retention_s: 604_800,
        snapshot_cadence_s: Some(300),
        snapshot_source_table: Some("runtime.sync_run_summaries"),
        kind: TopicKind::State,
    },
    KnownTopic {
        name: WORKER_SUMMARIES,
        class: "durable_summary",
        qos_tier: "warm",
        replay_budget_events: 10_000,
        retention_s: 259_200,
        snapshot_cadence_s: Some(120),
        snapshot_source_table: Some("runtime.sync_codex_worker_summaries"),
        kind: TopicKind::State,
    },
    KnownTopic {
        name: WORKER_EVENTS,
        class: "high_churn_events",
        qos_tier: "hot",
        replay_budget_events: 3_000,
        retention_s: 86_400,
        snapshot_cadence_s: None,
        snapshot_source_table: None,
        kind: TopicKind::Stream,
    },
    KnownTopic {
        name: NOTIFICATIONS,
        class: "ephemeral_notifications",
        qos_tier: "cold",
        replay_budget_events: 500,
        retention_s: 43_200,
        snapshot_cadence_s: None,
        snapshot_source_table: None,
        kind: TopicKind::Stream,
    },
];

/// Index of a topic in [`KNOWN`], and always one: what the hot path carries instead of a name. As JSON it
/// is the number, and a number that is no topic's is an error.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "u8", into = "u8")]
pub struct TopicId(u8);

/// A number that is no topic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no topic: they are numbered from 0 to {max}", max = KNOWN.len() - 1)]
pub struct NoSuchTopic(u8);

impl TryFrom<u8> for TopicId {
    type Error = NoSuchTopic;

    fn try_from(number: u8) -> Result<Self, NoSuchTopic> {
        Self::new(number).ok_or(NoSuchTopic(number))
    }
}

impl From<TopicId> for u8 {
    fn from(topic: TopicId) -> Self {
        topic.0
    }
}

impl TopicId {
    /// [`RUN_SUMMARIES`]
    pub const RUN_SUMMARIES: Self = Self(0);
    /// [`WORKER_SUMMARIES`]
    pub const WORKER_SUMMARIES: Self = Self(1);
    /// [`WORKER_EVENTS`]
    pub const WORKER_EVENTS: Self = Self(2);
    /// [`NOTIFICATIONS`]
    pub const NOTIFICATIONS: Self = Self(3);

    /// The topic with this number, if there is one.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < KNOWN.len() { Some(Self(number)) } else { None }
    }

    /// All of them, in the order of [`KNOWN`].
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        (0..=u8::MAX).map_while(Self::new)
    }

    /// Where it stands in [`KNOWN`], and in any array of as many.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The index of `name`, if the contract knows it.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let index = KNOWN.iter().position(|topic| topic.name == name)?;
        u8::try_from(index).ok().map(Self)
    }

    /// The row of the table.
    #[must_use]
    pub fn known(self) -> &'static KnownTopic {
        &KNOWN[self.index()]
    }

    /// The topic's name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.known().name
    }

    /// Stream or state.
    #[must_use]
    pub fn kind(self) -> TopicKind {
        self.known().kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_to_their_rows_and_unknown_names_do_not() {
        for (index, topic) in KNOWN.iter().enumerate() {
            let id = TopicId::of(topic.name).expect("known");
            assert_eq!((id.index(), id.name()), (index, topic.name));
        }
        let names = [RUN_SUMMARIES, WORKER_SUMMARIES, WORKER_EVENTS, NOTIFICATIONS];
        let constants = [
            TopicId::RUN_SUMMARIES,
            TopicId::WORKER_SUMMARIES,
            TopicId::WORKER_EVENTS,
            TopicId::NOTIFICATIONS,
        ];
        assert_eq!(constants.map(TopicId::name), names);
        assert!(TopicId::all().eq(constants));
        assert_eq!(TopicId::of("SYNC_TOPIC_RUNTIME_RUN_SUMMARIES"), None);
    }

    #[test]
    fn a_number_that_is_no_topics_makes_none() {
        assert_eq!(TopicId::new(3), Some(TopicId::NOTIFICATIONS));
        assert_eq!(TopicId::new(4), None);
        let read = |text| serde_json::from_str::<TopicId>(text).map_err(|e| e.to_string());
        assert_eq!(read("2"), Ok(TopicId::WORKER_EVENTS));
        assert_eq!(read("4").expect_err("none"), "4 is no topic: they are numbered from 0 to 3");
        assert!(read("-1").is_err() && read("256").is_err());
        assert_eq!(serde_json::to_string(&TopicId::WORKER_EVENTS).expect("a number"), "2");
    }

    #[test]
    fn a_snapshot_has_both_a_cadence_and_a_table_or_neither() {
        for topic in &KNOWN {
            assert_eq!(topic.snapshot_cadence_s.is_some(), topic.snapshot_source_table.is_some());
        }
    }
}
