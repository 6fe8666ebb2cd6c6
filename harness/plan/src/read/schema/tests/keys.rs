//! Each key, word and range of the reader against the schema's.

use std::collections::{BTreeMap, BTreeSet};

use super::complete::{REFERENCE, URL};
use crate::fault::REGISTRY;
use crate::read::merge::REPLACED_WHOLE;
use crate::read::schema::shape::Shape;
use crate::read::schema::table::Table;
use crate::read::schema::{scenario, tables, text, value};
use crate::read::trace::{self, Trace};
use crate::testing::Load;

/// Tables of the schema, and how the reader calls them.
const CALLED: [(&str, &str); 21] = [
    ("scenario", "the scenario"),
    ("target", "`[target]`"),
    ("slow_consumer", "`[target.slow_consumer]`"),
    ("topic", "`[target.topics.\"runtime.codex_worker_events\"]`"),
    ("auth", "`[auth]`"),
    ("secret", "`secret`"),
    ("fleet", "`[fleet]`"),
    ("surface", "`[[fleet.surface]]`"),
    ("backoff", "`backoff`"),
    ("load", "`[[load]]`"),
    ("phase", "`[[phase]]`"),
    ("fault", "`[[phase.fault]]`"),
    ("gate", "`[[gate]]`"),
    ("objective", "`[[gate.objective]]`"),
    ("oracle", "`[oracle]`"),
    ("generator", "`[generator]`"),
    ("stability", "`[stability]`"),
    ("stability", "`[target.stability]`"),
    ("secret", "`token`"),
    ("secret", "`admin_token`"),
    ("secret", "`command_secret`"),
];

fn schema_tables() -> BTreeMap<String, Table> {
    let all = tables().into_iter().chain([scenario::root()]);
    all.map(|table| (table.name.clone(), table)).collect()
}

fn names(table: &Table) -> BTreeSet<&'static str> {
    table.keys.iter().map(|key| key.name).collect()
}

/// What the reader asks for in the scenarios with every key.
fn trace_of_everything() -> Trace {
    trace::take();
    for text in [REFERENCE, URL] {
        Load::of(text).sound();
    }
    trace::take()
}

#[test]
fn every_key_that_the_reader_asks_for_is_a_property_and_no_other_is() {
    let tables = schema_tables();
    let mut trace = trace_of_everything();
    for (name, called) in CALLED {
        let mut asked =
            trace.keys.remove(called).unwrap_or_else(|| panic!("{called} was not read"));
        if name == "scenario" {
            // Profiles are taken out of the tree before it is read.
            asked.insert("profile");
        }
        assert_eq!(asked, names(&tables[name]), "{called}");
    }
    trace.keys.remove("`attributes`");
    assert_eq!(trace.keys.keys().next(), None, "a table that the schema does not know");
    let mut known: BTreeSet<&str> = tables.keys().map(String::as_str).collect();
    known.retain(|name| !CALLED.iter().any(|(called, _)| called == name));
    known.retain(|name| !name.ends_with("_attributes"));
    // Its keys are the labels of the metrics.
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["where"]);
}

#[test]
fn so_it_is_with_the_attributes_of_each_fault() {
    let tables = schema_tables();
    for fault in REGISTRY {
        trace::take();
        let fault_text = format!("[[phase.fault]]\ntype = \"{}\"\n", fault.name);
        let from = REFERENCE.find("[[phase.fault]]").unwrap();
        let to = REFERENCE.find("[[gate]]").unwrap();
        let text = format!("{}{fault_text}{}", &REFERENCE[..from], &REFERENCE[to..]);
        let _ = Load::of(&text).load();
        let asked = trace::take().keys.remove("`attributes`").expect("attributes are read");
        let table = &tables[&format!("{}_attributes", fault.name)];
        assert_eq!(asked, names(table), "{}", fault.name);
    }
}

#[test]
fn every_word_and_range_of_the_reader_is_the_schemas() {
    let tables = schema_tables();
    let trace = trace_of_everything();
    assert!(trace.words.len() >= 10, "{:?}", trace.words);
    for (key, words) in trace.words {
        let known = tables.values().flat_map(|table| &table.keys).any(|known| {
            known.name == key && matches!(&known.shape, Shape::Words(known) if *known == words)
        });
        assert!(known, "`{key}` may be {words:?}");
    }
    assert!(trace.ranges.len() >= 25, "{:?}", trace.ranges);
    for (called, name, from, to) in trace.ranges {
        // What it may be depends on the mode, which is in the schema's cases.
        if (called.as_str(), name) == ("`[[phase.fault]]`", "value") {
            continue;
        }
        let known = CALLED.iter().find(|(_, known)| *known == called).map(|(name, _)| *name);
        let of_name = |table: &&Table| match known {
            Some(known) => table.name == known,
            None => table.name.ends_with("_attributes"),
        };
        let range = format!("From {from} to {to}.");
        let mut keys = tables.values().filter(of_name).flat_map(|table| &table.keys);
        let found = keys.any(|key| key.name == name && key.description().contains(&range));
        assert!(found, "{called} `{name}`: {range}");
    }
}

#[test]
fn what_a_profile_replaces_is_what_the_merge_replaces() {
    let tables = schema_tables();
    let keys = tables.values().flat_map(|table| &table.keys);
    let replaced: BTreeSet<&str> = keys
        .filter(|key| matches!(key.shape, Shape::Whole(_) | Shape::AnyWhole(_)))
        .map(|key| key.name)
        .collect();
    assert_eq!(replaced.into_iter().collect::<Vec<_>>(), REPLACED_WHOLE);
}

#[test]
fn labels_of_metrics_are_the_keys_of_where() {
    let labels: BTreeSet<&str> =
        crate::metric::MetricId::ALL.iter().flat_map(|metric| metric.labels()).copied().collect();
    assert_eq!(labels, names(&schema_tables()["where"]));
}

#[test]
fn tables_that_profiles_change_have_a_definition_of_that_unless_it_is_the_same() {
    for table in tables() {
        let changes = table.definitions().len() > 1;
        assert!(changes || table.whole() == table.changes() || table.is_needed(), "{}", table.name);
        assert!(!changes || table.whole() != table.changes(), "{}", table.name);
    }
}

#[test]
fn every_definition_is_referred_to_and_every_key_described() {
    let text = text();
    let schema = value();
    for name in schema["$defs"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\"#/$defs/{name}\"")), "{name}");
    }
    for table in schema_tables().values() {
        for key in &table.keys {
            assert!(key.description().ends_with('.'), "{} {}", table.name, key.name);
        }
    }
}
