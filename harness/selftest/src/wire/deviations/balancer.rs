//! What a load balancer does to sockets.

use std::time::Duration;

use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

/// So few events that a socket is silent but for its heartbeats, every 2 s.
const QUIET: &[&str] = &["load.codex-worker-events.rate=0.4/s", "phase.steady.duration=8s"];

pub const ROWS: &[Row] = &[
    // Idle time-outs are 60 s at most balancers (AWS ALB, nginx `proxy_read_timeout`); here as the
    // heartbeat is, a tenth.
    Row::go("idle_3s", Deviation::idle(Duration::from_secs(3))).set(QUIET),
    // The same below the heartbeat's interval: the mistake that nginx's default of 60 s is to a client that
    // heartbeats every 90.
    Row::no_go("idle_1s", Deviation::idle(Duration::from_secs(1)), "gate:stability", "socket_ends")
        .set(QUIET),
    // Half of the sockets go to a runtime that is not of the cluster: an older build that nobody took out
    // of the pool.
    Row::no_go("split", Deviation::split(), "no_convergence", "at head"),
];
