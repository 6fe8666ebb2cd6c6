//! Executes a Plan on tokio and feeds evidence: clients, publishers, faults, probes.
