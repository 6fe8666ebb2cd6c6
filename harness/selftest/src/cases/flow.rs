//! Slow consumers, fairness, and the life of channels and sockets.

use crate::case::{Case, How};

const SLOW: How = How::smoke("slow-consumer");
const BYSTANDERS: How = How::whole("bystanders").alone();
/// When one batch in a hundred waits, and one in a hundred makes others wait, it takes many that do not
/// read, each of them for long and a little now and then, for the two to meet often enough.
const MANY_SLOW: How = BYSTANDERS.set(&[
    "fleet.clients=190",
    "fleet.surface.desktop.share=0.2105",
    "fleet.surface.slow.share=0.7895",
    "target.slow_consumer.queue_limit=128",
    "load.codex-worker-events.rate=10/s",
    "phase.slow.duration=24s",
    "phase.slow.fault.slow_reader.duration=22s",
    "phase.slow.fault.slow_reader.attributes={ rate = \"2KiB/s\", rcvbuf = \"4KiB\" }",
]);
const TWO_TOPICS: How = How::whole("two-topics");

pub const CASES: &[Case] = &[
    Case::of("no_slow_eviction", SLOW),
    Case::of("unbounded_queue", SLOW),
    Case::of("evict_healthy", SLOW),
    Case::each("slow_stalls_neighbours", BYSTANDERS, MANY_SLOW),
    Case::both("starved_topic", TWO_TOPICS),
    Case::of("heartbeats_unanswered", How::whole("heartbeats")),
    Case::of("stuck_channel", How::whole("heartbeats")),
    Case::of("wrong_close_code", How::whole("authority")),
];
