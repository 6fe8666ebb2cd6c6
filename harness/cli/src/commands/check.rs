//! `check`: the resolved plan, with nothing sent, and whether this machine can carry it.

use std::path::Path;

use anyhow::Context as _;
use khala_engine::command;
use khala_plan::estimate::Estimate;
use khala_plan::{Diagnostics, Loaded, Plan, Schedule};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::{output, scenario, screen, setup, show};

/// Checks a scenario.
pub fn run(check: &args::Check) -> Result<Exit, Failure> {
    let told = |diagnostics: &Diagnostics| match check.json {
        true => output::print(scenario::clean(&diagnostics.to_json()).as_bytes()),
        false => Ok(()),
    };
    let loaded = match &check.gates {
        None => scenario::load_telling(&check.scenario, told)?,
        Some(gates) => under_gates(&scenario::load_untold(&check.scenario, told)?.plan, gates)?,
    };
    let told = command::told_plan(&loaded.plan);
    let schedule = Schedule::of(&told);
    let estimate = Estimate::of(&told, &schedule);
    let text = if check.json {
        estimate.to_json(&told, &loaded.warnings).context("a rendering failed")?
    } else {
        let text = estimate.render(&told) + &setup::section(&loaded.plan);
        show::screen_width().map_or_else(|| text.clone(), |width| screen::fitted(&text, width))
    };
    output::print(text.as_bytes())?;
    setup::refuse(&loaded.plan, &schedule, &scenario::guard(&check.scenario)?)?;
    if check.strict {
        strictly(&estimate)?;
    }
    Ok(Exit::Go)
}

/// The plan with the gates of a file in place of its own.
fn under_gates(plan: &Plan, gates: &Path) -> Result<Loaded, Failure> {
    let text = khala_plan::resolved::to_toml(plan);
    let shown = Path::new("the scenario");
    Ok(khala_bundle::under_gates(&text, shown, gates, plan.profile.as_deref())?)
}

/// Refuses a plan that could not tell a good target from a bad one.
fn strictly(estimate: &Estimate) -> Result<(), Failure> {
    let what = if estimate.is_undecidable() {
        "a run in which nothing breaks would be HOLD: see what cannot reach a verdict"
    } else if estimate.is_foregone() {
        "an objective has its verdict by the plan alone, whatever the target does: see which bound no target \
         can keep or break"
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::Hold, what))
}
