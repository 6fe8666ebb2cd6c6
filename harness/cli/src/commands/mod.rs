//! One file a command; each reads as its data flow.

pub mod check;
pub mod completions;
pub mod conform;
pub mod docs_gate;
pub mod doctor;
pub mod dry_run;
pub mod explain;
pub mod init;
pub mod list;
pub mod man;
pub mod metrics;
pub mod null_server;
pub mod prune;
pub mod reference;
pub mod refusals;
pub mod repeat;
pub mod report;
pub mod run;
pub mod schema;
pub mod score;
pub mod seal;
pub mod stage;
pub mod verify;
mod webhook;
