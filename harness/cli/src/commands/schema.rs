//! `schema`: what a scenario may say, for editors and for people.

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints a schema, or the reference page.
pub fn run(asked: &args::Schema) -> Result<Exit, Failure> {
    let text = match (asked.gates, asked.reference) {
        (true, _) => khala_plan::gate_file_schema(),
        (_, true) => khala_plan::scenario_reference(),
        _ => khala_plan::scenario_schema(),
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}
