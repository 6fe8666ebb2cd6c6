//! `[target.slow_consumer]`: what the target does with clients that cannot keep up.

use super::fields::Fields;
use super::key::{Declared, Key, KeyOr, Table, Within, Writer};
use super::scalar::Bytes;
use super::tree::Node;
use crate::model::SlowConsumerLimits;

// The defaults of limit and strikes are the contract's, section 3, "Slow consumer".
const QUEUE_LIMIT: KeyOr<Within<u64>> = Key::new(
    "queue_limit",
    Within(1, 1_000_000),
    "queue_limit = 128",
    "Events that may wait for a socket.",
)
.unit("events")
.or(64);
const MAX_STRIKES: KeyOr<Within<u32>> = Key::new(
    "max_strikes",
    Within(1, 1_000),
    "max_strikes = 5",
    "Strikes at which a client is disconnected.",
)
.unit("strikes")
.or(3);
const BUFFERS: Within<Bytes> = Within(Bytes(1 << 10), Bytes(64 << 20));
const SEND_BUFFER: Key<Within<Bytes>> = Key::new(
    "send_buffer",
    BUFFERS,
    "send_buffer = \"8KiB\"",
    "`SO_SNDBUF` of the embedded runtime's sockets. Default: the kernel's, which swallows \
     minutes of traffic before slowness shows.",
);
const KERNEL_BUFFER: KeyOr<Within<Bytes>> = Key::new(
    "kernel_buffer",
    BUFFERS,
    "kernel_buffer = \"256KiB\"",
    "What the kernel may hold for one socket of a target by URL, whose send buffer the harness \
     cannot set: when an eviction is due is computed from it.",
)
// The default maximum of tcp_wmem (tcp(7)).
.or(Bytes(4 << 20));

/// `[target.slow_consumer]`
pub(crate) const TABLE: Table = Table::new(
    "slow_consumer",
    "`[target.slow_consumer]`",
    "Limits for slow consumers (contract, section 3).",
    &[&QUEUE_LIMIT, &MAX_STRIKES, &SEND_BUFFER, &KERNEL_BUFFER],
);

/// Reads `[target.slow_consumer]`, if there is one. Nobody but itself sets the send buffer of a target by
/// URL: what may wait there is what its author says, else what the kernel's default allows. `kind` is where it is said
/// which of them it is.
pub(crate) fn read(
    target: &Fields<'_>,
    key: &dyn Declared,
    reference: bool,
    kind: Option<&Node>,
) -> SlowConsumerLimits {
    let fields = target.inner(key, &TABLE);
    let (queue_limit, max_strikes) = (fields.or(&QUEUE_LIMIT), fields.or(&MAX_STRIKES));
    let mut send_buffer_bytes = None;
    let Bytes(mut kernel_buffer_bytes) = KERNEL_BUFFER.default_value();
    if reference {
        send_buffer_bytes = fields.get(&SEND_BUFFER).map(|Bytes(bytes)| bytes);
        let why = "with `kind = \"reference\"`: `send_buffer` sets it";
        fields.no_effect_by(&KERNEL_BUFFER, kind, why);
    } else {
        let why =
            "with `kind = \"url\"`: the harness cannot set it; `kernel_buffer` says what it is";
        fields.no_effect_by(&SEND_BUFFER, kind, why);
        Bytes(kernel_buffer_bytes) = fields.or(&KERNEL_BUFFER);
    }
    fields.finish();
    SlowConsumerLimits { queue_limit, max_strikes, send_buffer_bytes, kernel_buffer_bytes }
}

/// Writes the limits of a target, embedded or not.
pub(crate) fn write(out: &mut Writer, limits: &SlowConsumerLimits, reference: bool) {
    let SlowConsumerLimits { queue_limit, max_strikes, send_buffer_bytes, kernel_buffer_bytes } =
        *limits;
    out.table("[target.slow_consumer]");
    out.key(&QUEUE_LIMIT, &queue_limit);
    out.key(&MAX_STRIKES, &max_strikes);
    out.some(&SEND_BUFFER, send_buffer_bytes.map(Bytes).as_ref());
    if !reference {
        out.key(&KERNEL_BUFFER, &Bytes(kernel_buffer_bytes));
    }
}
