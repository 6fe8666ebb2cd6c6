//! `check`: the resolved plan, with nothing sent.

use khala_plan::Schedule;
use khala_plan::estimate::Estimate;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::scenario;

/// Checks a scenario.
pub fn run(check: &args::Check) -> Result<Exit, Failure> {
    let loaded = scenario::load(&check.scenario)?;
    let schedule = Schedule::of(&loaded.plan);
    print!("{}", Estimate::of(&loaded.plan, &schedule).render(&loaded.plan));
    Ok(Exit::Go)
}
