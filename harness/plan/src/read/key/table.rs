//! Tables, and what is known of some of their keys by others.

use super::{Declared, Keys};
use crate::read::schema::Shape;

/// A table of a scenario.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    name: &'static str,
    /// What follows its name in the schema.
    suffix: &'static str,
    /// How messages and headings call it.
    pub called: &'static str,
    /// What it is, in a sentence or two.
    pub doc: &'static str,
    pub keys: Keys,
    /// What is known of some keys by others.
    pub cases: fn() -> Vec<Case>,
    /// Whether a profile's replaces the scenario's, so that there are no changes of it.
    pub is_replaced: bool,
}

impl Table {
    pub const fn new(
        name: &'static str,
        called: &'static str,
        doc: &'static str,
        keys: Keys,
    ) -> Self {
        let (suffix, cases) = ("", Vec::new as fn() -> Vec<Case>);
        Self { name, suffix, called, doc, keys, cases, is_replaced: false }
    }

    /// The attributes of a type of fault.
    pub const fn attributes(fault: &'static str, doc: &'static str, keys: Keys) -> Self {
        let table = Self::new(fault, "`attributes`", doc, keys).replaced();
        Self { suffix: "_attributes", ..table }
    }

    /// The type of fault whose attributes it is.
    pub fn fault(&self) -> Option<&'static str> {
        (!self.suffix.is_empty()).then_some(self.name)
    }

    /// Name of its definition in the schema.
    pub fn definition(&self) -> String {
        format!("{}{}", self.name, self.suffix)
    }

    pub const fn cases(mut self, cases: fn() -> Vec<Case>) -> Self {
        self.cases = cases;
        self
    }

    pub const fn replaced(mut self) -> Self {
        self.is_replaced = true;
        self
    }

    /// Whether it cannot be empty.
    pub fn is_needed(&self) -> bool {
        self.keys.iter().any(|key| key.is_required() || key.is_alternative())
    }
}

/// Where one key has one of these values, more is known of others.
pub(crate) struct Case {
    pub key: &'static str,
    pub is: Vec<&'static str>,
    /// Whether it is so where the key is absent too: one of the values is its default.
    pub or_absent: bool,
    /// Whether it is so where the key has none of them.
    pub unless: bool,
    pub then: Vec<(&'static str, Shape)>,
    pub required: Vec<&'static str>,
}

impl Case {
    pub fn when(key: &dyn Declared, is: impl IntoIterator<Item = &'static str>) -> Self {
        let (key, is) = (key.name(), is.into_iter().collect());
        Self { key, is, or_absent: false, unless: false, then: Vec::new(), required: Vec::new() }
    }

    /// Where it has none of these values.
    pub fn unless(key: &dyn Declared, is: impl IntoIterator<Item = &'static str>) -> Self {
        Self { unless: true, ..Self::when(key, is) }
    }

    pub fn or_absent(mut self) -> Self {
        self.or_absent = true;
        self
    }

    pub fn then(mut self, key: &dyn Declared, shape: Shape) -> Self {
        self.then.push((key.name(), shape));
        self
    }

    pub fn needs(mut self, key: &dyn Declared) -> Self {
        self.required.push(key.name());
        self
    }
}
