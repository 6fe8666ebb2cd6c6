//! `GET /internal/v1/khala/fanout/metrics`: the operators' view of a runtime.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient::or_default;

/// Path of the metrics; takes `topic_limit`.
pub const METRICS_PATH: &str = "/internal/v1/khala/fanout/metrics";

/// The whole answer. Unknown fields are ignored: a newer runtime may say more. A field that nothing is judged by may be
/// odd, and is left at its default then; one that is judged by must be as the contract has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanoutMetrics {
    /// Name of the fan-out driver.
    #[serde(default, deserialize_with = "or_default")]
    pub driver: String,
    /// Totals over all topics.
    pub delivery_metrics: DeliveryMetrics,
    /// Per topic, up to `topic_limit` of them.
    pub topic_windows: Vec<TopicWindow>,
    /// Which process answers: another one after a restart. Beyond the contract: the reference
    /// runtime offers it, so that a restart can be told from the server's side.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub process_id: Option<u32>,
    /// How often each injected defect has acted since the start, by name. Beyond the contract: only
    /// the reference runtime has it, and only while defects are selected, so that a judge can tell
    /// a defect that it missed from one that never acted.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub defects_acted: Option<BTreeMap<String, u64>>,
}

/// Totals since the runtime's start, and gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryMetrics {
    /// Polls served.
    #[serde(deserialize_with = "or_default")]
    pub total_polls: u64,
    /// Polls refused by the interval guard.
    #[serde(deserialize_with = "or_default")]
    pub throttled_polls: u64,
    /// Polls cut to a limit.
    #[serde(deserialize_with = "or_default")]
    pub limited_polls: u64,
    /// Polls cut for fairness.
    #[serde(deserialize_with = "or_default")]
    pub fairness_limited_polls: u64,
    /// Consumers evicted for slowness.
    pub slow_consumer_evictions: u64,
    /// Messages delivered.
    pub served_messages: u64,
    /// Consumers connected now.
    pub active_consumers: u64,
    /// The last causes, newest last. What a cause is the contract does not say: they are kept as they came.
    #[serde(deserialize_with = "or_default")]
    pub recent_disconnect_causes: Vec<Value>,
    /// All disconnects since the start. Beyond the contract: the reference runtime offers it, so
    /// that a harness can count from the server's side how many sockets a fault really cut.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub total_disconnects: Option<u64>,
}

/// One topic's window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicWindow {
    /// The topic.
    pub topic: String,
    /// Its class.
    #[serde(deserialize_with = "or_default")]
    pub topic_class: String,
    /// Its QoS tier.
    #[serde(deserialize_with = "or_default")]
    pub qos_tier: String,
    /// Its replay budget, in events.
    pub replay_budget_events: u64,
    /// Oldest sequence retained.
    pub oldest_sequence: Option<u64>,
    /// Newest sequence.
    pub head_sequence: Option<u64>,
    /// Events waiting for the slowest consumer.
    #[serde(deserialize_with = "or_default")]
    pub queue_depth: u64,
    /// Events dropped.
    #[serde(deserialize_with = "or_default")]
    pub dropped_messages: u64,
    /// Publish limit, per second.
    #[serde(deserialize_with = "or_default")]
    pub publish_rate_limit_per_second: u64,
    /// Largest payload, in bytes.
    #[serde(deserialize_with = "or_default")]
    pub max_payload_bytes: u64,
    /// Publishes refused by the rate limit.
    #[serde(deserialize_with = "or_default")]
    pub publish_rate_limited_count: u64,
    /// Publishes refused by the payload limit.
    #[serde(deserialize_with = "or_default")]
    pub frame_size_rejected_count: u64,
    /// Cursors refused for the budget.
    pub stale_cursor_budget_exceeded_count: u64,
    /// Cursors refused for the floor.
    pub stale_cursor_retention_floor_count: u64,
    /// What was refused last.
    #[serde(deserialize_with = "or_default")]
    pub last_violation_reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_odd_field_that_nothing_is_judged_by_costs_no_other() {
        let causes = json!([{ "at": "now", "cause": "stopped" }, "closed"]);
        let text = json!({
            "driver": { "name": "kafka" },
            "process_id": "node-1",
            "delivery_metrics": {
                "total_polls": null, "slow_consumer_evictions": 3, "recent_disconnect_causes": causes,
            },
            "topic_windows": [{
                "topic": "t", "topic_class": 4, "head_sequence": 9, "oldest_sequence": null,
                "last_violation_reason": { "code": 1 }, "max_payload_bytes": "64KiB",
            }],
        });
        let metrics: FanoutMetrics = serde_json::from_value(text).expect("metrics");
        let totals = &metrics.delivery_metrics;
        assert_eq!((totals.slow_consumer_evictions, totals.total_polls), (3, 0));
        assert_eq!(json!(totals.recent_disconnect_causes), causes, "they are kept as they came");
        let window = &metrics.topic_windows[0];
        assert_eq!((window.head_sequence, window.max_payload_bytes), (Some(9), 0));
        assert_eq!((metrics.process_id, &*metrics.driver), (None, ""));
        let none =
            json!({ "delivery_metrics": { "recent_disconnect_causes": {} }, "topic_windows": [] });
        let metrics: FanoutMetrics = serde_json::from_value(none).expect("metrics");
        assert!(metrics.delivery_metrics.recent_disconnect_causes.is_empty());
    }

    #[test]
    fn a_field_that_is_judged_by_is_read_as_the_contract_has_it() {
        for odd in [
            json!({ "delivery_metrics": { "slow_consumer_evictions": "3" }, "topic_windows": [] }),
            json!({ "delivery_metrics": {}, "topic_windows": [{ "head_sequence": "9" }] }),
            json!({ "delivery_metrics": [], "topic_windows": 4 }),
        ] {
            assert!(serde_json::from_value::<FanoutMetrics>(odd.clone()).is_err(), "{odd}");
        }
    }
}
