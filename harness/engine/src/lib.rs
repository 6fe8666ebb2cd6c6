//! Executes a plan on tokio and feeds evidence: clients, publishers, faults, probes.
//!
//! Generic over [`khala_evidence::Sink`]: what a run saw leaves this crate as records and in no
//! other way. It judges nothing.

pub mod answer;
pub mod aside;
pub mod client;
pub mod clock;
pub mod command;
mod conductor;
pub mod contact;
pub mod doctor;
pub mod environment;
pub mod error;
pub mod fault;
pub mod handshake;
pub mod heads;
pub mod http;
pub mod mint;
pub mod observe;
pub mod owed;
pub mod preflight;
pub mod probe;
pub mod publisher;
pub mod reach;
pub mod run;
pub mod said;
pub mod session;
pub mod stall;
pub mod switches;
mod talk;
pub mod target;
#[cfg(test)]
mod testing;
pub mod throttle;
pub mod transport;
pub mod turnstile;
pub mod webhook;
pub mod worker;

pub use error::SetupError;
pub use run::{Options, Outcome, run};
