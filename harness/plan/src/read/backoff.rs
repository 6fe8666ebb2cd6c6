//! `backoff = { … }`: when a client reconnects.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{Key, KeyOr, Kind, Table, Within, pairs};
use super::tree::Node;
use crate::backoff::Backoff;

const DELAYS: Within<Duration> = Within(Duration::from_millis(1), Duration::from_secs(3600));
/// 2^31 times the shortest base is beyond every cap.
const EXPONENT_LIMIT: u32 = 31;

const FIXED: Key<Within<Duration>> =
    Key::new("fixed", DELAYS, "fixed = \"2s\"", "The same delay at every attempt.").alternative();
const BASE: Key<Within<Duration>> =
    Key::new("base", DELAYS, "base = \"250ms\"", "Delay of the first step.")
        .alternative()
        .beside("cap");
const CAP: Key<Within<Duration>> =
    Key::new("cap", DELAYS, "cap = \"8s\"", "Largest delay before jitter.");
const EXPONENT_OFFSET: KeyOr<Within<u32>> = Key::new(
    "exponent_offset",
    Within(0, EXPONENT_LIMIT),
    "exponent_offset = 1",
    "Subtracted from the attempt, which counts from 1, to get the exponent.",
)
.unit("attempts")
.or(0);
const EXPONENT_MAX: KeyOr<Within<u32>> =
    Key::new("exponent_max", Within(0, EXPONENT_LIMIT), "exponent_max = 10", "Largest exponent.")
        .or(EXPONENT_LIMIT);
const JITTER: KeyOr<Within<f64>> = Key::new(
    "jitter",
    Within(0.0, 10.0),
    "jitter = 0.5",
    "Largest share of the delay that is added to it, drawn evenly.",
)
.unit("share of the delay")
.or(0.0);

/// `backoff`
pub(crate) const TABLE: Table = Table::new(
    "backoff",
    "`backoff`",
    "`{ fixed = \"2s\" }`, or `base × 2^min(attempt − exponent_offset, exponent_max)`, at most \
     `cap`, plus up to `jitter` of it.",
    &[&FIXED, &BASE, &CAP, &EXPONENT_OFFSET, &EXPONENT_MAX, &JITTER],
)
.replaced();

/// Reads `{ fixed = "2s" }` or `{ base, cap, exponent_offset, exponent_max, jitter }`.
pub(crate) fn read(cx: &Cx, node: &Node) -> Option<Backoff> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let fixed = fields.has(&FIXED);
    let delay = fields.get(&FIXED);
    let beside = || TABLE.keys.iter().filter(|key| key.name() != FIXED.name);
    if fixed && beside().any(|key| fields.has(*key)) {
        let what = "`backoff` is either fixed or exponential";
        let help = "write `{ fixed = \"2s\" }` or `{ base = \"250ms\", cap = \"8s\" }`";
        cx.report(Diagnostic::error(&node.place, what).help(help));
        beside().for_each(|key| fields.examine(*key));
    }
    let exponential = if fixed { None } else { exponential(&mut fields) };
    fields.finish();
    delay.map(Backoff::fixed).or(exponential)
}

fn exponential(fields: &mut Fields<'_>) -> Option<Backoff> {
    let base = fields.need(&BASE);
    let cap = fields.need(&CAP);
    let offset = fields.or(&EXPONENT_OFFSET);
    let exponent_max = fields.or(&EXPONENT_MAX);
    let jitter = fields.or(&JITTER);
    let (base, cap) = (base?, cap?);
    if cap < base
        && let Some(node) = fields.node(&CAP)
    {
        let what = "`cap` is shorter than `base`, so every delay would be the cap";
        let help = "raise `cap`, or write `{ fixed = … }`";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    Some(Backoff::exponential(base, offset, exponent_max, cap, jitter))
}

/// As it is read, on one line.
pub(crate) fn written(backoff: &Backoff) -> String {
    fn pair<K: Kind, D>(key: &Key<K, D>, value: K::Value) -> (&'static str, toml::Value) {
        (key.name, key.kind.toml(&value))
    }
    let (base, offset, exponent_max, cap, jitter) = backoff.parts();
    let parts = if *backoff == Backoff::fixed(base) {
        vec![pair(&FIXED, base)]
    } else {
        vec![
            pair(&BASE, base),
            pair(&EXPONENT_OFFSET, offset),
            pair(&EXPONENT_MAX, exponent_max),
            pair(&CAP, cap),
            pair(&JITTER, jitter),
        ]
    };
    pairs(parts.iter().map(|(key, value)| (*key, value)))
}
