//! `[[load]]`: a stream of commands.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::phase::{self, Declared};
use super::scalar::{Rate, Read};
use super::tree::Node;
use crate::model::{Arrival, Command, DRAIN, Load, RAMP};

pub(crate) const PAYLOAD_BYTES: u32 = 256;
/// From what the marker of a publish needs at least to 256 KiB, the documented limit of an update
/// (contract, section 3).
pub(crate) const PAYLOADS_BYTES: std::ops::RangeInclusive<u32> = 128..=262_144;
pub(crate) const WORKERS: u32 = 4;
pub(crate) const WORKER_COUNTS: std::ops::RangeInclusive<u32> = 1..=10_000;
/// From once in three hours, so that a typing error is not a load that never publishes.
pub(crate) const RATES: std::ops::RangeInclusive<Rate> = Rate(0.0001)..=Rate(100_000.0);
pub(crate) const BURST_SIZES: std::ops::RangeInclusive<u32> = 1..=100_000;
pub(crate) const BURST_GAPS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

pub(crate) const COMMANDS: [(&str, Command); 1] =
    [("codex-worker-events", Command::CodexWorkerEvents)];
pub(crate) const ARRIVALS: [(&str, Spacing); 3] =
    [("poisson", Spacing::Poisson), ("constant", Spacing::Constant), ("bursts", Spacing::Bursts)];

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Spacing {
    Poisson,
    Constant,
    Bursts,
}

/// Reads one `[[load]]` of a run with these phases.
pub(crate) fn read(cx: &Cx, node: &Node, phases: &[Declared]) -> Option<Load> {
    let mut fields = Fields::of(cx, node, "`[[load]]`")?;
    let command = fields
        .need_node("command", "command = \"codex-worker-events\"")
        .and_then(|n| cx.keyword("command", n, &COMMANDS));
    let spacing = fields.keyword_or("arrival", Spacing::Poisson, &ARRIVALS);
    let flow = match spacing {
        Some(Spacing::Bursts) => bursts(&mut fields),
        Some(even) => {
            for key in ["burst_size", "burst_gap"] {
                fields.no_effect(key, "unless `arrival = \"bursts\"`");
            }
            let arrival =
                if even == Spacing::Poisson { Arrival::Poisson } else { Arrival::Constant };
            let rate = fields.need_within("rate", "rate = \"2/s\"", RATES);
            rate.map(|rate| (arrival, rate.0))
        }
        None => {
            for key in ["rate", "burst_size", "burst_gap"] {
                let _ = fields.node(key);
            }
            None
        }
    };
    let payload_bytes = fields.within("payload_bytes", PAYLOADS_BYTES).unwrap_or(PAYLOAD_BYTES);
    let workers = fields.within("workers", WORKER_COUNTS).unwrap_or(WORKERS);
    let during = during(&mut fields, phases);
    fields.finish();
    let (arrival, rate_per_s) = flow?;
    let (command, during) = (command?, during?);
    Some(Load { command, rate_per_s, arrival, payload_bytes, workers, during })
}

/// The declared phases in which it publishes; none named are all.
fn during(fields: &mut Fields<'_>, phases: &[Declared]) -> Option<Vec<String>> {
    let cx = fields.cx;
    let Some(node) = fields.node("during") else {
        return (!fields.has("during")).then(Vec::new);
    };
    let names = phase::names(cx, "during", node)?;
    for name in &names {
        if [RAMP, DRAIN].contains(&name.value.as_str()) {
            let what = format!("nothing is published in the {}", name.value);
            let help = "name phases that the scenario declares";
            cx.report(Diagnostic::error(&name.place, what).help(help));
        } else {
            let _ = phase::find(cx, phases, name, &[]);
        }
    }
    Some(names.into_iter().map(|name| name.value).collect())
}

/// Bursts have a size and a gap, and from the two a rate; a rate given beside them must agree.
fn bursts(fields: &mut Fields<'_>) -> Option<(Arrival, f64)> {
    let size = fields.need_within("burst_size", "burst_size = 20", BURST_SIZES);
    let gap = fields.need_within("burst_gap", "burst_gap = \"10s\"", BURST_GAPS);
    let rate_node = fields.node("rate");
    let (size, gap) = (size?, gap?);
    let rate_per_s = f64::from(size) / gap.as_secs_f64();
    if let Some(node) = rate_node {
        let Rate(given) = Rate::read(fields.cx, "rate", node)?;
        if (given / rate_per_s - 1.0).abs() > 0.01 {
            let what = format!("`rate` is {given}/s, but the bursts make {rate_per_s:.3}/s");
            let help = "leave `rate` out: it follows from `burst_size` and `burst_gap`";
            fields.cx.report(Diagnostic::error(&node.place, what).help(help));
        }
    }
    Some((Arrival::Bursts { size, gap }, rate_per_s))
}
