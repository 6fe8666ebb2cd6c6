//! A strict walk over one table: what is not declared is an error.

use std::cell::{Cell, RefCell};

use super::diagnostic::Diagnostic;
use super::key::{self, Declared, Key, KeyOr, Keys, Kind};
use super::mask::SECRET_KEYS;
use super::scalar::{Placed, Read};
use super::source::{Place, SourceMap};
use super::suggest;
use super::tree::{Node, Table, Value};

/// What a walk carries along: the texts, and what it has found wrong so far.
#[derive(Default)]
pub(crate) struct Cx {
    /// The texts.
    pub sources: RefCell<SourceMap>,
    /// What is wrong so far.
    pub found: RefCell<Vec<Diagnostic>>,
    /// Whether a syntax error may have swallowed a part of the scenario: then nothing is said to be
    /// missing.
    pub partial: Cell<bool>,
}

impl Cx {
    /// Reports something.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// Reports that something is not there, unless a syntax error may have swallowed it.
    pub fn report_missing(&self, diagnostic: Diagnostic) {
        if !self.partial.get() {
            self.report(diagnostic);
        }
    }

    /// Reads a string that is one of a few words.
    pub fn keyword<T: Clone>(&self, key: &str, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let word = String::read(self, key, node)?;
        let found = words.iter().find(|(name, _)| *name == word).map(|(_, value)| value.clone());
        if found.is_none() {
            let names = words.iter().map(|(name, _)| *name);
            self.report(
                Diagnostic::error(&node.place, format!("`{word}` is not a value of `{key}`"))
                    .help(suggest::did_you_mean(&word, names)),
            );
        }
        found
    }
}

/// A table that is being read.
pub(crate) struct Fields<'a> {
    pub cx: &'a Cx,
    /// Where the table is.
    pub place: Place,
    /// How messages call it, quotes included.
    pub name: String,
    table: &'a Table,
    /// The keys that there are.
    keys: Keys,
    /// Keys that must be there and are not; reported at the end, when it is known whether one of
    /// them was only misspelt.
    missing: Vec<(&'static str, Diagnostic)>,
}

static EMPTY: Table = Table::EMPTY;

impl<'a> Fields<'a> {
    /// The fields of a node that is such a table; reports when it is none.
    pub fn of(cx: &'a Cx, node: &'a Node, table: &key::Table) -> Option<Self> {
        Self::called(cx, node, table.called, table.keys)
    }

    /// The fields of a node that is a table with these keys, and a name of its own.
    pub fn called(cx: &'a Cx, node: &'a Node, name: impl Into<String>, keys: Keys) -> Option<Self> {
        let name = name.into();
        match &node.value {
            Value::Table(table) => {
                let place = node.place.clone();
                Some(Self { cx, place, name, table, keys, missing: Vec::new() })
            }
            Value::Poison => None,
            other => {
                let what = format!("{name} must be a table, not {}", other.type_name());
                cx.report(Diagnostic::error(&node.place, what));
                None
            }
        }
    }

    /// The fields of the table at a key of this one, or of an empty one in its stead, so that
    /// defaults apply.
    pub fn inner(&self, key: &dyn Declared, table: &key::Table) -> Self {
        self.inner_called(key, table.called, table.keys)
    }

    /// The same, of a table with these keys and a name of its own.
    pub fn inner_called(&self, key: &dyn Declared, name: &str, keys: Keys) -> Self {
        let node = self.node(key);
        node.and_then(|node| Self::called(self.cx, node, name, keys)).unwrap_or_else(|| Self {
            cx: self.cx,
            place: node.map_or_else(|| self.place.clone(), |node| node.place.clone()),
            name: name.to_owned(),
            table: &EMPTY,
            keys,
            missing: Vec::new(),
        })
    }

