//! `backoff = { … }`: when a client reconnects.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::tree::Node;
use crate::backoff::Backoff;

pub(crate) const DELAYS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);
/// 2^31 times the shortest base is beyond every cap.
pub(crate) const EXPONENT_MAX: u32 = 31;
pub(crate) const EXPONENTS: std::ops::RangeInclusive<u32> = 0..=EXPONENT_MAX;
pub(crate) const JITTERS: std::ops::RangeInclusive<f64> = 0.0..=10.0;

/// Reads `{ fixed = "2s" }` or `{ base, cap, exponent_offset, exponent_max, jitter }`.
pub(crate) fn read(cx: &Cx, node: &Node) -> Option<Backoff> {
    let mut fields = Fields::of(cx, node, "`backoff`")?;
    let fixed = fields.has("fixed");
    let delay = fields.within("fixed", DELAYS);
    let beside =
        ["base", "cap", "exponent_offset", "exponent_max", "jitter"].map(|key| fields.has(key));
    if fixed && beside.contains(&true) {
        let what = "`backoff` is either fixed or exponential";
        let help = "write `{ fixed = \"2s\" }` or `{ base = \"250ms\", cap = \"8s\" }`";
        cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    let exponential = if fixed { None } else { exponential(&mut fields) };
    for key in ["base", "cap", "exponent_offset", "exponent_max", "jitter"] {
        let _ = fields.node(key);
    }
    fields.finish();
    delay.map(Backoff::fixed).or(exponential)
}

fn exponential(fields: &mut Fields<'_>) -> Option<Backoff> {
    let base = fields.need_within("base", "base = \"250ms\"", DELAYS);
    let cap = fields.need_within("cap", "cap = \"8s\"", DELAYS);
    let offset = fields.within("exponent_offset", EXPONENTS).unwrap_or(0);
    let exponent_max = fields.within("exponent_max", EXPONENTS).unwrap_or(EXPONENT_MAX);
    let jitter = fields.within("jitter", JITTERS).unwrap_or(0.0);
    let (base, cap) = (base?, cap?);
    if cap < base
        && let Some(node) = fields.node("cap")
    {
        let what = "`cap` is shorter than `base`, so every delay would be the cap";
        let help = "raise `cap`, or write `{ fixed = … }`";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    Some(Backoff::exponential(base, offset, exponent_max, cap, jitter))
}
