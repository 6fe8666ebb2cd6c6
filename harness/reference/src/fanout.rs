//! From log entries to the two pushes of a batch, encoded once for all who are sent the same.

mod batch;
mod cache;

pub use batch::Batch;
pub use cache::{BatchCache, BatchKey};
