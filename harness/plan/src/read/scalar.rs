//! Values of the types that scenarios use, with one message for each way to get them wrong.

use std::borrow::Cow;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::parse;
use super::source::Place;
use super::tree::{Node, Value};
use crate::stability::Allowance;
use crate::units;

/// A type that a value can be read as.
pub(crate) trait Read: Sized {
    /// The value of `key`; reports and gives `None` when it is not of the type.
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self>;
}

/// A value as messages show it.
pub(crate) trait Shown {
    fn shown(&self) -> String;
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// Occurrences per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Rate(pub f64);

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Bytes(pub u32);

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Flow(pub u32);

fn wrong_type<T>(cx: &Cx, key: &str, node: &Node, expected: &str, help: &str) -> Option<T> {
    let what = format!("`{key}` must be {expected}, not {}", node.value.type_name());
    let diagnostic = Diagnostic::error(&node.place, what);
    if !node.is_poison() {
        cx.report(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
    }
    None
}

impl Read for String {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &node.value {
            Value::String(text) => Some(text.clone()),
            _ => wrong_type(cx, key, node, "a string", ""),
        }
    }
}

/// The number or boolean that variables gave, where they gave one: a TOML string can be nothing else.
fn filled(node: &Node) -> Cow<'_, Value> {
    let text = node.as_str().filter(|_| node.place.filled);
    let value = text.and_then(|text| {
        let value = parse::flag_value(node.place.source, text.trim(), 0).value;
        matches!(value, Value::Integer(_) | Value::Huge(_) | Value::Float(_) | Value::Boolean(_))
            .then_some(value)
    });
    value.map_or(Cow::Borrowed(&node.value), Cow::Owned)
}

fn too_large<T>(cx: &Cx, key: &str, node: &Node, digits: &str) -> Option<T> {
    let what = format!("`{key}` is {digits}; it must be at most {}", i64::MAX);
    let note = "TOML holds no larger integer";
    cx.report(Diagnostic::error(&node.place, what).note(note));
    None
}

impl Read for bool {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match (&*filled(node), node.as_str()) {
            (Value::Boolean(value), _) => Some(*value),
            (_, Some("true" | "false")) => {
                wrong_type(cx, key, node, "a boolean", "write it without quotes")
            }
            _ => wrong_type(cx, key, node, "a boolean", "write `true` or `false`"),
        }
    }
}

impl Read for u64 {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &*filled(node) {
            Value::Integer(value) => match Self::try_from(*value) {
                Ok(value) => Some(value),
                Err(_) => {
                    let what = format!("`{key}` is {value}; it must not be negative");
                    cx.report(Diagnostic::error(&node.place, what));
                    None
                }
            },
            Value::Huge(digits) => too_large(cx, key, node, digits),
            Value::Float(value) => {
                let what = format!("`{key}` is {value}; it must be a whole number");
                cx.report(Diagnostic::error(&node.place, what));
                None
            }
            Value::String(text) if text.parse::<Self>().is_ok() => {
                wrong_type(cx, key, node, "an integer", "write it without quotes")
            }
            _ => wrong_type(cx, key, node, "an integer", ""),
        }
    }
}

impl Read for u32 {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        let value = u64::read(cx, key, node)?;
        Self::try_from(value).ok().or_else(|| {
            let what = format!("`{key}` is {value}; it must be at most {}", Self::MAX);
            cx.report(Diagnostic::error(&node.place, what));
            None
        })
    }
}

impl Read for f64 {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &*filled(node) {
            Value::Integer(value) => Some(*value as Self),
            Value::Huge(digits) => too_large(cx, key, node, digits),
            Value::Float(value) if value.is_finite() => Some(*value),
            Value::Float(value) => {
                let what = format!("`{key}` is {value}; it must be a finite number");
                cx.report(Diagnostic::error(&node.place, what));
                None
            }
            _ => wrong_type(cx, key, node, "a number", ""),
        }
    }
}

