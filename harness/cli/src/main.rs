//! The command line of khala-harness.
fn main() {}
