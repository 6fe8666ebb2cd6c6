//! `metrics`: what a gate may claim, and how it is judged.

use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the page.
pub fn run() -> Result<Exit, Failure> {
    output::print(khala_evidence::metrics_page::render().as_bytes())?;
    Ok(Exit::Go)
}
