//! The schema of rollout files against their reader.

use serde_json::{Value, json};

use super::{json, problems_by, rollout_problems, validator};
use crate::read::rollout::{TABLE, TABLES};
use crate::read::schema::{self, table};

#[test]
fn the_rollout_that_ships_is_valid_and_names_the_schema() {
    let text = include_str!("../../../../../../scenarios/rollout.toml");
    assert_eq!(rollout_problems(text), [""; 0]);
    assert_eq!(text.lines().next(), Some("#:schema ./rollout.schema.json"));
}

#[test]
fn every_example_of_a_rollouts_key_is_one_and_every_key_is_described() {
    let schema = schema::of_rollouts();
    for it in TABLES.into_iter().chain([TABLE]) {
        for key in it.keys {
            let (example, name) = (key.example(), key.name());
            assert!(table::description(*key).ends_with('.'), "{} {name}", it.definition());
            if example.starts_with('[') {
                let header = example.trim_matches(['[', ']']);
                assert!(header.split('.').any(|part| part == name), "{example} is no {name}");
                continue;
            }
            let one = json!({
                "$defs": schema["$defs"],
                "properties": { name: table::property(*key, false) },
                "required": [name],
                "additionalProperties": false,
            });
            assert_eq!(problems_by(&validator(&one), &json(&example)), [""; 0], "{example}");
        }
    }
}

#[test]
fn every_table_of_a_rollout_is_referred_to() {
    let text = schema::rollouts();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let tables = schema["$defs"].as_object().unwrap();
    assert_eq!(tables.len(), TABLES.len());
    for name in tables.keys() {
        assert!(text.contains(&format!("\"#/$defs/{name}\"")), "{name}");
    }
}
