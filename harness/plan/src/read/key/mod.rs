//! What a scenario may say: each key is declared once, beside the code that reads its table.
//!
//! A [`Key`] holds all that there is to know of it: name, kind (type, unit, range, words), default,
//! an example and its meaning. The strict reader, the JSON Schema, the reference page and the
//! resolved scenario are made of the declarations, so that none of them can know another key,
//! range or default than the rest. A key is known if it is in the list of its [`Table`], and only
//! then.

mod kind;
mod table;
mod write;

pub(crate) use kind::{Bool, Kind, Name, Quantity, Raw, Shaped, Text, Within, Words};
pub(crate) use table::{Case, Table};
pub(crate) use write::{Writer, array, inline, pairs};

use super::fields::Cx;
use super::schema::Shape;
use super::tree::Node;

/// The keys of a table, in the order in which messages and pages list them.
pub(crate) type Keys = &'static [&'static dyn Declared];

/// A key as all see it who do not read its value.
pub(crate) trait Declared: Sync {
    /// As scenarios write it.
    fn name(&self) -> &'static str;

    /// What it says, in sentences.
    fn doc(&self) -> String;

    /// How one writes it: `ramp = "30s"`.
    fn example(&self) -> String;

    /// What its value may be.
    fn shape(&self) -> Shape;

    /// Reports what is wrong with a value that nobody reads.
    fn examine(&self, _cx: &Cx, _node: &Node) {}

    /// What a number counts, where the value does not carry its unit.
    fn unit(&self) -> Option<&'static str> {
        None
    }

    /// What holds where it is left out, if that is always the same.
    fn default(&self) -> Option<toml::Value> {
        None
    }

    /// Whether it may not be left out.
    fn is_required(&self) -> bool {
        false
    }

    /// Whether exactly one of the keys of its table that are marked so must be there.
    fn is_alternative(&self) -> bool {
        false
    }

    /// A key that must be there where this one is.
    fn beside(&self) -> Option<&'static str> {
        None
    }
}

/// A key whose values are of a kind; `D` is its default, `()` for none.
#[derive(Clone, Copy)]
pub(crate) struct Key<K, D = ()> {
    pub name: &'static str,
    pub kind: K,
    example: &'static str,
    doc: Doc,
    unit: Option<&'static str>,
    default: D,
    required: bool,
    alternative: bool,
    beside: Option<&'static str>,
}

/// A key with a default.
pub(crate) type KeyOr<K> = Key<K, Or<K>>;

/// A default of a kind.
pub(crate) struct Or<K: Kind>(K::Default);

impl<K: Kind> Clone for Or<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Kind> Copy for Or<K> {}

#[derive(Clone, Copy)]
enum Doc {
    Text(&'static str),
    Made(fn() -> String),
}

impl<K: Copy> Key<K> {
    /// A key that may be left out. The example is a line of TOML, as one would write it.
    pub const fn new(
        name: &'static str,
        kind: K,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            example,
            doc: Doc::Text(doc),
            unit: None,
            default: (),
            required: false,
            alternative: false,
            beside: None,
        }
    }

    /// What it says, where that is made of what others declare.
    pub const fn told(mut self, doc: fn() -> String) -> Self {
        self.doc = Doc::Made(doc);
        self
    }

    /// What a number counts, in the plural.
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    /// That it may not be left out.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// That exactly one of the keys that are marked so must be there.
    pub const fn alternative(mut self) -> Self {
        self.alternative = true;
        self
    }

    /// That another key must be there where it is.
    pub const fn beside(mut self, other: &'static str) -> Self {
        self.beside = Some(other);
        self
    }
}

impl<K: Kind> Key<K> {
    /// What holds where it is left out.
    pub const fn or(self, default: K::Default) -> KeyOr<K> {
        let Self { name, kind, example, doc, unit, required, alternative, beside, .. } = self;
        let default = Or(default);
        Key { name, kind, example, doc, unit, default, required, alternative, beside }
    }
}

impl<K: Kind> KeyOr<K> {
    /// Its default.
    pub fn default_value(&self) -> K::Value {
        self.kind.value(self.default.0)
    }
}

/// The default of a key, or none, as pages tell it.
pub(crate) trait Default<K>: Copy + Sync {
    fn toml(self, kind: &K) -> Option<toml::Value>;
}

impl<K> Default<K> for () {
    fn toml(self, _kind: &K) -> Option<toml::Value> {
        None
    }
}

impl<K: Kind> Default<K> for Or<K> {
    fn toml(self, kind: &K) -> Option<toml::Value> {
        Some(kind.toml(&kind.value(self.0)))
    }
}

impl<K: Shaped, D: Default<K>> Declared for Key<K, D> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> String {
        match self.doc {
            Doc::Text(doc) => doc.to_owned(),
            Doc::Made(doc) => doc(),
        }
    }

    fn example(&self) -> String {
        self.example.to_owned()
    }

    fn shape(&self) -> Shape {
        self.kind.shape()
    }

    fn examine(&self, cx: &Cx, node: &Node) {
        self.kind.examine(cx, self.name, node);
    }

    fn unit(&self) -> Option<&'static str> {
        self.unit
    }

    fn default(&self) -> Option<toml::Value> {
        self.default.toml(&self.kind)
    }

    fn is_required(&self) -> bool {
        self.required
    }

    fn is_alternative(&self) -> bool {
        self.alternative
    }

    fn beside(&self) -> Option<&'static str> {
        self.beside
    }
}

/// A list of keys with some more at its end.
pub(crate) const fn with<const N: usize, const M: usize, const SUM: usize>(
    keys: [&'static dyn Declared; N],
    more: [&'static dyn Declared; M],
) -> [&'static dyn Declared; SUM] {
    assert!(N + M == SUM && N > 0, "as many as there are");
    let mut all = [keys[0]; SUM];
    let mut at = 0;
    while at < SUM {
        all[at] = if at < N { keys[at] } else { more[at - N] };
        at += 1;
    }
    all
}
