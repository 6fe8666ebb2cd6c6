//! Counters of the operators' view, and what it is made of.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use khala_wire::metrics::{DeliveryMetrics, FanoutMetrics, TopicWindow};
use khala_wire::topic::TopicId;

use crate::config::TOPICS;
use crate::shared::Shared;
use crate::store::TopicLog;
use crate::sync::lock;

/// Disconnect causes kept.
const CAUSES_MAX: usize = 32;

/// A counter that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Reads.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one topic.
#[derive(Default)]
pub struct TopicCounters {
    /// Cursors refused for the replay budget.
    pub stale_budget: Counter,
    /// Cursors refused for the retention floor.
    pub stale_floor: Counter,
    /// Publishes refused by the rate limit.
    pub rate_limited: Counter,
    /// Publishes refused by the payload limit.
    pub size_rejected: Counter,
    last_violation: Mutex<Option<&'static str>>,
}

impl TopicCounters {
    /// Remembers what was refused last.
    pub fn violation(&self, reason: &'static str) {
        *lock(&self.last_violation) = Some(reason);
    }
}

/// Counters of one server.
#[derive(Default)]
pub struct Metrics {
    /// Updates delivered, once per subscriber.
    pub served: Counter,
    /// Consumers evicted for slowness.
    pub evictions: Counter,
    disconnects: Counter,
    causes: Mutex<VecDeque<String>>,
    topics: [TopicCounters; TOPICS],
}

impl Metrics {
    /// Counters of a topic.
    pub fn topic(&self, topic: TopicId) -> &TopicCounters {
        &self.topics[topic.index()]
    }

    /// A WebSocket has ended, for whatever reason.
    pub fn disconnected(&self, cause: &str) {
        self.disconnects.add(1);
        let mut causes = lock(&self.causes);
        while causes.len() >= CAUSES_MAX {
            causes.pop_front();
        }
        causes.push_back(cause.to_owned());
    }
}

/// The operators' view as of now, with up to `topic_limit` topics.
pub fn fanout_metrics(shared: &Shared, topic_limit: usize) -> FanoutMetrics {
    let metrics = &shared.metrics;
    let consumers = shared.sockets.summary(shared.store.logs());
    FanoutMetrics {
        driver: "khala-reference".to_owned(),
        delivery_metrics: DeliveryMetrics {
            slow_consumer_evictions: metrics.evictions.get(),
            served_messages: metrics.served.get(),
            active_consumers: consumers.joined,
            recent_disconnect_causes: lock(&metrics.causes)
                .iter()
                .map(|cause| cause.as_str().into())
                .collect(),
            total_disconnects: Some(metrics.disconnects.get()),
            ..DeliveryMetrics::default()
        },
        topic_windows: shared
            .store
            .logs()
            .iter()
            .zip(consumers.deepest)
            .take(topic_limit)
            .map(|(log, queue_depth)| topic_window(shared, log, queue_depth))
            .collect(),
        process_id: Some(std::process::id()),
        defects_acted: shared.defects.acted(),
    }
}

fn topic_window(shared: &Shared, log: &TopicLog, queue_depth: u64) -> TopicWindow {
    let topic = log.topic();
    let counters = shared.metrics.topic(topic);
    let limits = &shared.config.publish[topic.index()];
    let window = log.window();
    TopicWindow {
        topic: topic.name().to_owned(),
        topic_class: topic.known().class.to_owned(),
        qos_tier: topic.known().qos_tier.to_owned(),
        replay_budget_events: log.limits().replay_budget_events,
        oldest_sequence: window.oldest,
        head_sequence: (window.head > 0).then_some(window.head),
        queue_depth,
        dropped_messages: window.floor,
        publish_rate_limit_per_second: limits.per_second.map_or(0, u64::from),
        max_payload_bytes: limits.payload_bytes_max as u64,
        publish_rate_limited_count: counters.rate_limited.get(),
        frame_size_rejected_count: counters.size_rejected.get(),
        stale_cursor_budget_exceeded_count: counters.stale_budget.get(),
        stale_cursor_retention_floor_count: counters.stale_floor.get(),
        last_violation_reason: lock(&counters.last_violation).map(str::to_owned),
    }
}
