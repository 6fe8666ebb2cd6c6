//! The machine driven by its inputs alone, through the dialect of today's lane: no socket, no clock, no runtime.
//!
//! Frames of the server are written by hand, as the contract shows them, and sent frames are read as
//! plain JSON, so that a fault of the codec cannot hide a fault of the machine.

mod answers;
mod anything;
mod backoff;
mod bootstrap;
mod chosen;
mod cursors;
mod cuts;
mod faults;
mod filter;
mod garbage;
mod inputs;
mod lanes;
mod live;
mod pushes;
mod refusals;
pub(super) mod rig;
mod spoken;
mod timeouts;