    /// The node at a key, if there is one that can be read.
    pub fn node(&self, key: &dyn Declared) -> Option<&'a Node> {
        let declared = self.keys.iter().any(|known| known.name() == key.name());
        debug_assert!(declared, "`{}` is a key of {}", key.name(), self.name);
        self.table.get(key.name()).filter(|node| !node.is_poison())
    }

    /// Where a key's value stands; where it is left out, the table.
    pub fn place_of(&self, key: &dyn Declared) -> Place {
        self.node(key).map_or(&self.place, |node| &node.place).clone()
    }

    /// Whether the table has the key at all.
    pub fn has(&self, key: &dyn Declared) -> bool {
        self.table.get(key.name()).is_some()
    }

    /// The node at a key that must be there.
    pub fn need_node(&mut self, key: &dyn Declared) -> Option<&'a Node> {
        if !self.has(key) {
            let what = format!("{} lacks `{}`", self.name, key.name());
            let help = format!("add `{}`", key.example());
            self.missing.push((key.name(), Diagnostic::error(&self.place, what).help(help)));
        }
        self.node(key)
    }

    /// The value of a key, if it is there and right.
    pub fn get<K: Kind, D: key::Default<K>>(&self, key: &Key<K, D>) -> Option<K::Value> {
        key.kind.read(self.cx, key.name, self.node(key)?)
    }

    /// The value of a key of which only the type is declared, if it is there and of the type.
    pub fn get_as<T: Read>(&self, key: &dyn Declared) -> Option<T> {
        T::read(self.cx, key.name(), self.node(key)?)
    }

    /// The value of a key that must be there.
    pub fn need<K: Kind>(&mut self, key: &Key<K>) -> Option<K::Value> {
        self.need_node(key)?;
        self.get(key)
    }

    /// The same, with its place.
    pub fn need_placed<K: Kind>(&mut self, key: &Key<K>) -> Option<Placed<K::Value>> {
        let place = self.need_node(key)?.place.clone();
        Some(Placed { value: self.get(key)?, place })
    }

    /// The value of a key, or its default: also where something wrong stands, so that the rest is
    /// looked at all the same.
    pub fn or<K: Kind>(&self, key: &KeyOr<K>) -> K::Value {
        self.get(key).unwrap_or_else(|| key.default_value())
    }

    /// The value of a key, or its default where it is absent; `None` where something wrong stands.
    pub fn right<K: Kind>(&self, key: &KeyOr<K>) -> Option<K::Value> {
        self.right_or(key, || key.default_value())
    }

    /// The same, with a default that hangs on other keys.
    pub fn right_or<K: Kind, D: key::Default<K>>(
        &self,
        key: &Key<K, D>,
        default: impl FnOnce() -> K::Value,
    ) -> Option<K::Value> {
        match self.node(key) {
            Some(_) => self.get(key),
            None => (!self.has(key)).then(default),
        }
    }

    /// The tables of an array of tables; empty when the key is absent, `None` when it is something
    /// else, which has then been reported.
    pub fn tables(&self, key: &dyn Declared) -> Option<Vec<&'a Node>> {
        let Some(node) = self.node(key) else { return (!self.has(key)).then(Vec::new) };
        let key = key.name();
        let name = format!("[[{}]]", join(&self.name, key));
        match &node.value {
            Value::Array(items) => Some(items.iter().collect()),
            Value::Table(_) => {
                let what = format!("`{key}` is a list of tables");
                let help = format!("write `{name}` with two pairs of brackets");
                self.cx.report(Diagnostic::error(&node.place, what).help(help));
                None
            }
            other => {
                let what = format!("`{key}` must be a list of tables, not {}", other.type_name());
                self.cx
                    .report(Diagnostic::error(&node.place, what).help(format!("write `{name}`")));
                None
            }
        }
    }

    /// Warns when a key is there that has no effect; `why` completes "has no effect …". What is wrong with its
    /// value is reported all the same: one range holds for a key, whatever stands beside it.
    pub fn no_effect(&self, key: &dyn Declared, why: &str) {
        if let Some(node) = self.node(key) {
            let what = format!("`{}` has no effect {why}", key.name());
            self.cx.report(Diagnostic::warning(&node.place, what).help("remove it"));
            key.examine(self.cx, node);
        }
    }

    /// The same of a key that is without effect by what another one says; nothing where that one was laid over a
    /// scenario in which the key means something: whoever names another target or other tokens beside it, or in one
    /// of its profiles, leaves it the keys of its own.
    pub fn no_effect_by(&self, key: &dyn Declared, by: Option<&Node>, why: &str) {
        match self.node(key).zip(by) {
            Some((node, by)) if self.outranks(by, node) => key.examine(self.cx, node),
            _ => self.no_effect(key, why),
        }
    }

    /// Reports what is wrong with the value of a key that nobody reads, if it is there.
    pub fn examine(&self, key: &dyn Declared) {
        if let Some(node) = self.node(key) {
            key.examine(self.cx, node);
        }
    }

    /// Whether a node was laid over the text in which another stands: by a profile, a target's file or a flag.
    pub fn outranks(&self, node: &Node, other: &Node) -> bool {
        let sources = self.cx.sources.borrow();
        sources.layer(&node.place) > sources.layer(&other.place)
    }

    /// Reports every key that there is not, and every key that is missing.
    pub fn finish(mut self) {
        let keys = self.keys;
        let known = || keys.iter().map(|key| key.name());
        for (key, place, node) in self.table.iter().filter(|(key, ..)| !known().any(|k| k == *key))
        {
            let meant = suggest::closest(key, known());
            if meant.is_some_and(|meant| SECRET_KEYS.contains(&meant)) {
                self.cx.sources.borrow_mut().mask(&node.place);
            }
            self.missing.retain(|(missing, _)| Some(*missing) != meant);
            let what = format!("unknown key `{key}` in {}", self.name);
            let help = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("its keys are {}", suggest::list(known())),
            };
            self.cx.report(Diagnostic::error(place, what).label("not a key of it").help(help));
        }
        self.missing.into_iter().for_each(|(_, diagnostic)| self.cx.report_missing(diagnostic));
    }
}

/// The header of an array of tables inside the table called `name`.
fn join(name: &str, key: &str) -> String {
    match name.trim_matches(['`', '[', ']']) {
        "the scenario" | "the gate file" => key.to_owned(),
        parent => format!("{parent}.{key}"),
    }
}
