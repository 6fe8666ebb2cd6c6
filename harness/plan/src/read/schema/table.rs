//! Tables and their keys, and how a schema says them: as they stand in a scenario, and as a profile
//! changes them.

use serde_json::{Map, Value, json};

use super::shape::{Shape, With as _};

/// A key of a table.
#[derive(Clone)]
pub(crate) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    /// What it says, in a sentence or two.
    doc: String,
    default: Option<Value>,
    pub required: bool,
    /// Whether exactly one of the keys of its table that are marked so must be there.
    alternative: bool,
    /// A key that must be there where this one is.
    beside: Option<&'static str>,
}

impl Key {
    /// A key that may be left out.
    pub fn new(name: &'static str, shape: Shape, doc: impl Into<String>) -> Self {
        let doc = doc.into();
        Self { name, shape, doc, default: None, required: false, alternative: false, beside: None }
    }

    /// What holds where it is left out.
    pub fn or(mut self, default: impl Into<Value>) -> Self {
        self.default = Some(default.into());
        self
    }

    /// That it may not be left out.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// That exactly one of the keys that are marked so must be there.
    pub fn alternative(mut self) -> Self {
        self.alternative = true;
        self
    }

    /// That another key must be there where it is.
    pub fn beside(mut self, other: &'static str) -> Self {
        self.beside = Some(other);
        self
    }

    /// What an editor shows of it.
    pub fn description(&self) -> String {
        let mut out = self.doc.clone();
        if let Some(range) = self.shape.range() {
            out.push(' ');
            out.push_str(&range);
        }
        match &self.default {
            Some(Value::String(text)) => out.push_str(&format!(" Default: `{text}`.")),
            Some(value) => out.push_str(&format!(" Default: {value}.")),
            None => {}
        }
        out
    }

    fn schema(&self, changes: bool) -> Value {
        let mut schema = self.shape.schema(changes).with("description", json!(self.description()));
        if let Some(default) = &self.default {
            schema = schema.with("default", default.clone());
        }
        schema
    }
}

/// Where one key has one of these values, more is known of others.
pub(crate) struct Case {
    key: &'static str,
    is: Vec<&'static str>,
    /// Whether it is so where the key is absent too: one of the values is its default.
    or_absent: bool,
    /// Whether it is so where the key has none of them.
    unless: bool,
    then: Vec<(&'static str, Shape)>,
    required: Vec<&'static str>,
}

impl Case {
    pub fn when(key: &'static str, is: impl IntoIterator<Item = &'static str>) -> Self {
        let is = is.into_iter().collect();
        Self { key, is, or_absent: false, unless: false, then: Vec::new(), required: Vec::new() }
    }

    /// Where it has none of these values.
    pub fn unless(key: &'static str, is: impl IntoIterator<Item = &'static str>) -> Self {
        Self { unless: true, ..Self::when(key, is) }
    }

    pub fn or_absent(mut self) -> Self {
        self.or_absent = true;
        self
    }

    pub fn then(mut self, key: &'static str, shape: Shape) -> Self {
        self.then.push((key, shape));
        self
    }

    pub fn needs(mut self, key: &'static str) -> Self {
        self.required.push(key);
        self
    }

    /// `None` where it says nothing about a profile's changes: what is absent from them may be in
    /// the scenario.
    fn schema(&self, changes: bool) -> Option<Value> {
        if changes && (self.then.is_empty() || self.or_absent) {
            return None;
        }
        let mut condition = json!({ "properties": { self.key: { "enum": self.is } } });
        if !self.or_absent {
            condition = condition.with("required", json!([self.key]));
        }
        if self.unless {
            condition = json!({ "not": condition });
        }
        let then: Map<String, Value> = self
            .then
            .iter()
            .map(|(key, shape)| ((*key).to_owned(), shape.schema(changes)))
            .collect();
        let mut consequence = json!({});
        if !then.is_empty() {
            consequence = consequence.with("properties", Value::Object(then));
        }
        if !changes && !self.required.is_empty() {
            consequence = consequence.with("required", json!(self.required));
        }
        Some(json!({ "if": condition, "then": consequence }))
    }
}

/// A table of a scenario.
pub(crate) struct Table {
    /// Name of its definition.
    pub name: String,
    doc: &'static str,
    pub keys: Vec<Key>,
    cases: Vec<Case>,
    /// Whether a profile's replaces the scenario's, so that there are no changes of it.
    replaced: bool,
}

impl Table {
    pub fn new(name: impl Into<String>, doc: &'static str, keys: Vec<Key>) -> Self {
        Self { name: name.into(), doc, keys, cases: Vec::new(), replaced: false }
    }

    pub fn case(mut self, case: Case) -> Self {
        self.cases.push(case);
        self
    }

    pub fn replaced(mut self) -> Self {
        self.replaced = true;
        self
    }

    /// Whether it cannot be empty.
    pub fn is_needed(&self) -> bool {
        self.keys.iter().any(|key| key.required || key.alternative)
    }

    /// As it stands in a scenario.
    pub fn whole(&self) -> Value {
        self.schema(false)
    }

    /// As a profile changes it: nothing need be there.
    pub fn changes(&self) -> Value {
        self.schema(true)
    }

    /// Its definitions with their names: as it stands, and as a profile changes it.
    pub fn definitions(&self) -> Vec<(String, Value)> {
        let mut out = vec![(self.name.clone(), self.whole())];
        let changes = changes_name(&self.name);
        if !self.replaced && changes != self.name {
            out.push((changes, self.changes()));
        }
        out
    }

    fn schema(&self, changes: bool) -> Value {
        let properties: Map<String, Value> =
            self.keys.iter().map(|key| (key.name.to_owned(), key.schema(changes))).collect();
        let mut schema = json!({
            "type": "object",
            "description": self.doc,
            "properties": properties,
            "additionalProperties": false,
        });
        let required: Vec<&str> =
            self.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
        if !changes && !required.is_empty() {
            schema = schema.with("required", json!(required));
        }
        let cases: Vec<Value> = self.cases.iter().filter_map(|case| case.schema(changes)).collect();
        if !cases.is_empty() {
            schema = schema.with("allOf", json!(cases));
        }
        let alternatives = self.keys.iter().filter(|key| key.alternative);
        let alternatives: Vec<Value> =
            alternatives.map(|key| json!({ "required": [key.name] })).collect();
        if !alternatives.is_empty() {
            schema = schema.with("oneOf", json!(alternatives));
        }
        let beside = self.keys.iter().filter_map(|key| Some((key.name, [key.beside?])));
        let beside: Map<String, Value> =
            beside.map(|(key, other)| (key.to_owned(), json!(other))).collect();
        if !beside.is_empty() {
            schema = schema.with("dependentRequired", Value::Object(beside));
        }
        schema
    }
}

/// Tables of which a profile may change all and nothing is needed: one definition does for both.
const ALIKE: [&str; 5] = ["generator", "oracle", "slow_consumer", "stability", "topic"];

/// Name of the definition of what a profile changes of a table.
pub(super) fn changes_name(name: &str) -> String {
    if ALIKE.contains(&name) { name.to_owned() } else { format!("{name}_changes") }
}
