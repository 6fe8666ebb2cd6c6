//! `schema`: the JSON Schema of scenario files.

use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the schema.
pub fn run() -> Result<Exit, Failure> {
    output::print(khala_plan::scenario_schema().as_bytes())?;
    Ok(Exit::Go)
}
