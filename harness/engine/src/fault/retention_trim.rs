//! `retention_trim`: prunes a topic of the target, at an instant.
//!
//! The reference runtime has a hook for it, `POST /internal/v1/khala/admin/trim`; a target without
//! one shows no effect. Proven by the topic's window in the target's metrics, else by the hook's own answer.

use bytes::Bytes;
use khala_evidence::record::Request;
use khala_plan::fault::retention_trim::RetentionTrim;
use khala_plan::schedule::PlannedFault;
use khala_wire::topic::TopicId;
use serde_json::json;

use super::{Fault, Grip, OnTarget, Proof, ShownBy, Sides};
use crate::answer::answer_to;
use crate::target::window::windows;

/// Path of the hook.
pub(crate) const TRIM_PATH: &str = "/internal/v1/khala/admin/trim";

/// A trim that takes nothing away: it asks whether there is such a hook, and whom it lets in.
pub(crate) fn keeps_all() -> Bytes {
    let keep = u32::MAX;
    Bytes::from(json!({ "topic": TopicId::WORKER_EVENTS.name(), "keep": keep }).to_string())
}

impl Fault for RetentionTrim {
    fn on_target(&self, _fault: &PlannedFault, grip: Grip) -> OnTarget {
        let body = json!({ "topic": self.topic.name(), "keep": self.keep });
        Box::pin(async move {
            let headers = grip.target.admin_headers();
            let body = Bytes::from(body.to_string());
            let start = grip.clock.now();
            let trimmed = grip.http.post::<serde_json::Value>(TRIM_PATH, &headers, body).await;
            let answer = answer_to(&trimmed);
            let record = answer.record(Request::Trim, None, start, grip.clock.now());
            grip.told.push(record);
            trimmed.map(|_| 1).map_err(|error| format!("the target refused it: {error}"))
        })
    }

    fn shown_by(&self) -> &'static [ShownBy] {
        &[ShownBy::Metrics, ShownBy::Answers]
    }

    fn by_metrics(&self, _fault: &PlannedFault, sides: &Sides<'_>) -> Option<Proof> {
        let (_, window) =
            windows(sides.after).into_iter().find(|(topic, _)| *topic == self.topic)?;
        let kept = window.oldest.map_or(0, |oldest| window.head + 1 - oldest);
        let how = "events that the target's metrics say are retained";
        Some(Proof::of(u64::from(kept <= self.keep), how))
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered.min(1), "the target's acknowledgement of the trim")
    }
}
