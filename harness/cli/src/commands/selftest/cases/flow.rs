//! Slow consumers, fairness, and the life of channels and sockets.

use crate::commands::selftest::case::{Case, How};

const SLOW: How = How::smoke("slow-consumer");
/// The whole time with the clients of the smoke profile: the bystanders' latencies are compared.
const BYSTANDERS: How = How::whole("slow-consumer").set(&["fleet.clients=66"]).alone();
const TWO_TOPICS: How = How::whole("two-topics");

pub const CASES: &[Case] = &[
    Case::of("no_slow_eviction", SLOW),
    Case::of("unbounded_queue", SLOW),
    Case::of("evict_healthy", SLOW),
    Case::both("slow_stalls_neighbours", BYSTANDERS),
    Case::both("starved_topic", TWO_TOPICS),
    Case::of("heartbeats_unanswered", How::whole("heartbeats")),
    Case::of("stuck_channel", How::whole("heartbeats")),
    Case::of("wrong_close_code", How::whole("authority")),
];
