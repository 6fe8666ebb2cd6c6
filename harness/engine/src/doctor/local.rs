//! Whether this machine carries a plan: descriptors, ports, memory, addresses to connect from.

use khala_plan::estimate::Estimate;
use khala_plan::{Plan, Schedule};
use procfs::Current as _;

use super::lines::Line;
use crate::preflight;

/// Share of the memory that is free now which a plan may take. An assumption: the rest of the machine lives too.
const MEMORY_SHARE: f64 = 0.8;

/// Tells what the plan needs beside what is there.
pub(super) fn examine(plan: &Plan, schedule: &Schedule, told: &mut dyn FnMut(Line)) {
    let estimate = Estimate::of(plan, schedule);
    told(match preflight::descriptors(plan) {
        Ok(limit) => Line::good(
            "descriptors",
            "the limit of open files, raised as far as it may be",
            format!(
                "{limit}; the plan needs about {}",
                khala_plan::estimate::planned_descriptors(plan)
            ),
        ),
        Err(error) => Line::wrong(
            "descriptors",
            "the limit of open files, raised as far as it may be",
            &error,
        ),
    });
    let ports =
        format!("{}; the plan needs about {}", estimate.ports_available, estimate.ports_needed);
    let tried = "ports to connect from, over all source addresses";
    told(match estimate.ports_needed <= estimate.ports_available {
        true => Line::good("ports", tried, ports),
        false => Line::wrong("ports", tried, ports)
            .mended("add to generator.source_addresses, such as 127.0.0.2"),
    });
    let tried = "each of generator.source_addresses, bound";
    told(match preflight::sources(plan) {
        Ok(()) => Line::good(
            "source addresses",
            tried,
            match plan.generator.source_addresses.len() {
                0 => "the kernel chooses".to_owned(),
                n => format!("{n}"),
            },
        ),
        Err(error) => Line::wrong("source addresses", tried, &error),
    });
    told(memory(&estimate));
}

fn memory(estimate: &Estimate) -> Line {
    const MIB: u64 = 1 << 20;
    let tried = "memory that is free now";
    let needed = estimate.memory_harness_bytes / MIB;
    let free = procfs::Meminfo::current().ok().and_then(|memory| memory.mem_available);
    let Some(free) = free.map(|bytes| bytes / MIB) else {
        let why = "this machine does not say how much memory is free";
        return Line::less("memory", tried, why, format!("the plan needs about {needed} MiB"));
    };
    let seen =
        format!("{free} MiB; the plan needs about {needed} MiB (assumed per client, not measured)");
    #[expect(clippy::cast_precision_loss, reason = "MiB of one machine")]
    let carried = needed as f64 <= free as f64 * MEMORY_SHARE;
    match carried {
        true => Line::good("memory", tried, seen),
        false => Line::wrong("memory", tried, seen)
            .mended("lower fleet.clients, or take a larger machine"),
    }
}
