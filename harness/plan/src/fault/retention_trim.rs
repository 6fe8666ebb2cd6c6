//! `retention_trim`: the target forgets old events of a topic at an instant.

use khala_wire::topic::TopicId;
use serde::Serializer;

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind};
use crate::read::fields::Fields;
use crate::read::schema::{Key, Shape};
use crate::read::topic;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "retention_trim",
    summary: "Prunes a topic of the target, as if time had passed.",
    acts_on: ActsOn::Target,
    extent: Extent::Instant,
    attributes,
    read,
};

const KEEP: std::ops::RangeInclusive<u64> = 0..=u32::MAX as u64;

fn attributes() -> Vec<Key> {
    let keep = "Events that are kept, the newest; 0 prunes the topic empty.";
    vec![
        Key::new("topic", Shape::topic(), "The topic.").required(),
        Key::new("keep", Shape::integer(KEEP), keep).required(),
    ]
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let cx = attributes.cx;
    let topic = attributes
        .need_node("topic", "topic = \"runtime.codex_worker_events\"")
        .and_then(|node| topic::one(cx, "topic", node));
    let keep = attributes.need_within("keep", "keep = 0", KEEP);
    Some(FaultKind::RetentionTrim { topic: topic?, keep: keep? })
}

/// Serde: a topic by its name, as a scenario writes it.
pub(crate) fn serialize_topic<S: Serializer>(
    topic: &TopicId,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(topic.name())
}
