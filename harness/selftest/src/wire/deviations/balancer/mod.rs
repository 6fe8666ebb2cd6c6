//! What a load balancer does to sockets.

rows![idle_3s, idle_1s, split,];

/// So few events that a socket is silent but for its heartbeats, every 2 s.
const QUIET: &[&str] = &["load.codex-worker-events.rate=0.4/s", "phase.steady.duration=8s"];
