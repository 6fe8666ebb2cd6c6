//! Simulated clients: the machine without I/O, the dialect that it speaks on a lane, and the driver with its
//! sessions.

pub mod batch;
pub mod contents;
pub mod dialect;
pub mod driver;
#[cfg(test)]
pub(crate) mod driver_tests;
pub mod machine;
#[cfg(test)]
mod machine_tests;
pub mod orders;
pub mod reader;
pub mod world;
