//! `[target.topics."…"]`: what the embedded runtime retains of a topic.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;

use super::fields::Fields;
use super::scalar::Placed;
use super::topic;
use crate::model::TopicSettings;

/// Events of a topic that the embedded runtime can be asked to hold in memory.
pub(crate) const EVENTS: std::ops::RangeInclusive<u64> = 1..=10_000_000;

/// Reads all tables of `topics`, if there are any.
pub(crate) fn read(target: &mut Fields<'_>) -> Option<BTreeMap<TopicId, TopicSettings>> {
    let cx = target.cx;
    let Some(node) = target.node("topics") else {
        return (!target.has("topics")).then(BTreeMap::new);
    };
    let Some(table) = node.as_table() else {
        // Says that it is not a table.
        let _ = Fields::of(cx, node, "`[target.topics]`");
        return None;
    };
    let mut topics = BTreeMap::new();
    let mut complete = true;
    for (name, place, node) in table.iter() {
        let topic = topic::known(cx, &Placed { value: name.to_owned(), place: place.clone() });
        let fields = Fields::of(cx, node, format!("`[target.topics.\"{name}\"]`"));
        match (topic, fields.map(settings)) {
            (Some(topic), Some(settings)) => drop(topics.insert(topic, settings)),
            _ => complete = false,
        }
    }
    complete.then_some(topics)
}

fn settings(mut fields: Fields<'_>) -> TopicSettings {
    let settings = TopicSettings {
        retain_events: fields.within("retain_events", EVENTS),
        replay_budget_events: fields.within("replay_budget_events", EVENTS),
    };
    fields.finish();
    settings
}
