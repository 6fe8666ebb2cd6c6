//! The defects of each group, and how each is provoked.

pub mod authority;
pub mod cursors;
pub mod delivery;
pub mod flow;
pub mod latency;
pub mod snapshot;
