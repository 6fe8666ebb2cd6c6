//! `[[load]]`: a stream of commands.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{Case, Key, KeyOr, Raw, Table, Within, Words, Writer, array};
use super::phase::{self, Declared};
use super::scalar::Rate;
use super::schema::Shape;
use super::tree::Node;
use crate::model::{Arrival, Command, DRAIN, Load, RAMP};

const COMMAND: Key<Words<Command>> = Key::new(
    "command",
    Words(&[("codex-worker-events", Command::CodexWorkerEvents)]),
    "command = \"codex-worker-events\"",
    "What is published. `codex-worker-events` feeds `runtime.codex_worker_events` and, as \
     state, `runtime.codex_worker_summaries`.",
)
.required();
const RATE: Key<Within<Rate>> = Key::new(
    "rate",
    // From once in three hours, so that a typing error is not a load that never publishes.
    Within(Rate(0.0001), Rate(100_000.0)),
    "rate = \"2/s\"",
    "Mean rate over all workers, such as `2/s`, `120/min` or `30/h`; each subscriber gets \
     every event. Bursts have theirs from size and gap.",
);
const ARRIVAL: KeyOr<Words<Spacing>> = Key::new(
    "arrival",
    Words(&[
        ("poisson", Spacing::Poisson),
        ("constant", Spacing::Constant),
        ("bursts", Spacing::Bursts),
    ]),
    "arrival = \"constant\"",
    "How publishes are spaced; all are open-loop. `poisson`: exponential gaps. \
     `constant`: equal gaps. `bursts`: `burst_size` at once, every `burst_gap`.",
)
.or(Spacing::Poisson);
const BURST_SIZE: Key<Within<u32>> =
    Key::new("burst_size", Within(1, 100_000), "burst_size = 20", "Publishes in a burst.")
        .unit("publishes");
const BURST_GAP: Key<Within<Duration>> = Key::new(
    "burst_gap",
    Within(Duration::from_millis(1), Duration::from_secs(24 * 3600)),
    "burst_gap = \"10s\"",
    "From burst to burst.",
);
const PAYLOAD_BYTES: KeyOr<Within<u32>> = Key::new(
    "payload_bytes",
    // From what the marker of a publish needs at least to 256 KiB, the documented limit of an
    // update (contract, section 3).
    Within(128, 262_144),
    "payload_bytes = 1024",
    "Size of a payload in bytes of JSON, the harness's marker included.",
)
.unit("bytes")
.or(256);
const WORKERS: KeyOr<Within<u32>> = Key::new(
    "workers",
    Within(1, 10_000),
    "workers = 16",
    "Over how many synthetic workers the stream is spread, in turn.",
)
.unit("workers")
.or(4);
const DURING: Key<Raw> = Key::new(
    "during",
    Raw(|| Shape::names(0)),
    "during = [\"steady\"]",
    "Declared phases in which it publishes. Default: all of them.",
);

/// `[[load]]`
pub(crate) const TABLE: Table = Table::new(
    "load",
    "`[[load]]`",
    "A stream of commands.",
    &[&COMMAND, &ARRIVAL, &RATE, &BURST_SIZE, &BURST_GAP, &PAYLOAD_BYTES, &WORKERS, &DURING],
)
.cases(|| {
    let bursts = Case::when(&ARRIVAL, ["bursts"]).needs(&BURST_SIZE).needs(&BURST_GAP);
    let even = Case::when(&ARRIVAL, ["poisson", "constant"]).or_absent().needs(&RATE);
    vec![bursts, even]
});

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Spacing {
    Poisson,
    Constant,
    Bursts,
}

/// Reads one `[[load]]` of a run with these phases.
pub(crate) fn read(cx: &Cx, node: &Node, phases: &[Declared]) -> Option<Load> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let command = fields.need(&COMMAND);
    let spacing = fields.right(&ARRIVAL);
    let flow = match spacing {
        Some(Spacing::Bursts) => bursts(&mut fields),
        Some(even) => {
            let why = "unless `arrival = \"bursts\"`";
            fields.no_effect_by(&BURST_SIZE, fields.node(&ARRIVAL), why);
            fields.no_effect_by(&BURST_GAP, fields.node(&ARRIVAL), why);
            let arrival =
                if even == Spacing::Poisson { Arrival::Poisson } else { Arrival::Constant };
            let rate = fields.need(&RATE);
            rate.map(|rate| (arrival, rate.0))
        }
        None => {
            // Which of them it needs is not known; what is there is read, so that its mistakes are told.
            let _ = (fields.get(&RATE), fields.get(&BURST_SIZE), fields.get(&BURST_GAP));
            None
        }
    };
    let payload_bytes = fields.or(&PAYLOAD_BYTES);
    let workers = fields.or(&WORKERS);
    let during = during(&fields, phases);
    fields.finish();
    let (arrival, rate_per_s) = flow?;
    let (command, during) = (command?, during?);
    Some(Load { command, rate_per_s, arrival, payload_bytes, workers, during })
}

/// The declared phases in which it publishes; none named are all.
fn during(fields: &Fields<'_>, phases: &[Declared]) -> Option<Vec<String>> {
    let cx = fields.cx;
    let Some(node) = fields.node(&DURING) else {
        return (!fields.has(&DURING)).then(Vec::new);
    };
    let names = phase::names(cx, DURING.name, node)?;
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
    let size = fields.need(&BURST_SIZE);
    let gap = fields.need(&BURST_GAP);
    let rate_node = fields.node(&RATE);
    let (size, gap) = (size?, gap?);
    let rate_per_s = f64::from(size) / gap.as_secs_f64();
    if let Some(node) = rate_node {
        let Rate(given) = fields.get_as(&RATE)?;
        if (given / rate_per_s - 1.0).abs() > 0.01 {
            let what = format!("`rate` is {given}/s, but the bursts make {rate_per_s:.3}/s");
            let help = "leave `rate` out: it follows from `burst_size` and `burst_gap`";
            fields.cx.report(Diagnostic::error(&node.place, what).help(help));
        }
    }
    Some((Arrival::Bursts { size, gap }, rate_per_s))
}

/// Writes a load.
pub(crate) fn write(out: &mut Writer, load: &Load) {
    out.table("[[load]]");
    out.key(&COMMAND, &load.command);
    let even = match load.arrival {
        Arrival::Poisson => Some(Spacing::Poisson),
        Arrival::Constant => Some(Spacing::Constant),
        Arrival::Bursts { size, gap } => {
            out.key(&ARRIVAL, &Spacing::Bursts);
            out.key(&BURST_SIZE, &size);
            out.key(&BURST_GAP, &gap);
            None
        }
    };
    if let Some(even) = even {
        out.key(&RATE, &Rate(load.rate_per_s));
        out.key(&ARRIVAL, &even);
    }
    out.key(&PAYLOAD_BYTES, &load.payload_bytes);
    out.key(&WORKERS, &load.workers);
    if !load.during.is_empty() {
        out.raw(&DURING, array(load.during.iter().map(String::as_str)));
    }
}
