//! The embedded reference runtime: the Khala contract as a real server, with injectable defects.
//!
//! It exists for two uses. A scenario can run against a target that is known to keep the contract,
//! and every rule of the harness can be shown to fail against a target that is known to break it.
//! It therefore shares no ledger, oracle or stale-decision code with the harness: the only thing
//! both sides link is [`khala_wire`], which holds shapes. It must never read what a client believes
//! (no scenario, no plan, no run id), and without a defect it must never break the contract.
//!
//! ```text
//! HTTP command -> store (authority -> topic logs) -> bell -> one task per socket -> both pushes
//! ```
//!
//! The log of a topic *is* the queue of its subscribers. A connection keeps a position per topic
//! and is woken when a head advances, so a slow socket costs one number, not a buffer.

mod clock;
pub mod config;
pub mod defect;
mod fanout;
mod http;
mod metrics;
mod revocation;
mod server;
pub mod session;
mod shared;
mod socket;
pub mod speech;
mod store;
pub mod sync;
mod token;

pub use config::Config;
pub use http::TRIM_PATH;
pub use server::{Handle, RunError, SeedError, Server, StartError};
pub use store::JournalError;
