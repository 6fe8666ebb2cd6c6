//! Regular expressions (ECMA-262, as JSON Schema has them) for the texts that the reader parses.
//!
//! Made of the units that the reader knows. They take everything that it takes, and a little more:
//! no expression knows that `169h` is too long.

use crate::metric::MetricKind;
use crate::units::{BYTE_UNITS, DURATION_UNITS, RATE_UNITS};

/// A number without a sign, as quantities have it: `1`, `1.5`, `.5`, `1_000`.
const NUMBER: &str = r"(?:[0-9_]+\.?[0-9_]*|\.[0-9_]+)";
/// A number as Rust parses it.
const FLOAT: &str = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?";
/// A name that may stand in paths, addresses and labels.
pub(crate) const PLAIN_NAME: &str = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}";
/// Name of an environment variable.
pub(crate) const VARIABLE: &str = "[A-Za-z_][A-Za-z0-9_]*";

/// The whole text, with white space around it; or a text with a variable in it, of which nothing is
/// known before it is filled in.
fn padded(inner: &str) -> String {
    whole(&format!(r"\s*{inner}\s*"))
}

/// The whole text and nothing around it; or one with a variable in it.
pub(crate) fn whole(inner: &str) -> String {
    format!(r"^(?:{inner})$|\$\{{")
}

fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    format!("(?:{})", words.join("|"))
}

fn duration_inner() -> String {
    let parts: String =
        DURATION_UNITS.iter().map(|(unit, _)| format!("(?:{NUMBER}{unit})?")).collect();
    // Each part may be absent, but not all of them.
    format!("(?=[0-9._]){parts}")
}

fn rate_inner() -> String {
    let units = alternatives(RATE_UNITS.iter().map(|(unit, _)| *unit));
    format!(r"{NUMBER}\s*/\s*{units}")
}

fn size_inner() -> String {
    let units = alternatives(BYTE_UNITS.iter().map(|(unit, _)| *unit));
    format!(r"{NUMBER}\s*{units}")
}

/// `10s`, `1h30m`
pub(crate) fn duration() -> String {
    padded(&duration_inner())
}

/// `2/s`
pub(crate) fn rate() -> String {
    padded(&rate_inner())
}

/// `8KiB`
pub(crate) fn size() -> String {
    padded(&size_inner())
}

/// `2KiB/s`
pub(crate) fn flow() -> String {
    padded(&format!(r"{}\s*/s", size_inner()))
}

/// `1%`, `0.05/s`, `0.1%/h`
pub(crate) fn limit() -> String {
    padded(&format!(r"(?:{NUMBER}\s*%(?:\s*/\s*h)?|{})", rate_inner()))
}

/// `1 %`
pub(crate) fn share() -> String {
    padded(&format!(r"{NUMBER}\s*%?"))
}

/// A claim about a metric of this kind.
pub(crate) fn claim(kind: MetricKind) -> String {
    padded(&claim_inner(kind))
}

/// A claim about a metric of any kind.
pub(crate) fn any_claim() -> String {
    let inners: Vec<String> = MetricKind::ALL.into_iter().map(claim_inner).collect();
    padded(&alternatives(inners.iter().map(String::as_str)))
}

fn claim_inner(kind: MetricKind) -> String {
    let below = r"\s*<=?\s*";
    let distribution = r"(?:p\s*\(\s*[0-9.]+\s*\)|max)";
    let count = format!(r"count\s*(?:<=?|==)\s*{FLOAT}");
    match kind {
        MetricKind::Latency => format!("{distribution}{below}{}", duration_inner()),
        MetricKind::Magnitude => format!("{distribution}{below}{FLOAT}"),
        MetricKind::Proportion => format!(r"(?:proportion{below}{NUMBER}\s*%?|{count})"),
        MetricKind::Rate => format!("(?:rate{below}{}|{count})", rate_inner()),
        MetricKind::Count => count,
        MetricKind::Ratio => format!("ratio{below}{FLOAT}"),
    }
}
