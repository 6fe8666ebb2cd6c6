//! How a command speaks and ends: the one [printer](output), [exit codes](exit), [signals].
//!
//! What the commands of the command line and of the self-test have in common, and nothing that only one of
//! them does: no arguments are read here, and nothing is run.

pub mod exit;
pub mod output;
pub mod signals;
