//! The schema against the reader: what it takes, what it refuses, and each key and word of it.

mod accepts;
mod complete;
mod keys;
mod mistakes;

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::{text, value};

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::draft202012::new(&value())
        .expect("the schema is one, and all it refers to is there")
});

/// A scenario as JSON; what JSON does not know is `null`.
fn json(text: &str) -> Value {
    super::table::json_of(toml::Value::Table(toml::from_str(text).expect("TOML")))
}

/// What the schema says against a scenario, one line for each.
fn problems(scenario: &Value) -> Vec<String> {
    let problems = VALIDATOR.iter_errors(scenario);
    problems.map(|problem| format!("{}: {problem}", problem.instance_path())).collect()
}

/// Insists that a scenario which loads is valid. Every load of this crate's tests ends here.
#[track_caller]
pub(crate) fn assert_valid(text: &str) {
    let problems = problems(&json(text));
    assert!(
        problems.is_empty(),
        "the reader takes what the schema refuses:\n{}\n{text}",
        problems.join("\n")
    );
}

#[test]
fn the_committed_schema_is_the_one_of_this_code() {
    let committed = include_str!("../../../../../../scenarios/scenario.schema.json");
    assert!(
        committed == text(),
        "scenarios/scenario.schema.json is out of date; renew it with\n  \
         cargo build && target/debug/khala-harness schema > scenarios/scenario.schema.json"
    );
}
