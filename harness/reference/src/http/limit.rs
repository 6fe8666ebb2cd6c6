//! Publish limits of the command path: payload size (413) and rate (429).

use axum::http::StatusCode;
use khala_wire::topic::TopicId;

use super::answer::Refused;
use crate::clock;
use crate::config::{PublishLimits, TOPICS};
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::store::Store;

/// What a publish may be, and who counts what is refused.
pub struct Limits<'a> {
    publish: &'a [PublishLimits; TOPICS],
    metrics: &'a Metrics,
    store: &'a Store,
}

impl<'a> Limits<'a> {
    /// Those of a server.
    pub fn of(shared: &'a Shared) -> Self {
        Self { publish: &shared.config.publish, metrics: &shared.metrics, store: &shared.store }
    }

    /// Refuses payloads over the limit of a known topic.
    pub fn within_payload(&self, topic: &str, bytes: usize) -> Result<(), Refused> {
        let Some(topic) = TopicId::of(topic) else { return Ok(()) };
        let limit = self.publish[topic.index()].payload_bytes_max;
        if bytes <= limit {
            return Ok(());
        }
        let code = "khala_frame_payload_too_large";
        let counters = self.metrics.topic(topic);
        counters.size_rejected.add(1);
        counters.violation(code);
        let message = format!("payload is {bytes} bytes, the limit is {limit}");
        Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, code).because(message))
    }

    /// Takes one publish from a known topic's second, or says how long to wait.
    pub fn within_rate(&self, topic: &str, class: &str) -> Result<(), Refused> {
        let Some(topic) = TopicId::of(topic) else { return Ok(()) };
        let Some(per_second) = self.publish[topic.index()].per_second else { return Ok(()) };
        self.store.take_rate(topic, per_second, clock::now()).map_err(|wait| {
            let code = "khala_publish_rate_limited";
            let counters = self.metrics.topic(topic);
            counters.rate_limited.add(1);
            counters.violation(code);
            // Rounded up: who waits exactly as long as told must not be refused again.
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            Refused::new(StatusCode::TOO_MANY_REQUESTS, code).rate_limited(
                class,
                u64::from(per_second),
                wait_ms,
            )
        })
    }
}
