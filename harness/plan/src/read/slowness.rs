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
/// What the kernel may hold for one socket of a target by URL, where nobody says: the default maximum of
/// tcp_wmem (tcp(7)).
pub(crate) const KERNEL_BUFFER: Bytes = Bytes(4 << 20);

/// Reads `[target.slow_consumer]`, if there is one. Nobody but itself sets the send buffer of a target by
/// URL: what may wait there is what its author says, else what the kernel's default allows.
pub(crate) fn read(target: &mut Fields<'_>, reference: bool) -> SlowConsumerLimits {
    let node = target.node("slow_consumer");
    let name = "`[target.slow_consumer]`";
    let mut fields = Fields::or_empty(target.cx, node, &target.place, name);
    let queue_limit = fields.within("queue_limit", QUEUE_LIMITS).unwrap_or(QUEUE_LIMIT);
    let max_strikes = fields.within("max_strikes", STRIKES).unwrap_or(MAX_STRIKES);
    let (mut send_buffer_bytes, mut kernel_buffer) = (None, None);
    if reference {
        send_buffer_bytes = fields.within("send_buffer", SEND_BUFFERS).map(|Bytes(bytes)| bytes);
        fields.no_effect("kernel_buffer", "with `kind = \"reference\"`: `send_buffer` sets it");
    } else {
        let why =
            "with `kind = \"url\"`: the harness cannot set it; `kernel_buffer` says what it is";
        fields.no_effect("send_buffer", why);
        kernel_buffer = fields.within("kernel_buffer", SEND_BUFFERS);
    }
    fields.finish();
    let Bytes(kernel_buffer_bytes) = kernel_buffer.unwrap_or(KERNEL_BUFFER);
    SlowConsumerLimits { queue_limit, max_strikes, send_buffer_bytes, kernel_buffer_bytes }
}
