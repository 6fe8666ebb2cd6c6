//! One file a command; each reads as its data flow.

pub mod check;
pub mod explain;
pub mod prune;
pub mod reference;
pub mod report;
pub mod run;
pub mod score;
pub mod verify;
