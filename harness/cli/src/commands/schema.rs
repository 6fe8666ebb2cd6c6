//! `schema`: what a scenario may say, and what is printed and written for programs.

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints a schema, or the reference page.
pub fn run(asked: &args::Schema) -> Result<Exit, Failure> {
    let text = match asked {
        args::Schema { gates: true, .. } => khala_plan::gate_file_schema(),
        args::Schema { reference: true, .. } => khala_plan::scenario_reference(),
        args::Schema { run: true, .. } => khala_evidence::report::schema(),
        args::Schema { check: true, .. } => khala_plan::check_schema(),
        args::Schema { rollout: true, .. } => khala_plan::rollout_schema(),
        args::Schema { waivers: true, .. } => khala_plan::waiver_schema(),
        args::Schema { stage: true, .. } => khala_stage::report::schema(),
        _ => khala_plan::scenario_schema(),
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}
