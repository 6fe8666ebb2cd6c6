//! `[target.slow_consumer]`: what the target does with clients that cannot keep up.

use super::fields::Fields;
use super::scalar::Bytes;
use crate::model::SlowConsumerLimits;

/// Contract, section 3, "Slow consumer".
pub(crate) const QUEUE_LIMIT: u64 = 64;
pub(crate) const QUEUE_LIMITS: std::ops::RangeInclusive<u64> = 1..=1_000_000;
pub(crate) const MAX_STRIKES: u32 = 3;
pub(crate) const STRIKES: std::ops::RangeInclusive<u32> = 1..=1_000;
pub(crate) const SEND_BUFFERS: std::ops::RangeInclusive<Bytes> = Bytes(1 << 10)..=Bytes(64 << 20);

/// Reads `[target.slow_consumer]`, if there is one.
pub(crate) fn read(target: &mut Fields<'_>) -> SlowConsumerLimits {
    let node = target.node("slow_consumer");
    let name = "`[target.slow_consumer]`";
    let mut fields = Fields::or_empty(target.cx, node, &target.place, name);
    let queue_limit = fields.within("queue_limit", QUEUE_LIMITS).unwrap_or(QUEUE_LIMIT);
    let max_strikes = fields.within("max_strikes", STRIKES).unwrap_or(MAX_STRIKES);
    let send_buffer = fields.within("send_buffer", SEND_BUFFERS);
    fields.finish();
    let send_buffer_bytes = send_buffer.map(|Bytes(bytes)| bytes);
    SlowConsumerLimits { queue_limit, max_strikes, send_buffer_bytes }
}
