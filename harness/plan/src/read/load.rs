//! `[[load]]`: a stream of commands.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::phase::{self, Declared};
use super::scalar::{Rate, Read};
use super::tree::Node;
use crate::model::{Arrival, Command, DRAIN, Load, RAMP};

const PAYLOAD_BYTES: u32 = 256;
/// What the marker of a publish needs at least.
const PAYLOAD_BYTES_MIN: u32 = 128;
/// 256 KiB: the documented limit of an update (contract, section 3).
const PAYLOAD_BYTES_MAX: u32 = 262_144;
const WORKERS: u32 = 4;
const WORKERS_MAX: u32 = 10_000;
const RATE_MAX: Rate = Rate(100_000.0);
/// Once in three hours, so that a typing error is not a load that never publishes.
const RATE_MIN: Rate = Rate(0.0001);
const BURST_SIZE_MAX: u32 = 100_000;
const BURST_GAPS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 3600);

#[derive(Clone, Copy, PartialEq)]
enum Spacing {
    Poisson,
    Constant,
    Bursts,
}

/// Reads one `[[load]]` of a run with these phases.
pub(crate) fn read(cx: &Cx, node: &Node, phases: &[Declared]) -> Option<Load> {
    let mut fields = Fields::of(cx, node, "`[[load]]`")?;
    let command = fields.need_node("command", "command = \"codex-worker-events\"").and_then(|n| {
        cx.keyword("command", n, &[("codex-worker-events", Command::CodexWorkerEvents)])
    });
    let words = [
        ("poisson", Spacing::Poisson),
        ("constant", Spacing::Constant),
        ("bursts", Spacing::Bursts),
    ];
    let spacing = fields.keyword_or("arrival", Spacing::Poisson, &words);
    let flow = match spacing {
        Some(Spacing::Bursts) => bursts(&mut fields),
        Some(even) => {
            for key in ["burst_size", "burst_gap"] {
                fields.no_effect(key, "unless `arrival = \"bursts\"`");
            }
            let arrival =
                if even == Spacing::Poisson { Arrival::Poisson } else { Arrival::Constant };
            let rate = fields.need_within("rate", "rate = \"2/s\"", RATE_MIN..=RATE_MAX);
            rate.map(|rate| (arrival, rate.0))
        }
        None => {
            for key in ["rate", "burst_size", "burst_gap"] {
                let _ = fields.node(key);
            }
            None
        }
    };
    let payload_bytes = fields
        .within("payload_bytes", PAYLOAD_BYTES_MIN..=PAYLOAD_BYTES_MAX)
        .unwrap_or(PAYLOAD_BYTES);
    let workers = fields.within("workers", 1..=WORKERS_MAX).unwrap_or(WORKERS);
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
    let size = fields.need_within("burst_size", "burst_size = 20", 1..=BURST_SIZE_MAX);
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
