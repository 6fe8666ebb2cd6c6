//! The schema against the reader: what it takes, what it refuses, and each key and word of it.

mod accepts;
mod complete;
mod keys;
mod mistakes;
mod rollouts;
mod waivers;

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::{
    gate_files, of_gate_files, of_rollouts, of_scenarios, of_waivers, rollouts, scenarios,
    waivers as waiver_files,
};

static SCENARIOS: LazyLock<Validator> = LazyLock::new(|| validator(&of_scenarios()));
static GATE_FILES: LazyLock<Validator> = LazyLock::new(|| validator(&of_gate_files()));
static ROLLOUTS: LazyLock<Validator> = LazyLock::new(|| validator(&of_rollouts()));
static WAIVERS: LazyLock<Validator> = LazyLock::new(|| validator(&of_waivers()));

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::new(schema).expect("the schema is one, and all it refers to is there")
}

/// A scenario as JSON; what JSON does not know is `null`.
fn json(text: &str) -> Value {
    super::table::json_of(toml::Value::Table(toml::from_str(text).expect("TOML")))
}

/// What the schema says against a scenario, one line for each.
fn problems(scenario: &Value) -> Vec<String> {
    problems_by(&SCENARIOS, scenario)
}

fn problems_by(schema: &Validator, document: &Value) -> Vec<String> {
    let problems = schema.iter_errors(document);
    problems.map(|problem| format!("{}: {problem}", problem.instance_path())).collect()
}

/// Insists that a scenario which loads is valid. Every load of this crate's tests ends here.
#[track_caller]
pub(crate) fn assert_valid(text: &str) {
    insist(problems(&json(text)), text);
}

/// The same of a gate file.
#[track_caller]
pub(crate) fn assert_valid_gates(text: &str) {
    insist(problems_by(&GATE_FILES, &json(text)), text);
}

/// The same of a rollout file.
#[track_caller]
pub(crate) fn assert_valid_rollout(text: &str) {
    insist(rollout_problems(text), text);
}

/// What the schema says against a rollout file, one line for each.
pub(crate) fn rollout_problems(text: &str) -> Vec<String> {
    problems_by(&ROLLOUTS, &json(text))
}

/// What the schema says against a file of waivers, one line for each.
pub(crate) fn waiver_problems(text: &str) -> Vec<String> {
    problems_by(&WAIVERS, &json(text))
}

#[track_caller]
fn insist(problems: Vec<String>, text: &str) {
    let problems = problems.join("\n");
    assert!(problems.is_empty(), "the reader takes what the schema refuses:\n{problems}\n{text}");
}

#[test]
fn the_committed_schemas_are_those_of_this_code() {
    let committed = include_str!("../../../../../../scenarios/scenario.schema.json");
    assert!(
        committed == scenarios(),
        "scenarios/scenario.schema.json is out of date; renew it with\n  \
         cargo build && target/debug/khala-harness schema > scenarios/scenario.schema.json"
    );
    let committed = include_str!("../../../../../../scenarios/gates.schema.json");
    assert!(
        committed == gate_files(),
        "scenarios/gates.schema.json is out of date; renew it with\n  \
         cargo build && target/debug/khala-harness schema --gates > scenarios/gates.schema.json"
    );
    let committed = include_str!("../../../../../../scenarios/rollout.schema.json");
    assert!(
        committed == rollouts(),
        "scenarios/rollout.schema.json is out of date; renew it with\n  \
         cargo build && target/debug/khala-harness schema --rollout > scenarios/rollout.schema.json"
    );
    let committed = include_str!("../../../../../../scenarios/waivers.schema.json");
    assert!(
        committed == waiver_files(),
        "scenarios/waivers.schema.json is out of date; renew it with\n  \
         cargo build && target/debug/khala-harness schema --waivers > scenarios/waivers.schema.json"
    );
}

/// Every gate file of the repository names the schema in its first line, as editors want it.
#[test]
fn shipped_gate_files_are_valid_and_name_the_schema() {
    let shipped = accepts::scenarios_in("scenarios/gates");
    assert!(!shipped.is_empty());
    for (path, text) in shipped {
        assert_valid_gates(&text);
        assert_eq!(text.lines().next(), Some("#:schema ../gates.schema.json"), "{path}");
    }
}

#[test]
fn what_no_gate_file_may_hold_is_refused_by_its_schema() {
    let gate = "[[gate]]\nname = \"a\"\n";
    let objective = "[[gate.objective]]\nmetric = \"violations\"\nrequire = \"count == 0\"\n";
    assert_valid_gates(&format!("must_apply = [\"a\"]\n{gate}{objective}"));
    for wrong in [
        format!("name = \"a\"\n{gate}{objective}"),
        gate.to_owned(),
        format!("{gate}{}", objective.replace("violations", "violation")),
        format!("{gate}{}", objective.replace("count", "rate")),
    ] {
        assert_ne!(problems_by(&GATE_FILES, &json(&wrong)), [""; 0], "{wrong}");
    }
}
