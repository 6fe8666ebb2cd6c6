//! The kinds of keys: how a value is read, what it may be, and how it is written again.
//!
//! A kind that only one table has stands beside that table.

use std::time::Duration;

use crate::read::diagnostic::Diagnostic;
use crate::read::fields::Cx;
use crate::read::name;
use crate::read::scalar::{Bytes, Flow, Rate, Read, Shown};
use crate::read::schema::Shape;
use crate::read::tree::Node;

/// A kind of which it is known what its values may be.
pub(crate) trait Shaped: Copy + Sync + 'static {
    fn shape(&self) -> Shape;

    /// Reports what is wrong with a value that nobody reads.
    fn examine(&self, _cx: &Cx, _key: &str, _node: &Node) {}
}

/// A kind of which all is known.
pub(crate) trait Kind: Shaped {
    /// What is read.
    type Value;
    /// A default as it is declared.
    type Default: Copy + Sync;

    /// The value of `key`; reports what is wrong with it.
    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<Self::Value>;

    /// The value that a default is.
    fn value(&self, default: Self::Default) -> Self::Value;

    /// The value as scenarios write it.
    fn toml(&self, value: &Self::Value) -> toml::Value;
}

/// A kind whose values are read beside their table, by more than the value itself.
#[derive(Clone, Copy)]
pub(crate) struct Raw(pub fn() -> Shape);

impl Shaped for Raw {
    fn shape(&self) -> Shape {
        (self.0)()
    }
}

/// Any string.
#[derive(Clone, Copy)]
pub(crate) struct Text;

impl Shaped for Text {
    fn shape(&self) -> Shape {
        Shape::Text
    }

    fn examine(&self, cx: &Cx, key: &str, node: &Node) {
        let _ = Kind::read(self, cx, key, node);
    }
}

impl Kind for Text {
    type Value = String;
    type Default = &'static str;

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<String> {
        String::read(cx, key, node)
    }

    fn value(&self, default: &'static str) -> String {
        default.to_owned()
    }

    fn toml(&self, value: &String) -> toml::Value {
        value.as_str().into()
    }
}

/// A name that may stand in paths, addresses and labels.
#[derive(Clone, Copy)]
pub(crate) struct Name;

impl Shaped for Name {
    fn shape(&self) -> Shape {
        Shape::Name
    }

    fn examine(&self, cx: &Cx, key: &str, node: &Node) {
        let _ = Kind::read(self, cx, key, node);
    }
}

impl Kind for Name {
    type Value = String;
    type Default = &'static str;

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<String> {
        name::plain(cx, String::read(cx, key, node)?, &node.place)
    }

    fn value(&self, default: &'static str) -> String {
        default.to_owned()
    }

    fn toml(&self, value: &String) -> toml::Value {
        value.as_str().into()
    }
}

/// `true` or `false`.
#[derive(Clone, Copy)]
pub(crate) struct Bool;

impl Shaped for Bool {
    fn shape(&self) -> Shape {
        Shape::Bool
    }

    fn examine(&self, cx: &Cx, key: &str, node: &Node) {
        let _ = Kind::read(self, cx, key, node);
    }
}

impl Kind for Bool {
    type Value = bool;
    type Default = bool;

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<bool> {
        bool::read(cx, key, node)
    }

    fn value(&self, default: bool) -> bool {
        default
    }

    fn toml(&self, value: &bool) -> toml::Value {
        (*value).into()
    }
}

/// One of a few words, each of which stands for a value.
#[derive(Clone, Copy)]
pub(crate) struct Words<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Sync> Words<T> {
    /// The word of a value.
    pub fn word(&self, value: T) -> &'static str {
        let found = self.0.iter().find(|(_, known)| *known == value);
        found.map_or("", |(word, _)| word)
    }
}

impl<T: Copy + PartialEq + Sync> Shaped for Words<T> {
    fn shape(&self) -> Shape {
        Shape::Words(self.0.iter().map(|(word, _)| *word).collect())
    }

    fn examine(&self, cx: &Cx, key: &str, node: &Node) {
        let _ = Kind::read(self, cx, key, node);
    }
}

impl<T: Copy + PartialEq + Sync> Kind for Words<T> {
    type Value = T;
    type Default = T;

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<T> {
        cx.keyword(key, node, self.0)
    }

    fn value(&self, default: T) -> T {
        default
    }

    fn toml(&self, value: &T) -> toml::Value {
        self.word(*value).into()
    }
}

/// A number or a quantity, from the first to the second.
#[derive(Clone, Copy)]
pub(crate) struct Within<T>(pub T, pub T);

/// What can be within a range.
pub(crate) trait Quantity: Read + Shown + PartialOrd + Copy + Sync + 'static {
    /// What a value in this range may be.
    fn shape(from: Self, to: Self) -> Shape;

    /// As scenarios write it.
    fn toml(self) -> toml::Value;
}

impl<T: Quantity> Shaped for Within<T> {
    fn shape(&self) -> Shape {
        T::shape(self.0, self.1)
    }

    fn examine(&self, cx: &Cx, key: &str, node: &Node) {
        let _ = Kind::read(self, cx, key, node);
    }
}

impl<T: Quantity> Kind for Within<T> {
    type Value = T;
    type Default = T;

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<T> {
        let value = T::read(cx, key, node)?;
        if (self.0..=self.1).contains(&value) {
            return Some(value);
        }
        let (from, to) = (self.0.shown(), self.1.shown());
        let what = format!("`{key}` is {}; it must be from {from} to {to}", value.shown());
        cx.report(Diagnostic::error(&node.place, what));
        None
    }

    fn value(&self, default: T) -> T {
        default
    }

    fn toml(&self, value: &T) -> toml::Value {
        value.toml()
    }
}

impl Quantity for u32 {
    fn shape(from: Self, to: Self) -> Shape {
        Shape::Integer(from.into(), to.into())
    }

    fn toml(self) -> toml::Value {
        i64::from(self).into()
    }
}

impl Quantity for u64 {
    fn shape(from: Self, to: Self) -> Shape {
        Shape::Integer(from, to)
    }

    /// TOML has no larger integer, and no reader gives one.
    fn toml(self) -> toml::Value {
        i64::try_from(self).unwrap_or(i64::MAX).into()
    }
}

impl Quantity for f64 {
    fn shape(from: Self, to: Self) -> Shape {
        Shape::Number(from, to)
    }

    fn toml(self) -> toml::Value {
        self.into()
    }
}

/// Quantities that are written with their unit, as messages show them.
macro_rules! written_as_shown {
    ($($quantity:ident $shape:ident;)*) => {
        $(impl Quantity for $quantity {
            fn shape(from: Self, to: Self) -> Shape {
                Shape::$shape(from..=to)
            }

            fn toml(self) -> toml::Value {
                self.shown().into()
            }
        })*
    };
}

written_as_shown! {
    Duration Duration;
    Rate Rate;
    Bytes Size;
    Flow Flow;
}
