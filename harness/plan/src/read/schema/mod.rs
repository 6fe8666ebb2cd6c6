//! The JSON Schema of scenario files, for editors and for those who write scenarios by program.
//!
//! One file for each section, made of the ranges, defaults and words that the reader uses. The
//! schema is the looser of the two: what the reader takes without a warning is valid, and the
//! reader refuses more, such as names that refer to nothing. Tests hold both together: each key
//! that the reader asks for is a property, each word and range is the reader's, and whatever loads
//! in any test of this crate is valid.

mod auth;
mod fleet;
mod gate;
mod load;
mod pattern;
mod phase;
mod scenario;
mod shape;
mod stability;
mod table;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod tuning;

use serde_json::{Map, Value, json};

pub(crate) use shape::Shape;
pub(crate) use table::Key;
use table::Table;

/// The draft that the schema is written in.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema as text: `scenarios/scenario.schema.json`.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", value())
}

/// The schema.
pub(crate) fn value() -> Value {
    let mut definitions = Map::new();
    for table in tables() {
        for (name, definition) in table.definitions() {
            definitions.insert(name, definition);
        }
    }
    definitions.insert("profile".to_owned(), scenario::profile().changes());
    let Value::Object(mut schema) = scenario::root().whole() else { return Value::Null };
    schema.insert("$schema".to_owned(), json!(DRAFT));
    schema.insert("title".to_owned(), json!("khala-harness scenario"));
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

/// Every table but the scenario itself and its profiles.
fn tables() -> Vec<Table> {
    let mut tables = vec![tuning::oracle(), tuning::generator(), stability::table()];
    tables.extend(target::tables());
    tables.extend(auth::tables());
    tables.extend(fleet::tables());
    tables.push(load::table());
    tables.extend(phase::tables());
    tables.extend(gate::tables());
    tables
}
