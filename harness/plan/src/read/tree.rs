//! A scenario as a tree in which every value knows where it stands.

use std::collections::BTreeMap;

use super::source::Place;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub value: Value,
    pub place: Place,
}

/// What TOML knows, and what could not be read.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    /// Digits of an integer that TOML cannot hold, which is beyond every range that a scenario has.
    Huge(String),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
    /// Something is wrong with it that has been reported; what depends on it stays silent.
    Poison,
}

/// A table: key to value, the keys' places too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<String, (Place, Node)>,
}

impl Node {
    pub fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_poison(&self) -> bool {
        matches!(self.value, Value::Poison)
    }

    /// Says of everything in it that it is part of a profile.
    pub fn mark_profile(&mut self) {
        self.place.in_profile = true;
        match &mut self.value {
            Value::Array(items) => items.iter_mut().for_each(Self::mark_profile),
            Value::Table(table) => {
                for (key, node) in table.entries.values_mut() {
                    key.in_profile = true;
                    node.mark_profile();
                }
            }
            _ => {}
        }
    }

    /// Says of everything in it that it stands at one place.
    pub fn move_all_to(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.value {
            Value::Array(items) => items.iter_mut().for_each(|item| item.move_all_to(place)),
            Value::Table(table) => {
                for (key, node) in table.entries.values_mut() {
                    *key = place.clone();
                    node.move_all_to(place);
                }
            }
            _ => {}
        }
    }

    /// Applies `change` to every string of the tree; `None` poisons it.
    pub fn map_strings(&mut self, change: &mut impl FnMut(&str, &mut Place) -> Option<String>) {
        match &mut self.value {
            Value::String(text) => match change(text, &mut self.place) {
                Some(changed) => *text = changed,
                None => self.value = Value::Poison,
            },
            Value::Array(items) => items.iter_mut().for_each(|item| item.map_strings(change)),
            Value::Table(table) => {
                table.entries.values_mut().for_each(|(_, node)| node.map_strings(change));
            }
            _ => {}
        }
    }
}

impl Value {
    /// What a message calls a value of this type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) | Self::Huge(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Poison => "unreadable",
        }
    }
}

impl Table {
    /// A table without keys.
    pub const EMPTY: Self = Self { entries: BTreeMap::new() };

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|(_, node)| node)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.get_mut(key).map(|(_, node)| node)
    }

    pub fn insert(&mut self, key: &str, key_place: Place, node: Node) {
        self.entries.insert(key.to_owned(), (key_place, node));
    }

    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.entries.remove(key).map(|(_, node)| node)
    }

    /// Key, place of the key, value, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place, &Node)> {
        self.entries.iter().map(|(key, (place, node))| (key.as_str(), place, node))
    }
}
