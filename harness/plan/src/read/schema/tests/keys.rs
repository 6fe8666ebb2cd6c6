//! The keys that are declared against the scenarios with every key, and against the schema.

use std::collections::BTreeSet;

use serde_json::Value;

use super::complete::{REFERENCE, URL};
use super::json;
use crate::read::key::Keys;
use crate::read::schema::{self, table};
use crate::read::{objective, scenario, tables};

fn names(keys: Keys) -> BTreeSet<&'static str> {
    keys.iter().map(|key| key.name()).collect()
}

/// Keys that stand in a table with others of the same names, in any of the scenarios.
fn written(scenario: &Value, out: &mut Vec<BTreeSet<String>>) {
    match scenario {
        Value::Object(table) => {
            out.push(table.keys().cloned().collect());
            table.values().for_each(|inner| written(inner, out));
        }
        Value::Array(items) => items.iter().for_each(|item| written(item, out)),
        _ => {}
    }
}

/// What holds of "every key" in the other tests holds of every key: a wrong type, for example, is
/// refused at each, so that none is declared and not read.
#[test]
fn the_scenarios_with_every_key_have_every_key() {
    let mut found = Vec::new();
    [REFERENCE, URL].iter().for_each(|text| written(&json(text), &mut found));
    // What a profile may change is the scenario's.
    for table in tables::all().into_iter().chain([scenario::TABLE]) {
        let known = names(table.keys);
        let is_it = |keys: &&BTreeSet<String>| keys.iter().all(|key| known.contains(key.as_str()));
        let used: BTreeSet<&str> =
            found.iter().filter(is_it).flatten().map(String::as_str).collect();
        let unused: Vec<_> = known.difference(&used).collect();
        assert!(unused.is_empty(), "{}: {unused:?}", table.definition());
    }
}

#[test]
fn labels_of_metrics_are_the_keys_of_where() {
    let labels: BTreeSet<&str> =
        crate::metric::MetricId::ALL.iter().flat_map(|metric| metric.labels()).copied().collect();
    assert_eq!(labels, names(objective::LABELS.keys));
}

#[test]
fn tables_that_profiles_change_have_a_definition_of_that_unless_it_is_the_same() {
    for it in tables::all() {
        let changes = table::definitions(&it).len() > 1;
        let alike = table::whole(&it) == table::changes(&it);
        assert!(changes || alike || it.is_needed(), "{}", it.definition());
        assert!(!changes || !alike, "{}", it.definition());
    }
}

#[test]
fn every_definition_is_referred_to_and_every_key_described() {
    let text = schema::text();
    let schema = schema::value();
    for name in schema["$defs"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\"#/$defs/{name}\"")), "{name}");
    }
    for it in tables::all().into_iter().chain([scenario::TABLE, scenario::PROFILES]) {
        for key in it.keys {
            let described = table::description(*key);
            assert!(described.ends_with('.'), "{} {}", it.definition(), key.name());
        }
    }
}
