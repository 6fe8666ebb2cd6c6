//! How a schema says tables and their keys: as they stand in a scenario, and as a profile changes
//! them.

use serde_json::{Map, Value, json};

use super::shape::With as _;
use crate::read::key::{Case, Declared, Table};

/// As it stands in a scenario.
pub(super) fn whole(table: &Table) -> Value {
    schema(table, false)
}

/// As a profile changes it: nothing need be there.
pub(super) fn changes(table: &Table) -> Value {
    schema(table, true)
}

/// Its definitions with their names: as it stands, and as a profile changes it.
pub(super) fn definitions(table: &Table) -> Vec<(String, Value)> {
    let name = table.definition();
    let of_changes = changes_name(&name);
    let has_changes = !table.is_replaced && of_changes != name;
    let mut out = vec![(name, whole(table))];
    if has_changes {
        out.push((of_changes, changes(table)));
    }
    out
}

fn schema(table: &Table, changes: bool) -> Value {
    let properties: Map<String, Value> =
        table.keys.iter().map(|key| (key.name().to_owned(), property(*key, changes))).collect();
    let mut schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    let required: Vec<&str> =
        table.keys.iter().filter(|key| key.is_required()).map(|key| key.name()).collect();
    if !changes && !required.is_empty() {
        schema = schema.with("required", json!(required));
    }
    let cases = (table.cases)();
    let cases: Vec<Value> = cases.iter().filter_map(|case| of_case(case, changes)).collect();
    if !cases.is_empty() {
        schema = schema.with("allOf", json!(cases));
    }
    let alternatives = table.keys.iter().filter(|key| key.is_alternative());
    let alternatives: Vec<Value> =
        alternatives.map(|key| json!({ "required": [key.name()] })).collect();
    if !alternatives.is_empty() {
        schema = schema.with("oneOf", json!(alternatives));
    }
    let beside = table.keys.iter().filter_map(|key| Some((key.name(), [key.beside()?])));
    let beside: Map<String, Value> =
        beside.map(|(key, other)| (key.to_owned(), json!(other))).collect();
    if !beside.is_empty() {
        schema = schema.with("dependentRequired", Value::Object(beside));
    }
    schema
}

pub(super) fn property(key: &dyn Declared, changes: bool) -> Value {
    let schema = key.shape().schema(changes).with("description", json!(description(key)));
    match key.default() {
        Some(default) => schema.with("default", json_of(default)),
        None => schema,
    }
}

/// What an editor shows of a key.
pub(super) fn description(key: &dyn Declared) -> String {
    let mut out = key.doc();
    if let Some(range) = key.shape().range() {
        out.push_str(&format!(" {range}."));
    }
    match key.default().map(json_of) {
        Some(Value::String(text)) => out.push_str(&format!(" Default: `{text}`.")),
        Some(value) => out.push_str(&format!(" Default: {value}.")),
        None => {}
    }
    out
}

/// A value of TOML as JSON; what JSON does not know is `null`.
pub(super) fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(_) => Value::Null,
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, json_of(value))).collect()
        }
    }
}

/// `None` where it says nothing about a profile's changes: what is absent from them may be in the
/// scenario.
fn of_case(case: &Case, changes: bool) -> Option<Value> {
    if changes && (case.then.is_empty() || case.or_absent) {
        return None;
    }
    let mut condition = json!({ "properties": { case.key: { "enum": case.is } } });
    if !case.or_absent {
        condition = condition.with("required", json!([case.key]));
    }
    if case.unless {
        condition = json!({ "not": condition });
    }
    let then: Map<String, Value> =
        case.then.iter().map(|(key, shape)| ((*key).to_owned(), shape.schema(changes))).collect();
    let mut consequence = json!({});
    if !then.is_empty() {
        consequence = consequence.with("properties", Value::Object(then));
    }
    if !changes && !case.required.is_empty() {
        consequence = consequence.with("required", json!(case.required));
    }
    Some(json!({ "if": condition, "then": consequence }))
}

/// Tables of which a profile may change all and nothing is needed: one definition does for both.
const ALIKE: [&str; 6] = ["generator", "oracle", "slow_consumer", "tls", "stability", "topic"];

/// Name of the definition of what a profile changes of a table.
pub(super) fn changes_name(name: &str) -> String {
    if ALIKE.contains(&name) { name.to_owned() } else { format!("{name}_changes") }
}
