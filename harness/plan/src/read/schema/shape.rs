//! What a value may be: one case for each way in which the reader reads a value.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::pattern;
use super::table::changes_name;
use crate::read::scalar::{Bytes, Flow, Rate, Shown};

/// What a value may be.
#[derive(Clone)]
pub(crate) enum Shape {
    /// Any string.
    Text,
    /// A string that an expression matches.
    Matching(String),
    /// A name that may stand in paths, addresses and labels.
    Name,
    /// One of a few words.
    Words(Vec<&'static str>),
    /// `true` or `false`.
    Bool,
    /// `true`; `false` would say nothing.
    True,
    /// A whole number.
    Integer(u64, u64),
    /// A number.
    Number(f64, f64),
    /// A number above the first and at most the second.
    NumberAbove(f64, f64),
    /// `10s`
    Duration(RangeInclusive<Duration>),
    /// `2/s`
    Rate(RangeInclusive<Rate>),
    /// `8KiB`
    Size(RangeInclusive<Bytes>),
    /// `2KiB/s`
    Flow(RangeInclusive<Flow>),
    /// `3`, `1%`, `0.05/s`, `0.1%/h`
    Limit,
    /// A list of strings.
    Texts,
    /// A list of at least so many, each once.
    List(Box<Self>, u32),
    /// Program and arguments.
    Command,
    /// A table of names of one's own: texts, or where secrets are.
    Extras,
    /// A table, by the name of its definition; a profile changes it key by key.
    Table(&'static str),
    /// A table that a profile replaces as a whole.
    Whole(String),
    /// One of a few such tables.
    AnyWhole(Vec<String>),
    /// A table that lacks this key; what else it is, is said elsewhere.
    Without(&'static str),
    /// An array of at least so many tables; a profile may also address its elements by name.
    Tables(&'static str, u32),
    /// An array without a table in it.
    NoTables,
    /// A table of tables, with names that are given.
    Named(Vec<&'static str>, &'static str),
    /// The profiles: a table of tables with names of their own.
    Profiles(&'static str),
    /// Nothing: the key must not be there.
    Never,
}

impl Shape {
    /// A list of at least so many names, each once.
    pub fn names(min: u32) -> Self {
        Self::List(Box::new(Self::Text), min)
    }

    /// The range as people read it, where there is one.
    pub fn range(&self) -> Option<String> {
        fn between<T: Shown>(range: &RangeInclusive<T>) -> Option<String> {
            Some(format!("From {} to {}", range.start().shown(), range.end().shown()))
        }
        match self {
            Self::Integer(from, to) if from == to => None,
            Self::Integer(from, to) => between(&(*from..=*to)),
            Self::Number(from, to) => between(&(*from..=*to)),
            Self::NumberAbove(from, to) => Some(format!("Above {from}, at most {to}")),
            Self::Duration(range) => between(range),
            Self::Rate(range) => between(range),
            Self::Size(range) => between(range),
            Self::Flow(range) => between(range),
            _ => None,
        }
    }

    /// The schema; that of the tables inside is of a profile's changes where `changes` says so.
    pub fn schema(&self, changes: bool) -> Value {
        let whole = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
        let reference = |name: &str| if changes { whole(&changes_name(name)) } else { whole(name) };
        let matching = |pattern: String| json!({ "type": "string", "pattern": pattern });
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Matching(pattern) => matching(pattern.clone()),
            Self::Name => matching(pattern::whole(pattern::PLAIN_NAME)),
            // With the words in an `enum` an editor can offer them.
            Self::Words(words) => json!({ "anyOf": [{ "enum": words }, { "pattern": r"\$\{" }] })
                .with("type", json!("string")),
            Self::Bool => or_filled(json!({ "type": "boolean" })),
            Self::True => json!({ "const": true }),
            Self::Integer(from, to) => {
                or_filled(json!({ "type": "integer", "minimum": from, "maximum": to }))
            }
            Self::Number(from, to) => {
                or_filled(json!({ "type": "number", "minimum": from, "maximum": to }))
            }
            Self::NumberAbove(from, to) => {
                or_filled(json!({ "type": "number", "exclusiveMinimum": from, "maximum": to }))
            }
            Self::Duration(_) => matching(pattern::duration()),
            Self::Rate(_) => matching(pattern::rate()),
            Self::Size(_) => matching(pattern::size()),
            Self::Flow(_) => matching(pattern::flow()),
            Self::Limit => json!({ "anyOf": [
                { "type": "integer", "minimum": 0 },
                matching(pattern::limit()),
            ] }),
            Self::Texts => array(Self::Text.schema(changes), 0),
            Self::List(of, min) => array(of.schema(changes), *min).with("uniqueItems", json!(true)),
            Self::Command => array(Self::Text.schema(changes), 1),
            Self::Extras => {
                let value = json!({ "anyOf": [{ "type": "string" }, whole("secret")] });
                json!({ "type": "object", "additionalProperties": value })
            }
            Self::Table(name) => reference(name),
            Self::Whole(name) => whole(name),
            Self::AnyWhole(names) => {
                let of: Vec<Value> = names.iter().map(|name| whole(name)).collect();
                json!({ "anyOf": of })
            }
            Self::Without(key) => json!({ "properties": { *key: false } }),
            Self::Tables(name, min) => {
                // An array in a profile replaces the scenario's, so its elements are whole.
                let array = array(whole(name), *min);
                if !changes {
                    return array;
                }
                let by_name = json!({ "type": "object", "additionalProperties": reference(name) });
                json!({ "anyOf": [array, by_name] })
            }
            Self::NoTables => json!({ "maxItems": 0 }),
            Self::Named(names, name) => {
                let properties: Map<String, Value> =
                    names.iter().map(|key| ((*key).to_owned(), reference(name))).collect();
                json!({ "type": "object", "properties": properties, "additionalProperties": false })
            }
            Self::Profiles(name) => json!({
                "type": "object",
                "propertyNames": { "pattern": format!("^{}$", pattern::PLAIN_NAME) },
                "additionalProperties": whole(name),
            }),
            Self::Never => json!(false),
        }
    }
}

/// A number or a boolean, or a string in which a variable gives it.
fn or_filled(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": r"\$\{" }] })
}

fn array(items: Value, min: u32) -> Value {
    let array = json!({ "type": "array", "items": items });
    if min == 0 { array } else { array.with("minItems", json!(min)) }
}

/// Adds a keyword to a schema.
pub(super) trait With {
    fn with(self, keyword: &str, value: Value) -> Self;
}

impl With for Value {
    fn with(mut self, keyword: &str, value: Value) -> Self {
        if let Self::Object(map) = &mut self {
            map.insert(keyword.to_owned(), value);
        }
        self
    }
}