impl Read for Duration {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &node.value {
            Value::String(text) => quantity(cx, key, "duration", node, text, units::duration(text)),
            Value::Integer(number) => {
                let help = format!("give it a unit: `\"{number}s\"`");
                wrong_type(cx, key, node, "a duration such as \"10s\"", &help)
            }
            _ => wrong_type(cx, key, node, "a duration such as \"10s\"", ""),
        }
    }
}

impl Read for Rate {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &node.value {
            Value::String(text) => {
                quantity(cx, key, "rate", node, text, units::rate_per_s(text)).map(Self)
            }
            Value::Integer(number) => {
                let help = format!("say per what: `\"{number}/s\"`");
                wrong_type(cx, key, node, "a rate such as \"2/s\"", &help)
            }
            _ => wrong_type(cx, key, node, "a rate such as \"2/s\"", ""),
        }
    }
}

impl Read for Bytes {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &node.value {
            Value::String(text) => {
                quantity(cx, key, "size", node, text, units::bytes(text).and_then(as_u32)).map(Self)
            }
            Value::Integer(number) => {
                let help = format!("give it a unit: `\"{number}B\"`");
                wrong_type(cx, key, node, "a size such as \"8KiB\"", &help)
            }
            _ => wrong_type(cx, key, node, "a size such as \"8KiB\"", ""),
        }
    }
}

impl Read for Flow {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &node.value {
            Value::String(text) => {
                let read = units::bytes_per_s(text).and_then(as_u32);
                quantity(cx, key, "flow", node, text, read).map(Self)
            }
            Value::Integer(number) => {
                let help = format!("say of what and per what: `\"{number}B/s\"`");
                wrong_type(cx, key, node, "a flow such as \"2KiB/s\"", &help)
            }
            _ => wrong_type(cx, key, node, "a flow such as \"2KiB/s\"", ""),
        }
    }
}

fn as_u32(bytes: u64) -> Result<u32, units::NotAQuantity> {
    u32::try_from(bytes).map_err(|_| units::NotAQuantity::of("is 4 GiB or more"))
}

fn quantity<T>(
    cx: &Cx,
    key: &str,
    kind: &str,
    node: &Node,
    text: &str,
    read: Result<T, units::NotAQuantity>,
) -> Option<T> {
    read.map_err(|why| {
        let what = format!("bad {kind} for `{key}`: `{text}` {why}");
        cx.report(Diagnostic::error(&node.place, what).label(format!("not a {kind}")));
    })
    .ok()
}

impl Read for Allowance {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &node.value {
            Value::Integer(_) => u64::read(cx, key, node).map(Self::Count),
            Value::String(text) => quantity(cx, key, "limit", node, text, Self::parse(text)),
            _ => wrong_type(cx, key, node, "a number or a limit such as \"1%\"", ""),
        }
    }
}

impl<T: Read> Read for Vec<Placed<T>> {
    fn read(cx: &Cx, key: &str, node: &Node) -> Option<Self> {
        match &node.value {
            // What can be read is looked at further, although the plan is lost already.
            Value::Array(items) => {
                let placed = |item: &Node| {
                    let value = T::read(cx, key, item)?;
                    Some(Placed { value, place: item.place.clone() })
                };
                let read: Self = items.iter().filter_map(placed).collect();
                (items.is_empty() || !read.is_empty()).then_some(read)
            }
            Value::String(text) => {
                let help = format!("put it in brackets: `[\"{text}\"]`");
                wrong_type(cx, key, node, "an array", &help)
            }
            _ => wrong_type(cx, key, node, "an array", ""),
        }
    }
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for f64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Rate {
    fn shown(&self) -> String {
        format!("{}/s", self.0)
    }
}

impl Shown for Bytes {
    fn shown(&self) -> String {
        units::format_bytes(self.0.into())
    }
}

impl Shown for Flow {
    fn shown(&self) -> String {
        format!("{}/s", units::format_bytes(self.0.into()))
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        units::format_duration(*self)
    }
}
