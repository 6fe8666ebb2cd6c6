//! One file a command; each reads as its data flow.

pub mod check;
pub mod completions;
pub mod init;
pub mod man;
pub mod metrics;
pub mod reference;
pub mod run;
pub mod schema;
