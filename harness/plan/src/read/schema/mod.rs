//! The JSON Schemas of scenarios, of gate files, of rollout files and of waivers, for editors and for those who write scenarios by program.
//!
//! Made of the keys as they are declared beside their readers. A schema is the looser of the two:
//! what the reader takes without a warning is valid, and the reader refuses more, such as names that
//! refer to nothing. Tests hold both together: whatever loads in any test of this crate is valid.

pub(crate) mod pattern;
mod shape;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use serde_json::{Map, Value, json};

pub(crate) use shape::Shape;

use super::key::Table;
use super::rollout::waiver;
use super::{gate, include, objective, rollout, scenario, tables};

/// The draft that the schema is written in.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of scenarios as text: `scenarios/scenario.schema.json`.
#[must_use]
pub fn scenarios() -> String {
    format!("{:#}\n", of_scenarios())
}

/// The schema of gate files as text: `scenarios/gates.schema.json`.
#[must_use]
pub fn gate_files() -> String {
    format!("{:#}\n", of_gate_files())
}

/// The schema of rollout files as text: `scenarios/rollout.schema.json`.
#[must_use]
pub fn rollouts() -> String {
    format!("{:#}\n", of_rollouts())
}

/// The schema of files of waivers as text: `scenarios/waivers.schema.json`.
#[must_use]
pub fn waivers() -> String {
    format!("{:#}\n", of_waivers())
}

fn of_scenarios() -> Value {
    let tables = tables::all();
    let mut definitions: Map<String, Value> = tables.iter().flat_map(table::definitions).collect();
    let profile = &scenario::PROFILES;
    definitions.insert(profile.definition(), table::changes(profile));
    document(&scenario::TABLE, "khala-harness scenario", definitions)
}

fn of_gate_files() -> Value {
    let tables = [gate::TABLE, objective::TABLE, objective::LABELS];
    let definitions = tables.iter().map(|table| (table.definition(), table::whole(table)));
    document(&include::TABLE, "khala-harness gate file", definitions.collect())
}

fn of_rollouts() -> Value {
    let definitions = rollout::TABLES.iter().map(|table| (table.definition(), table::whole(table)));
    document(&rollout::TABLE, "khala-harness rollout", definitions.collect())
}

fn of_waivers() -> Value {
    let tables = [waiver::TABLE];
    let definitions = tables.iter().map(|table| (table.definition(), table::whole(table)));
    document(&waiver::FILE, "khala-harness waivers", definitions.collect())
}

fn document(root: &Table, title: &str, definitions: Map<String, Value>) -> Value {
    let Value::Object(mut schema) = table::whole(root) else { return Value::Null };
    schema.insert("$schema".to_owned(), json!(DRAFT));
    schema.insert("title".to_owned(), json!(title));
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}
