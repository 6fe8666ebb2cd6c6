//! The schema of files of waivers against their reader.

use serde_json::json;

use super::{json, problems_by, validator, waiver_problems};
use crate::read::rollout::waiver::{FILE, TABLE};
use crate::read::schema::{self, table};
use crate::rollout::waivers;

/// A real one.
const SHIPPED: &str = include_str!("../../../../../../scenarios/waivers/example.toml");

/// What the reader says against a file of waivers; empty where it takes it.
fn refused(text: &str) -> String {
    waivers("w.toml", text).err().map_or_else(String::new, |wrong| wrong.render(false))
}

#[test]
fn the_waivers_that_ship_are_read_are_valid_and_name_the_schema() {
    let read = waivers("example.toml", SHIPPED).expect("it is right");
    let [waiver] = &read[..] else { panic!("one waiver: {read:?}") };
    assert_eq!((waiver.owner.as_str(), waiver.expires.as_str()), ("Ada Lovelace", "2026-12-01"));
    assert!(waiver.metric.is_some() && !waiver.reason.is_empty());
    assert_eq!(waiver_problems(SHIPPED), [""; 0]);
    assert_eq!(SHIPPED.lines().next(), Some("#:schema ../waivers.schema.json"));
}

#[test]
fn what_the_reader_refuses_of_a_waiver_the_schema_refuses() {
    let lines: Vec<_> = SHIPPED.lines().filter(|line| line.contains(" = ")).collect();
    assert_eq!(lines.len(), 5, "gate, metric, owner, reason, expires");
    let spoilt = lines.iter().flat_map(|line| {
        let (key, _) = line.split_once(" = ").expect("a key");
        let gone = (!line.starts_with("metric")).then(|| SHIPPED.replace(line, ""));
        let mistyped = SHIPPED.replace(line, &format!("{key}s = \"x\""));
        let number = SHIPPED.replace(line, &format!("{key} = 7"));
        gone.into_iter().chain([mistyped, number])
    });
    let mut tried = 0;
    for text in spoilt.chain([SHIPPED.replace("[[waiver]]", "[waiver]")]) {
        assert!(!refused(&text).is_empty(), "the reader takes:\n{text}");
        assert!(!waiver_problems(&text).is_empty(), "the schema takes:\n{text}");
        tried += 1;
    }
    assert_eq!(tried, 4 * 3 + 2 + 1);
}

#[test]
fn several_waivers_and_none_are_valid() {
    let second = SHIPPED.split_once("[[waiver]]").expect("a waiver").1;
    let two = format!("{SHIPPED}\n[[waiver]]{second}");
    for text in [two.as_str(), ""] {
        assert_eq!((refused(text), waiver_problems(text)), (String::new(), Vec::new()), "{text}");
    }
}

#[test]
fn every_example_of_a_waivers_key_is_one_and_every_key_is_described() {
    let schema = schema::of_waivers();
    assert_eq!(schema["$defs"].as_object().map(serde_json::Map::len), Some(1));
    assert!(FILE.keys.iter().chain(TABLE.keys).all(|key| table::description(*key).ends_with('.')));
    for key in TABLE.keys {
        let (example, name) = (key.example(), key.name());
        let one = json!({
            "properties": { name: table::property(*key, false) },
            "required": [name],
            "additionalProperties": false,
        });
        assert_eq!(problems_by(&validator(&one), &json(&example)), [""; 0], "{example}");
    }
}
