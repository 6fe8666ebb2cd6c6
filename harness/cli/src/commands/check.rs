//! `check`: the resolved plan, with nothing sent.

use anyhow::Context as _;
use khala_plan::Schedule;
use khala_plan::estimate::Estimate;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::{output, scenario};

/// Checks a scenario.
pub fn run(check: &args::Check) -> Result<Exit, Failure> {
    let loaded = scenario::load(&check.scenario)?;
    let estimate = Estimate::of(&loaded.plan, &Schedule::of(&loaded.plan));
    let text = if check.json {
        estimate.to_json(&loaded.plan, &loaded.warnings).context("a rendering failed")?
    } else {
        estimate.render(&loaded.plan)
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}
