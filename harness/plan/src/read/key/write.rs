//! Writes a scenario: keys by their declarations, values as their kinds write them.

use std::fmt::Write as _;

use super::{Declared, Key, Kind};

/// A scenario that is being written.
#[derive(Default)]
pub(crate) struct Writer(String);

impl Writer {
    /// Begins a table; the header has its brackets.
    pub fn table(&mut self, header: &str) {
        self.line(format_args!("\n{header}"));
    }

    /// A key with a value of its kind.
    pub fn key<K: Kind, D>(&mut self, key: &Key<K, D>, value: &K::Value) {
        let value = inline(&key.kind.toml(value));
        self.line(format_args!("{} = {value}", key.name));
    }

    /// The same, where there is a value.
    pub fn some<K: Kind, D>(&mut self, key: &Key<K, D>, value: Option<&K::Value>) {
        value.into_iter().for_each(|value| self.key(key, value));
    }

    /// A key whose kind does not say how its values are written.
    pub fn raw(&mut self, key: &dyn Declared, value: impl Into<toml::Value>) {
        self.line(format_args!("{} = {}", key.name(), inline(&value.into())));
    }

    /// A line as it is.
    pub fn line(&mut self, line: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    /// All that was written.
    pub fn text(self) -> String {
        self.0
    }
}

/// Texts as an array.
pub(crate) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> toml::Value {
    texts.into_iter().map(toml::Value::from).collect::<Vec<_>>().into()
}

/// A value on one line. What looks like a variable in a string is kept from being read as one.
pub(crate) fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => pairs(table.iter().map(|(key, value)| (key.as_str(), value))),
        toml::Value::String(text) => toml::Value::String(text.replace("${", "$${")).to_string(),
        toml::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        toml::Value::Float(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}

/// A table on one line, its keys in this order.
pub(crate) fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a toml::Value)>) -> String {
    let pairs: Vec<String> =
        pairs.map(|(key, value)| format!("{key} = {}", inline(value))).collect();
    format!("{{ {} }}", pairs.join(", "))
}
