//! `retention_trim`: the target forgets old events of a topic at an instant.

use khala_wire::topic::TopicId;
use serde::Serializer;

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind};
use crate::read::fields::Fields;
use crate::read::topic;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "retention_trim",
    summary: "Prunes a topic of the target, as if time had passed.",
    acts_on: ActsOn::Target,
    extent: Extent::Instant,
    attributes: &[
        ("topic", "the topic"),
        ("keep", "events that are kept, the newest; 0 prunes the topic empty"),
    ],
    read,
};

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let cx = attributes.cx;
    let topic = attributes
        .need_node("topic", "topic = \"runtime.codex_worker_events\"")
        .and_then(|node| topic::one(cx, "topic", node));
    let keep = attributes.need_within("keep", "keep = 0", 0..=u64::from(u32::MAX));
    Some(FaultKind::RetentionTrim { topic: topic?, keep: keep? })
}

/// Serde: a topic by its name, as a scenario writes it.
pub(crate) fn serialize_topic<S: Serializer>(
    topic: &TopicId,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(topic.name())
}
