//! The keys that are declared against the scenarios with every key, and against the schema.

use std::collections::BTreeSet;

use serde_json::Value;

use super::complete::{CONTROL, REFERENCE, URL};
use super::{json, problems_by, validator};
use crate::read::key::{Keys, Table};
use crate::read::schema::{self, table};
use crate::read::{include, objective, scenario, tables};
use crate::resolved;
use crate::testing::Load;

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

/// The keys of a table that none of these texts has, in a table in which it knows every other key.
fn unused(table: &Table, texts: &[&str]) -> Vec<&'static str> {
    let mut found = Vec::new();
    texts.iter().for_each(|text| written(&json(text), &mut found));
    let known = names(table.keys);
    found.retain(|keys| keys.iter().all(|key| known.contains(key.as_str())));
    known.into_iter().filter(|key| !found.iter().any(|keys| keys.contains(*key))).collect()
}

/// What holds of "every key" in the other tests holds of every key: a wrong type, for example, is
/// refused at each, so that none is declared and not read.
#[test]
fn the_scenarios_with_every_key_have_every_key() {
    // What a profile may change is the scenario's.
    for table in tables::all().into_iter().chain([scenario::TABLE]) {
        assert_eq!(unused(&table, &[REFERENCE, URL, CONTROL]), [""; 0], "{}", table.definition());
    }
}

#[test]
fn every_example_is_one() {
    let definitions = &schema::of_scenarios()["$defs"];
    for it in tables::all().into_iter().chain([scenario::TABLE, scenario::PROFILES, include::TABLE])
    {
        for key in it.keys {
            let (example, name) = (key.example(), key.name());
            let Value::Object(said) = json(&example) else { panic!("{example}") };
            if example.starts_with('[') {
                let header = example.trim_matches(['[', ']']);
                assert!(header.split('.').any(|part| part == name), "{example} is no {name}");
                continue;
            }
            let schema = serde_json::json!({
                "$defs": definitions,
                "properties": { name: table::property(*key, false) },
                "required": [name],
                "additionalProperties": false,
            });
            let problems = problems_by(&validator(&schema), &Value::Object(said));
            assert_eq!(problems, [""; 0], "{example}");
        }
    }
}

#[test]
fn a_plan_that_is_written_has_every_key() {
    // Written out in what they stand for: gate files, and the limit of kinds that are not named.
    let stands_for_others = |key: &&str| ["gates", "limit"].contains(key);
    let smoke = Load { profile: Some("smoke"), ..Load::of(REFERENCE) };
    // Where the scenario has no word on stability, the target's stands.
    let (from, to) = (REFERENCE.find("\n[stability]"), REFERENCE.find("\n[oracle]"));
    let silent = format!("{}{}", &REFERENCE[..from.unwrap()], &REFERENCE[to.unwrap()..]);
    let others = [REFERENCE, URL, CONTROL, &silent].map(|text| Load::of(text).plan());
    let plans = [smoke.plan()].into_iter().chain(others);
    let texts: Vec<String> = plans.map(|plan| resolved::to_toml(&plan)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for table in tables::all().into_iter().chain([scenario::TABLE]) {
        let mut unused = unused(&table, &texts);
        unused.retain(|key| !stands_for_others(key));
        assert_eq!(unused, [""; 0], "{}", table.definition());
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
    let text = schema::scenarios();
    let schema = schema::of_scenarios();
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
