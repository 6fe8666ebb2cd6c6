//! `[oracle]` and `[generator]`: the bounds that the oracle judges with, and the harness itself.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::name;
use super::scalar::{Placed, Read};
use super::tree::Node;
use crate::model::{Generator, OracleBounds};

pub(crate) const BOUNDS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(3600);
/// A run that need not drain leaves open what is still on its way.
pub(crate) const DRAINS: std::ops::RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(3600);
pub(crate) const CONVERGE_WITHIN: Duration = Duration::from_secs(30);
pub(crate) const SETTLE_WITHIN: Duration = Duration::from_secs(2);
pub(crate) const DRAIN_WITHIN: Duration = Duration::from_secs(10);
pub(crate) const STORM_MIN_DELIVERIES: u32 = 3;
pub(crate) const DELIVERIES: std::ops::RangeInclusive<u32> = 0..=10_000;
pub(crate) const VIOLATIONS_KEPT: u32 = 100;
pub(crate) const VIOLATIONS: std::ops::RangeInclusive<u32> = 1..=100_000;
pub(crate) const WORKER_THREADS: u32 = 2;
pub(crate) const THREADS: std::ops::RangeInclusive<u32> = 1..=256;
pub(crate) const LAG_SHARE_MAX: f64 = 0.1;
pub(crate) const LAG_SHARES: std::ops::RangeInclusive<f64> = 0.001..=1.0;

/// Reads `[oracle]`.
pub(crate) fn oracle(mut fields: Fields<'_>) -> OracleBounds {
    let bounds = OracleBounds {
        converge_within: fields.within("converge_within", BOUNDS).unwrap_or(CONVERGE_WITHIN),
        settle_within: fields.within("settle_within", BOUNDS).unwrap_or(SETTLE_WITHIN),
        drain_within: fields.within("drain_within", DRAINS).unwrap_or(DRAIN_WITHIN),
        storm_min_deliveries: fields
            .within("storm_min_deliveries", DELIVERIES)
            .unwrap_or(STORM_MIN_DELIVERIES),
        violations_kept: fields.within("violations_kept", VIOLATIONS).unwrap_or(VIOLATIONS_KEPT),
        advisory: false,
    };
    fields.finish();
    bounds
}

/// Reads `[generator]`.
pub(crate) fn generator(mut fields: Fields<'_>) -> Option<Generator> {
    let worker_threads = fields.within("worker_threads", THREADS).unwrap_or(WORKER_THREADS);
    let source_addresses = match fields.node("source_addresses") {
        Some(node) => source_addresses(fields.cx, node),
        None => Some(vec![Ipv4Addr::LOCALHOST]),
    };
    let lag_share_max = fields.within("lag_share_max", LAG_SHARES).unwrap_or(LAG_SHARE_MAX);
    fields.finish();
    Some(Generator { worker_threads, source_addresses: source_addresses?, lag_share_max })
}

fn source_addresses(cx: &Cx, node: &Node) -> Option<Vec<Ipv4Addr>> {
    let texts = Vec::<Placed<String>>::read(cx, "source_addresses", node)?;
    if texts.is_empty() {
        let what = "without a source address no client can connect";
        let help = "leave `source_addresses` out for `[\"127.0.0.1\"]`";
        cx.report(Diagnostic::error(&node.place, what).help(help));
        return None;
    }
    let placed = texts.iter().map(|text| (text.value.as_str(), &text.place));
    name::report_duplicates(cx, "source address", placed);
    let addresses: Vec<Option<Ipv4Addr>> = texts
        .iter()
        .map(|text| {
            let address = text.value.parse().ok().filter(Ipv4Addr::is_loopback);
            if address.is_none() {
                let what = format!("`{}` is not a loopback address", text.value);
                let help = "write such as `127.0.0.2`; every 127.x.y.z is this machine";
                cx.report(Diagnostic::error(&text.place, what).help(help));
            }
            address
        })
        .collect();
    addresses.into_iter().collect()
}
