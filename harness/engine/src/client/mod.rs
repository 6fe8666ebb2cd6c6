//! Simulated clients: the machine without I/O, the reader of batches, and the driver with sockets.

mod contents;
pub mod driver;
#[cfg(test)]
pub(crate) mod driver_tests;
pub mod machine;
#[cfg(test)]
mod machine_tests;
pub mod orders;
pub mod reader;
mod snapshot;
