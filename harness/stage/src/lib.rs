//! Stages of a rollout: what was asked of the canary, what came of it, and whether to go on.
//!
//! Everything that a stage does is written down first, as lines of a [`journal`] that is only appended to.
//! What is known of a rollout ([`history::History`]) is a function of it: whoever resumes a stage, decides it
//! ([`decide`]) or reports on it ([`report`]) reads the same lines. What is missing, old, of another build or
//! not observed is never a GO.
//!
//! No file is opened here, no socket, no clock: that is the command line's.

pub mod builds;
pub mod business;
pub mod command;
pub mod decide;
mod doc;
pub mod entry;
pub mod evidence;
pub mod fanout;
pub mod folder;
pub mod history;
pub mod journal;
pub mod manifest;
pub mod parts;
pub mod remedy;
pub mod render;
pub mod report;
pub mod samples;
pub mod series;
pub mod stamp;
pub mod steps;
pub mod surfaces;
pub mod untested;
pub mod windows;

#[cfg(test)]
mod testing;
