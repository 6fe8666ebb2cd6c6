//! `[[load]]`.

use super::shape::Shape;
use super::table::{Case, Key, Table};
use crate::read::load::{
    ARRIVALS, BURST_GAPS, BURST_SIZES, COMMANDS, PAYLOAD_BYTES, PAYLOADS_BYTES, RATES,
    WORKER_COUNTS, WORKERS,
};

/// The table.
pub(super) fn table() -> Table {
    let keys = vec![
        Key::new(
            "command",
            Shape::words(&COMMANDS),
            "What is published. `codex-worker-events` feeds `runtime.codex_worker_events` and, as \
             state, `runtime.codex_worker_summaries`.",
        )
        .required(),
        Key::new(
            "rate",
            Shape::Rate(RATES),
            "Mean rate over all workers, such as `2/s`, `120/min` or `30/h`; each subscriber gets \
             every event. Bursts have theirs from size and gap.",
        ),
        Key::new(
            "arrival",
            Shape::words(&ARRIVALS),
            "How publishes are spaced; all are open-loop. `poisson`: exponential gaps. \
             `constant`: equal gaps. `bursts`: `burst_size` at once, every `burst_gap`.",
        )
        .or("poisson"),
        Key::new("burst_size", Shape::integer(BURST_SIZES), "Publishes in a burst."),
        Key::new("burst_gap", Shape::Duration(BURST_GAPS), "From burst to burst."),
        Key::new(
            "payload_bytes",
            Shape::integer(PAYLOADS_BYTES),
            "Size of a payload in bytes of JSON, the harness's marker included.",
        )
        .or(PAYLOAD_BYTES),
        Key::new(
            "workers",
            Shape::integer(WORKER_COUNTS),
            "Over how many synthetic workers the stream is spread, in turn.",
        )
        .or(WORKERS),
        Key::new(
            "during",
            Shape::names(0),
            "Declared phases in which it publishes. Default: all of them.",
        ),
    ];
    Table::new("load", "A stream of commands.", keys)
        .case(Case::when("arrival", ["bursts"]).needs("burst_size").needs("burst_gap"))
        .case(Case::when("arrival", ["poisson", "constant"]).or_absent().needs("rate"))
}
