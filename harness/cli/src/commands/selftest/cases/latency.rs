//! What is right and comes too late.

use crate::commands::selftest::case::{Case, How};

const SMOKE: How = How::smoke("smoke");
const DELIVERY: How = How::whole("delivery");

pub const CASES: &[Case] = &[
    // Long enough for three deliveries after the recovery, without which the storm is not judged.
    Case::of("slow_recovery", SMOKE.set(&["phase.storm.duration=18s"])),
    Case::both("delivery_delay", DELIVERY),
    Case::of("pause_every_10s", DELIVERY),
    // The clients of the ramp are let in as ever, so that it is the storm that waits.
    Case::of("slow_accepts", SMOKE.set(&["phase.storm.duration=30s"]).after(61)),
];
