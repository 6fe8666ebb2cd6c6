//! The poll lane's shapes (contract, section 4).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Path of a topic's messages; takes `after_seq` and `limit`.
#[must_use]
pub fn messages_path(topic: &str) -> String {
    format!("/internal/v1/khala/topics/{topic}/messages")
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Kind, such as `run.started`.
    pub kind: String,
    /// Any JSON.
    pub payload: Value,
    /// RFC 3339.
    pub published_at: String,
    /// Sequence on the topic.
    pub sequence: u64,
    /// The topic.
    pub topic: String,
}

/// A page of messages (200).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Messages {
    /// Topics this principal polls now.
    pub active_topic_count: u64,
    /// Events between cursor and head.
    pub consumer_lag: u64,
    /// Name of the driver.
    pub driver: String,
    /// Events dropped.
    pub dropped_messages: u64,
    /// Whether the page was cut for fairness.
    pub fairness_applied: bool,
    /// Newest sequence.
    pub head_cursor: Option<u64>,
    /// Limit used.
    pub limit_applied: u64,
    /// Whether the limit asked for was cut.
    pub limit_capped: bool,
    /// The messages.
    pub messages: Vec<Message>,
    /// Where to go on.
    pub next_cursor: u64,
    /// Oldest cursor that can be resumed from.
    pub oldest_available_cursor: Option<u64>,
    /// Limit of the outbound queue.
    pub outbound_queue_limit: u64,
    /// Events waiting.
    pub queue_depth: u64,
    /// How long to wait before reconnecting.
    pub recommended_reconnect_backoff_ms: u64,
    /// Whether the page reached head.
    pub replay_complete: bool,
    /// Strikes at which a consumer is evicted.
    pub slow_consumer_max_strikes: u64,
    /// Strikes so far.
    pub slow_consumer_strikes: u64,
    /// The topic.
    pub topic: String,
}

/// A refused poll (401, 403, 409, 410, 429).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PollError {
    /// Such as `rate_limited`, `slow_consumer_evicted`, `stale_cursor`.
    pub error: String,
    /// Details of an eviction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<EvictionDetails>,
    /// QoS tier of a stale topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos_tier: Option<String>,
    /// Such as `poll_interval_guard`, `token_expired`, `missing_scope`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// Reasons of a stale cursor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reason_codes: Vec<String>,
    /// Budget of a stale topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_budget_events: Option<u64>,
    /// Lag of a stale cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_lag: Option<u64>,
    /// When to poll again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// `details` of `slow_consumer_evicted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvictionDetails {
    /// Events behind head.
    pub lag: u64,
    /// Lag at which a strike is given.
    pub lag_threshold: u64,
    /// Strikes at which a consumer is evicted.
    pub max_strikes: u64,
    /// How to come back.
    pub recovery: String,
    /// Strikes given.
    pub strikes: u64,
    /// Cursor to come back with.
    pub suggested_after_seq: Option<u64>,
    /// The topic.
    pub topic: String,
}
