//! `unsubscribe`: clients leave topics at an instant, and subscribe again after a while.

use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::Serializer;

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind};
use crate::read::fields::Fields;
use crate::read::schema::{Key, Shape};
use crate::read::topic;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "unsubscribe",
    summary: "Unsubscribes its targets from topics, and subscribes them again with the cursor kept.",
    acts_on: ActsOn::Clients,
    extent: Extent::InstantOfEach,
    attributes,
    read,
};

const UNSUBSCRIBED_FOR: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

fn attributes() -> Vec<Key> {
    let topics = "The topics; those that a target does not subscribe to leave it alone.";
    let away = "How long until it subscribes again.";
    vec![
        Key::new("topics", Shape::topics(), topics).required(),
        Key::new("unsubscribed_for", Shape::Duration(UNSUBSCRIBED_FOR), away).required(),
    ]
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let cx = attributes.cx;
    let topics = attributes
        .need_node("topics", "topics = [\"runtime.codex_worker_events\"]")
        .and_then(|node| {
            let empty = ("an unsubscribe of no topic does nothing", "name a topic");
            topic::list(cx, "topics", node, empty)
        });
    let unsubscribed_for =
        attributes.need_within("unsubscribed_for", "unsubscribed_for = \"5s\"", UNSUBSCRIBED_FOR);
    Some(FaultKind::Unsubscribe { topics: topics?, unsubscribed_for: unsubscribed_for? })
}

/// Serde: topics by their names, as a scenario writes them.
pub(crate) fn serialize_topics<S: Serializer>(
    topics: &[TopicId],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(topics.iter().map(|topic| topic.name()))
}
