//! `check`: the resolved plan, with nothing sent, and whether this machine can carry it.

use std::cell::Cell;
use std::path::Path;

use anyhow::Context as _;
use khala_engine::command;
use khala_plan::estimate::Estimate;
use khala_plan::{Diagnostics, Loaded, Plan, Schedule};

use super::refusals;
use crate::args;
use crate::exit::{Exit, Failure};
use crate::{output, scenario, screen, setup, show};

/// Checks a scenario.
pub fn run(check: &args::Check) -> Result<Exit, Failure> {
    let printed = Cell::new(false);
    let done = checked(check, &printed);
    if let (Err(failure), true, false) = (&done, check.json, printed.get()) {
        let text = khala_plan::check_unread(&told(check, failure)).context("a rendering failed")?;
        output::print(text.as_bytes())?;
    }
    done
}

/// The same; `printed` becomes true with the document.
fn checked(check: &args::Check, printed: &Cell<bool>) -> Result<Exit, Failure> {
    let mistakes = |diagnostics: &Diagnostics| {
        printed.set(true);
        match check.json {
            true => output::print(scenario::clean(&diagnostics.to_json()).as_bytes()),
            false => Ok(()),
        }
    };
    let loaded = match &check.gates {
        None => scenario::load_telling(&check.scenario, mistakes)?,
        Some(gates) => under_gates(&scenario::load_untold(&check.scenario, mistakes)?.plan, gates)?,
    };
    let plan = command::told_plan(&loaded.plan);
    let schedule = Schedule::of(&plan);
    let estimate = Estimate::of(&plan, &schedule);
    let mut refused = match scenario::guard(&check.scenario) {
        Ok(guard) => refusals::of(&loaded.plan, &schedule, &guard, &check.start),
        Err(failure) => vec![failure],
    };
    let in_vain = refusals::in_vain(&loaded.plan, &check.scenario, &check.start);
    refusals::warn(&in_vain);
    if check.strict && refused.is_empty() {
        refused.extend(strictly(&estimate, &in_vain).err());
    }
    let text = if check.json {
        let errors: Vec<_> = refused.iter().map(|failure| told(check, failure)).collect();
        estimate.to_json(&plan, &loaded.warnings, &errors).context("a rendering failed")?
    } else {
        let text = estimate.render(&plan) + &setup::section(&loaded.plan, &check.start);
        show::screen_width().map_or_else(|| text.clone(), |width| screen::fitted(&text, width))
    };
    printed.set(true);
    output::print(text.as_bytes())?;
    refusals::together(&refused).map(|()| Exit::Go)
}

/// What is wrong with the scenario as a whole, with its file.
fn told(check: &args::Check, failure: &Failure) -> (String, String) {
    (check.scenario.file.display().to_string(), scenario::clean(failure.what()))
}

/// The plan with the gates of a file in place of its own.
fn under_gates(plan: &Plan, gates: &Path) -> Result<Loaded, Failure> {
    let text = khala_plan::resolved::to_toml(plan);
    let shown = Path::new("the scenario");
    Ok(khala_bundle::under_gates(&text, shown, gates, plan.profile.as_deref())?)
}

/// Refuses a plan that could not tell a good target from a bad one.
fn strictly(estimate: &Estimate, in_vain: &[String]) -> Result<(), Failure> {
    let what = if let Some(first) = in_vain.first() {
        &format!("a run in which nothing breaks would be HOLD: {first}")
    } else if estimate.is_undecidable() {
        "a run in which nothing breaks would be HOLD: see what cannot reach a verdict"
    } else if estimate.is_foregone() {
        "an objective has its verdict by the plan alone, whatever the target does: see which bound no target \
         can keep or break"
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::Hold, what))
}
