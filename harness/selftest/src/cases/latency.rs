//! What is right and comes too late.

use crate::case::{Case, How};

const SMOKE: How = How::smoke("smoke");
const DELIVERY: How = How::whole("delivery");
/// Half of the deliveries, or all, need not be looked at for as long as a few of them. Their tail has
/// too few samples in that time to be decided under every seed; what delays a third of them shows at p95.
const SHORT: How = DELIVERY
    .set(&["phase.steady.duration=24s", "gate.delivery.objective.delivery.require=p(95) < 1s"]);

pub const CASES: &[Case] = &[
    // Long enough for three deliveries after the recovery, without which the storm is not judged.
    Case::of("slow_recovery", SMOKE.set(&["phase.storm.duration=18s"])),
    Case::each("delivery_delay", SHORT, DELIVERY),
    // At this rate the updates that the seed picks come when all are back after the storm.
    Case::both(
        "state_delay",
        SMOKE.set(&["load.codex-worker-events.rate=12/s", "phase.storm.duration=24s"]),
    ),
    Case::of("pause_every_10s", SHORT),
    // The clients of the ramp are let in as ever, so that it is the storm that waits.
    Case::of("slow_accepts", SMOKE.set(&["phase.storm.duration=30s"]).after(61)),
];
