//! `[target.slow_consumer]`: what the target does with clients that cannot keep up.

use super::fields::Fields;
use super::scalar::Bytes;
use crate::model::SlowConsumerLimits;

/// Contract, section 3, "Slow consumer".
const QUEUE_LIMIT: u64 = 64;
const QUEUE_LIMIT_MAX: u64 = 1_000_000;
const MAX_STRIKES: u32 = 3;
const MAX_STRIKES_MAX: u32 = 1_000;
const SEND_BUFFERS: std::ops::RangeInclusive<Bytes> = Bytes(1 << 10)..=Bytes(64 << 20);

/// Reads `[target.slow_consumer]`, if there is one.
pub(crate) fn read(target: &mut Fields<'_>) -> SlowConsumerLimits {
    let node = target.node("slow_consumer");
    let name = "`[target.slow_consumer]`";
    let mut fields = Fields::or_empty(target.cx, node, &target.place, name);
    let queue_limit = fields.within("queue_limit", 1..=QUEUE_LIMIT_MAX).unwrap_or(QUEUE_LIMIT);
    let max_strikes = fields.within("max_strikes", 1..=MAX_STRIKES_MAX).unwrap_or(MAX_STRIKES);
    let send_buffer = fields.within("send_buffer", SEND_BUFFERS);
    fields.finish();
    let send_buffer_bytes = send_buffer.map(|Bytes(bytes)| bytes);
    SlowConsumerLimits { queue_limit, max_strikes, send_buffer_bytes }
}
