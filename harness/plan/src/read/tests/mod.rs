//! Scenarios that are right, that are wrong, and that are put together from parts.

mod applies;
mod beside;
mod envelope;
mod faults;
mod merging;
mod mistakes;
mod much;
mod plans;
mod rendering;
mod robust;
mod settings;
mod targets;
mod warnings;
