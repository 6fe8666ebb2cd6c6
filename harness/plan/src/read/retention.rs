//! `[target.topics."…"]`, `[target.retains."…"]`: what the embedded runtime retains of a topic, and what one by URL is said
//! to.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;

use super::fields::Fields;
use super::key::{Declared, Key, Table, Within, Writer, inline};
use super::scalar::Placed;
use super::topic;
use crate::model::TopicSettings;

/// Events of a topic that a runtime can be asked to hold.
const EVENTS: Within<u64> = Within(1, TopicSettings::EVENTS_MAX);

const RETAIN_EVENTS: Key<Within<u64>> = Key::new(
    "retain_events",
    EVENTS,
    "retain_events = 1_000",
    "Events retained at most, of a target by URL at any time: a cursor further behind head is below its floor. Default: \
     no limit of this kind.",
)
.unit("events");
const REPLAY_BUDGET_EVENTS: Key<Within<u64>> = Key::new(
    "replay_budget_events",
    EVENTS,
    "replay_budget_events = 500",
    "Replay budget, in events behind head. Default: the contract's for the topic.",
)
.unit("events");

/// `[target.topics."…"]`
pub(crate) const TABLE: Table = Table::new(
    "topic",
    "`[target.topics.\"…\"]`",
    "What is retained of a topic: by `topics` the embedded runtime is started with it, by `[target.retains.\"…\"]` it is known of another.",
    &[&RETAIN_EVENTS, &REPLAY_BUDGET_EVENTS],
);

/// Reads all tables of `topics`, if there are any.
pub(crate) fn read(
    target: &Fields<'_>,
    key: &dyn Declared,
) -> Option<BTreeMap<TopicId, TopicSettings>> {
    let cx = target.cx;
    let Some(node) = target.node(key) else {
        return (!target.has(key)).then(BTreeMap::new);
    };
    let Some(table) = node.as_table() else {
        // Says that it is not a table.
        let _ = Fields::called(cx, node, format!("`[target.{}]`", key.name()), &[]);
        return None;
    };
    let mut topics = BTreeMap::new();
    let mut complete = true;
    for (name, place, node) in table.iter() {
        let topic = topic::known(cx, &Placed { value: name.to_owned(), place: place.clone() });
        let called = format!("`[target.{}.\"{name}\"]`", key.name());
        let fields = Fields::called(cx, node, called, TABLE.keys);
        match (topic, fields.map(settings)) {
            (Some(topic), Some(settings)) => drop(topics.insert(topic, settings)),
            _ => complete = false,
        }
    }
    complete.then_some(topics)
}

fn settings(fields: Fields<'_>) -> TopicSettings {
    let settings = TopicSettings {
        retain_events: fields.get(&RETAIN_EVENTS),
        replay_budget_events: fields.get(&REPLAY_BUDGET_EVENTS),
    };
    fields.finish();
    settings
}

/// Writes what is retained of each topic.
pub(crate) fn write(
    out: &mut Writer,
    key: &dyn Declared,
    topics: &BTreeMap<TopicId, TopicSettings>,
) {
    for (topic, settings) in topics {
        out.table(&format!("[target.{}.{}]", key.name(), inline(&topic.name().into())));
        out.some(&RETAIN_EVENTS, settings.retain_events.as_ref());
        out.some(&REPLAY_BUDGET_EVENTS, settings.replay_budget_events.as_ref());
    }
}
