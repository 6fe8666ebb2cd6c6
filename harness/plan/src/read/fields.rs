//! A strict walk over one table: what is asked for is known, what was not asked for is an error.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;

use super::diagnostic::Diagnostic;
use super::mask::SECRET_KEYS;
use super::scalar::{Read, Shown};
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
        #[cfg(test)]
        super::trace::words(key, words.iter().map(|(word, _)| *word));
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
    asked: Vec<&'static str>,
    /// Keys that must be there and are not; reported at the end, when it is known whether one of
    /// them was only misspelt.
    missing: Vec<(&'static str, Diagnostic)>,
}

static EMPTY: Table = Table::EMPTY;

impl<'a> Fields<'a> {
    /// The table of a node; reports when it is none.
    pub fn of(cx: &'a Cx, node: &'a Node, name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        match &node.value {
            Value::Table(table) => Some(Self {
                cx,
                place: node.place.clone(),
                name,
                table,
                asked: Vec::new(),
                missing: Vec::new(),
            }),
            Value::Poison => None,
            other => {
                let what = format!("{name} must be a table, not {}", other.type_name());
                cx.report(Diagnostic::error(&node.place, what));
                None
            }
        }
    }

    /// The table of a node, or an empty one in its stead, so that defaults apply.
    pub fn or_empty(cx: &'a Cx, node: Option<&'a Node>, owner: &Place, name: &str) -> Self {
        node.and_then(|node| Self::of(cx, node, name)).unwrap_or_else(|| Self {
            cx,
            place: node.map_or_else(|| owner.clone(), |node| node.place.clone()),
            name: name.to_owned(),
            table: &EMPTY,
            asked: Vec::new(),
            missing: Vec::new(),
        })
    }

    /// The value of a key, if there is one that can be read.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.get(key).filter(|node| !node.is_poison())
    }

    /// Whether the table has the key at all.
    pub fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// The value of a key that must be there; `example` completes "add …".
    pub fn need_node(&mut self, key: &'static str, example: &str) -> Option<&'a Node> {
        if !self.has(key) {
            let what = format!("{} lacks `{key}`", self.name);
            let help = format!("add `{example}`");
            self.missing.push((key, Diagnostic::error(&self.place, what).help(help)));
        }
        self.node(key)
    }

    /// The value of a key, if it is there and of the type.
    pub fn get<T: Read>(&mut self, key: &'static str) -> Option<T> {
        let node = self.node(key)?;
        T::read(self.cx, key, node)
    }

    /// The value of a key, or a default.
    pub fn or<T: Read>(&mut self, key: &'static str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// The value of a key within a range, if it is there and right.
    pub fn within<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Read + Shown + PartialOrd,
    {
        let node = self.node(key)?;
        #[cfg(test)]
        super::trace::range(&self.name, key, &range);
        let value = T::read(self.cx, key, node)?;
        if range.contains(&value) {
            return Some(value);
        }
        let (from, to) = (range.start().shown(), range.end().shown());
        let what = format!("`{key}` is {}; it must be from {from} to {to}", value.shown());
        self.cx.report(Diagnostic::error(&node.place, what));
        None
    }

    /// The value of a key that must be there, within a range.
    pub fn need_within<T>(
        &mut self,
        key: &'static str,
        example: &str,
        range: RangeInclusive<T>,
    ) -> Option<T>
    where
        T: Read + Shown + PartialOrd,
    {
        self.need_node(key, example)?;
        self.within(key, range)
    }

    /// The value of a key that is one of a few words, or a default.
    pub fn keyword_or<T: Clone>(
        &mut self,
        key: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> Option<T> {
        match self.node(key) {
            Some(node) => self.cx.keyword(key, node, words),
            None => (!self.has(key)).then_some(default),
        }
    }

    /// The tables of an array of tables; empty when the key is absent, `None` when it is something
    /// else, which has then been reported.
    pub fn tables(&mut self, key: &'static str) -> Option<Vec<&'a Node>> {
        let Some(node) = self.node(key) else { return (!self.has(key)).then(Vec::new) };
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

    /// Warns when a key is there that has no effect; `why` completes "has no effect …".
    pub fn no_effect(&mut self, key: &'static str, why: &str) {
        if let Some(node) = self.node(key) {
            let what = format!("`{key}` has no effect {why}");
            self.cx.report(Diagnostic::warning(&node.place, what).help("remove it"));
        }
    }

    /// Reports every key that nobody asked for, and every key that is missing.
    pub fn finish(mut self) {
        #[cfg(test)]
        super::trace::keys(&self.name, &self.asked);
        for (key, place, node) in self.table.iter().filter(|(key, ..)| !self.asked.contains(key)) {
            let meant = suggest::closest(key, self.asked.iter().copied());
            if meant.is_some_and(|meant| SECRET_KEYS.contains(&meant)) {
                self.cx.sources.borrow_mut().mask(&node.place);
            }
            self.missing.retain(|(missing, _)| Some(*missing) != meant);
            let what = format!("unknown key `{key}` in {}", self.name);
            let help = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("its keys are {}", suggest::list(self.asked.iter().copied())),
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
