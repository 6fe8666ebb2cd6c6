//! One run: records, shards, verdicts, the run report and its renderings.
//!
//! Pure: this crate opens no socket, reads no clock and writes no file. The engine hands it
//! [`record::Record`]s; the command line writes what it renders.

pub mod builds;
mod by_text;
pub mod command;
pub mod context;
pub mod event;
pub mod facts;
pub mod framing;
pub mod hist;
pub mod hlog;
pub mod journal;
pub mod judge;
pub mod metrics_page;
pub mod oracle;
mod pairs;
pub mod record;
pub mod recording;
pub mod render;
pub mod report;
pub mod shard;
pub mod standing;
pub mod stats;
#[cfg(test)]
mod testing;
pub mod unfinished;

pub use context::Context;
pub use record::{Record, Sink};
pub use shard::{Settled, Shard};
