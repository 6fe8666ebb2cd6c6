//! `check`: the resolved plan, with nothing sent, and whether this machine can carry it.

use anyhow::Context as _;
use khala_engine::reach::guard::Guard;
use khala_plan::estimate::Estimate;
use khala_plan::model::Plan;
use khala_plan::{Diagnostics, Schedule};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::{output, scenario, screen, setup, show};

/// Checks a scenario.
pub fn run(check: &args::Check) -> Result<Exit, Failure> {
    let told = |diagnostics: &Diagnostics| match check.json {
        true => output::print(diagnostics.to_json().as_bytes()),
        false => Ok(()),
    };
    let loaded = scenario::load_telling(&check.scenario, told)?;
    let schedule = Schedule::of(&loaded.plan);
    let estimate = Estimate::of(&loaded.plan, &schedule);
    let text = if check.json {
        estimate.to_json(&loaded.plan, &loaded.warnings).context("a rendering failed")?
    } else {
        let text = estimate.render(&loaded.plan) + &setup::section(&loaded.plan);
        show::screen_width().map_or_else(|| text.clone(), |width| screen::fitted(&text, width))
    };
    output::print(text.as_bytes())?;
    carried(&loaded.plan, &schedule, &estimate, &scenario::guard(&check.scenario)?)?;
    if check.strict {
        strictly(&estimate)?;
    }
    Ok(Exit::Go)
}

/// Refuses a plan that could not tell a good target from a bad one.
fn strictly(estimate: &Estimate) -> Result<(), Failure> {
    let what = if estimate.is_undecidable() {
        "a run would be HOLD, whatever the target does: see what cannot reach a verdict"
    } else if estimate.is_foregone() {
        "an objective has its verdict by the plan alone, whatever the target does: see which bound no target \
         can keep or break"
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::Hold, what))
}

/// What keeps this machine from running it, as `run` would find out before it sends anything.
fn carried(
    plan: &Plan,
    schedule: &Schedule,
    estimate: &Estimate,
    guard: &Guard,
) -> Result<(), Failure> {
    setup::refuse(plan, schedule, guard)?;
    if estimate.ports_needed > estimate.ports_available {
        let what = format!(
            "the plan needs about {} source ports and there are {}: add to generator.source_addresses, such \
             as `127.0.0.2`",
            estimate.ports_needed, estimate.ports_available
        );
        return Err(Failure::new(Exit::Setup, what));
    }
    Ok(())
}
