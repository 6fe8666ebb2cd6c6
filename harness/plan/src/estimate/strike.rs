//! When a slow reader is expected to be evicted: at its third strike, as the contract has it.
//!
//! What the target sends goes, in this order, into:
//!
//! 1. the kernel's buffers of the two sockets. Linux doubles the values that SO_SNDBUF and SO_RCVBUF
//!    are set to, for its own bookkeeping (socket(7)); of a receive buffer about half is payload
//!    (tcp(7), tcp_adv_win_scale = 1), so that what was asked for is what fits; a send buffer is
//!    taken for full payload. One that is not set grows to what the target's keys say, else to the default
//!    maximum of tcp_wmem (tcp(7)).
//! 2. the target's queue: more events of one topic than `queue_limit` must wait.
//!
//! From then on the target strikes every [`STRIKE_EVERY`], as the reference runtime does at the
//! earliest. What is left out makes the figure too small by little: the target's and the client's
//! buffers outside the kernel, the batch that is being written, TCP's segments.

use std::collections::BTreeSet;
use std::time::Duration;

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use crate::fault::Slowness;
use crate::model::{Cohort, Plan};
use crate::schedule::{PlannedFault, PlannedPublish, Schedule};

/// From strike to strike, at the earliest.
pub const STRIKE_EVERY: Duration = Duration::from_millis(250);
/// Assumed JSON of a batch of one update around its payload, in bytes (from the recorded frames).
pub const BATCH_BYTES: u64 = 420;
/// Assumed JSON of a frame around its base64, in bytes (likewise).
pub const FRAME_BYTES: u64 = 150;
/// Assumed payload of a state's update, in bytes: the worker's document, not the event's payload.
pub const STATE_PAYLOAD_BYTES: u64 = 300;

/// When a slow reader is evicted, in seconds from the start of its fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strike {
    /// When the kernel's buffers are full, and the target's queue begins to grow.
    pub fill_s: f64,
    /// When the last strike is due.
    pub struck_s: f64,
}

/// The last strike of a slow reader, of those that are struck last; `None` for other faults, and
/// where the traffic of the interval does not get some of them struck within it.
#[must_use]
pub fn third_strike(plan: &Plan, schedule: &Schedule, fault: &PlannedFault) -> Option<Strike> {
    let Slowness { rate_bytes_per_s, rcvbuf_bytes } = fault.kind.slowness()?;
    let limits = plan.target.slow_consumer;
    let end_us = fault.at_us + fault.duration_us?;
    let from = schedule.publishes.partition_point(|publish| publish.at_us < fault.at_us);
    let to = schedule.publishes.partition_point(|publish| publish.at_us < end_us);
    let reader = Reader {
        capacity_bytes: (u64::from(rcvbuf_bytes) + limits.kernel_bytes()) as f64,
        rate_bytes_per_s: f64::from(rate_bytes_per_s.unwrap_or(0)),
        queue_limit: limits.queue_limit,
    };
    let mut last: Option<Strike> = None;
    for cohort in cohorts(schedule, fault) {
        let cohort = &plan.fleet.cohorts[cohort];
        let arrivals = schedule.publishes[from..to].iter().flat_map(|publish| {
            let after_s = (publish.at_us - fault.at_us) as f64 / 1e6;
            updates(plan, cohort, publish).map(move |(topic, bytes)| (after_s, topic, bytes))
        });
        let (fill_s, over_s) = reader.over(arrivals)?;
        let struck_s = over_s + f64::from(limits.max_strikes) * STRIKE_EVERY.as_secs_f64();
        if last.is_none_or(|last| last.struck_s < struck_s) {
            last = Some(Strike { fill_s, struck_s });
        }
    }
    last.filter(|strike| strike.struck_s * 1e6 <= (end_us - fault.at_us) as f64)
}

/// The bytes a second to each client at which a slow reader would be struck within half of its fault, so
/// that an eviction would be due within all of it; `None` for other faults.
pub(super) fn load_for_strike(plan: &Plan, fault: &PlannedFault) -> Option<f64> {
    let Slowness { rate_bytes_per_s, rcvbuf_bytes } = fault.kind.slowness()?;
    let limits = plan.target.slow_consumer;
    let payload = plan.loads.iter().map(|load| load.payload_bytes).max()?;
    let queued = limits.queue_limit * wire_bytes(TopicId::WORKER_EVENTS, payload.into());
    let bytes = u64::from(rcvbuf_bytes) + limits.kernel_bytes() + queued;
    let strikes_s = f64::from(limits.max_strikes) * STRIKE_EVERY.as_secs_f64();
    let within_s = (fault.duration_us? as f64 / 2e6 - strikes_s).max(1.0);
    Some(bytes as f64 / within_s + f64::from(rate_bytes_per_s.unwrap_or(0)))
}

/// The cohorts of a fault's targets.
fn cohorts(schedule: &Schedule, fault: &PlannedFault) -> BTreeSet<usize> {
    let hit = |client| fault.targets.binary_search(&client).is_ok();
    let arrivals = schedule.arrivals.iter().filter(|arrival| hit(arrival.client));
    arrivals.map(|arrival| usize::from(arrival.cohort)).collect()
}

/// What a publish puts on the wire to each client of a cohort: topic, and bytes of both pushes.
fn updates(
    plan: &Plan,
    cohort: &Cohort,
    publish: &PlannedPublish,
) -> impl Iterator<Item = (TopicId, f64)> {
    let load = &plan.loads[usize::from(publish.load)];
    let fed = load.command.topics().into_iter().filter(|topic| cohort.topics.contains(topic));
    fed.map(|topic| (topic, wire_bytes(topic, u64::from(load.payload_bytes)) as f64))
}

/// Bytes of the two pushes of one update: the batch's JSON, and the same in base64 in a frame.
fn wire_bytes(topic: TopicId, payload_bytes: u64) -> u64 {
    let payload_bytes = match topic.kind() {
        TopicKind::Stream => payload_bytes,
        TopicKind::State => STATE_PAYLOAD_BYTES,
    };
    let batch = payload_bytes + BATCH_BYTES;
    batch + batch.div_ceil(3) * 4 + FRAME_BYTES
}

/// A reader that does not keep up.
struct Reader {
    capacity_bytes: f64,
    rate_bytes_per_s: f64,
    queue_limit: u64,
}

impl Reader {
    /// When the buffers are full, and when more events of one topic wait than may, in seconds.
    fn over(&self, arrivals: impl Iterator<Item = (f64, TopicId, f64)>) -> Option<(f64, f64)> {
        let mut queue = std::collections::VecDeque::new();
        let mut waiting = std::collections::BTreeMap::<TopicId, u64>::new();
        // Bytes in the kernel's buffers, as of the last arrival.
        let (mut held, mut before_s) = (0.0_f64, 0.0);
        let mut fill_s = None;
        for (now_s, topic, bytes) in arrivals {
            held = (held - self.rate_bytes_per_s * (now_s - before_s)).max(0.0);
            before_s = now_s;
            queue.push_back((topic, bytes));
            *waiting.entry(topic).or_default() += 1;
            while let Some((topic, bytes)) = queue.front().copied()
                && held + bytes <= self.capacity_bytes
            {
                held += bytes;
                queue.pop_front();
                waiting.entry(topic).and_modify(|count| *count -= 1);
            }
            if !queue.is_empty() {
                fill_s.get_or_insert(now_s);
            }
            if let (Some(fill_s), true) = (fill_s, waiting.values().any(|n| *n > self.queue_limit))
            {
                return Some((fill_s, now_s));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
