//! The hold: a steady run for as long as the stage is to be held, in as many parts as it takes.
//!
//! What was observed counts, in whichever part; what nobody saw (a kill, a reboot, the night of a business day) does
//! not.

use std::time::Duration;

use khala_plan::Plan;
use khala_plan::model::FirstSubscribe;
use khala_plan::rollout::{Hold, HoldLength};
use khala_plan::schedule::Schedule;
use khala_stage::business::{self, Hours};
use khala_stage::entry::{Entry, StepResult};
use khala_stage::steps::HOLD;
use khala_stage::windows::{Indicator, Settings};
use tokio_util::sync::CancellationToken;

use super::builds::{self, Sampling};
use super::clock;
use super::held::Held;
use super::order::Order;
use super::runs::{self, DARK, Of};
use super::store::Store;
use super::watch::Wanted;
use crate::commands::run::Loaded;
use crate::exit::{Exit, Failure};
use crate::{output, scenario};

/// Name of the phase that is held.
pub const PHASE: &str = "hold";
/// The least that a part of a hold is worth running for, in seconds.
const PART_MIN_S: u64 = 60;
/// Parts that are tried before a hold is given up.
const PARTS_MAX: u32 = 50;

/// Carries the hold out; `None` when the stage was interrupted meanwhile.
///
/// # Errors
/// When its scenario is none of a hold, or something cannot be written.
pub fn hold(
    order: &Order<'_>,
    store: &mut Store,
    attempt: u32,
    hold: &Hold,
    interrupt: &CancellationToken,
) -> Result<Option<StepResult>, Failure> {
    let mut held = Held::earlier(order, hold, store.attempt(attempt))?;
    let settings = Settings::of(hold, order.hold_s);
    loop {
        let left_s = (order.hold_s as f64 - held.observed_s()).ceil().max(0.0) as u64;
        // A part came to its end, and what the machine stood still meanwhile is not worth another.
        let whole = held.observed_s() >= least_s(order, hold) && held.has_an_end();
        let waivers = &store.attempt(attempt).begun.waivers;
        let run = store.attempt(attempt).next_try(HOLD);
        if whole || held.is_decided(waivers, &clock::now()) || run > PARTS_MAX {
            break;
        }
        let part_s = left_s.max(PART_MIN_S.min(order.hold_s));
        let Some(open_s) = wait_for_hours(order, hold, part_s.min(PART_MIN_S), interrupt)? else {
            return Ok(None);
        };
        let part_s = part_s.min(open_s);
        store.write(Entry::StepBegun { attempt, step: HOLD.to_owned(), run })?;
        let of = Of { attempt, step: HOLD, run };
        let scenario = order.scenario(&hold.scenario, &lengths(order, hold, part_s)?);
        let mut wanted = |loaded: &Loaded| wanted(order, &settings, loaded);
        let sampling = Sampling::start(order, &store.kept(attempt))?;
        let ran = runs::run(order, store, &of, scenario, &mut wanted, interrupt);
        sampling.ended();
        let before = held.observed_s();
        match ran? {
            None => return Ok(None),
            Some(Err(why)) => held.cannot_begin(&why),
            Some(Ok(ran)) => held.take(&ran.report, ran.summary)?,
        }
        // What was proven by then stands; the rest is taken up again.
        if interrupt.is_cancelled() && !held.has_failed() {
            return Ok(None);
        }
        // Who sees nothing now sees nothing the next time either.
        if held.ended_early() || held.observed_s() - before < 1.0 {
            break;
        }
    }
    let (seen, samples) = builds::held(order, &store.kept(attempt), held.observed_s())?;
    let mut result = held.concluded(order, hold, &settings).with_builds(seen);
    if let Some(hold) = result.hold.as_mut() {
        hold.samples = samples;
    }
    Ok(Some(result))
}

/// Waits until business hours that last for at least so long, where the hold has some; how many seconds they last, or
/// `None` when the stage was interrupted.
fn wait_for_hours(
    order: &Order<'_>,
    hold: &Hold,
    least_s: u64,
    interrupt: &CancellationToken,
) -> Result<Option<u64>, Failure> {
    let HoldLength::BusinessDay { from, to, tz } = &hold.length else {
        return Ok(Some(u64::MAX));
    };
    if order.hold_planned_s.is_some() {
        return Ok(Some(u64::MAX));
    }
    let mut told = false;
    loop {
        let hours = business::hours(clock::now().unix_ms, *from, *to, tz)
            .map_err(|why| Failure::new(Exit::InvalidScenario, why))?;
        match hours {
            Hours::OpenFor(seconds) if seconds.unsigned_abs() >= least_s => {
                return Ok(Some(seconds.unsigned_abs()));
            }
            // What is left of the day is too short to be worth a run.
            Hours::OpenFor(_) => {}
            Hours::OpenIn(seconds) if !told => {
                let minutes = (seconds + 59) / 60;
                output::say(&format!(
                    "the hold goes on with the business day ({tz}), in {minutes} min; interrupted, it is taken up \
                     again with --resume"
                ));
                told = true;
            }
            Hours::OpenIn(_) => {}
        }
        if interrupt.is_cancelled() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Whether the hold can be carried out: found before anything is sent.
///
/// # Errors
/// When its scenario is none of a hold, or its business day is none.
pub fn check(order: &Order<'_>, hold: &Hold) -> Result<(), Failure> {
    if let HoldLength::BusinessDay { from, to, tz } = &hold.length {
        business::hours(clock::now().unix_ms, *from, *to, tz)
            .map_err(|why| Failure::new(Exit::InvalidScenario, why))?;
    }
    lengths(order, hold, order.hold_s).map(drop)
}

/// Overrides that give the hold's scenario its length.
pub fn lengths(order: &Order<'_>, hold: &Hold, part_s: u64) -> Result<Vec<String>, Failure> {
    let plan = scenario::load_untold(&order.scenario(&hold.scenario, &[]), |_| Ok(()))?.plan;
    let is_hold =
        matches!(&plan.phases[..], [only] if only.name == PHASE && only.faults.is_empty());
    if !is_hold {
        let what = format!(
            "{}: a hold has one phase, called `{PHASE}`, and no fault",
            order.folder.join(&hold.scenario.file).display()
        );
        return Err(Failure::new(Exit::InvalidScenario, what));
    }
    let mut set = vec![format!("phase.{PHASE}.duration={part_s}s")];
    if plan.fleet.stages.len() == 1 {
        set.push(format!("fleet.stage.0.duration={part_s}s"));
        set.push(format!("fleet.stage.0.target={}", order.stage().clients));
    }
    Ok(set)
}

/// What of the windows is none of the target's doing: who comes later with the cursor that was learnt at the start
/// lags by all that was published since, and is refused once the target has dropped what follows it.
pub fn left_out(plan: &Plan) -> &'static [Indicator] {
    let late =
        plan.fleet.first_subscribe == FirstSubscribe::FromNow && !plan.fleet.stages.is_empty();
    if late { &[Indicator::ReplayLag, Indicator::UnplannedStale] } else { &[] }
}

/// What ends a part of the hold early.
fn wanted(order: &Order<'_>, settings: &Settings, loaded: &Loaded) -> Result<Wanted, Failure> {
    let schedule: &Schedule = &loaded.schedule;
    let phase = schedule.phases.iter().find(|phase| phase.name == PHASE);
    Ok(Wanted {
        grace: order.grace(),
        dark: Some(DARK),
        hold: phase.map(|phase| (settings.clone(), phase.start_us, phase.end_us)),
        oracle_is_advisory: loaded.plan.oracle.advisory,
        left_out: left_out(&loaded.plan),
    })
}

/// How much must have been observed, in seconds.
pub fn least_s(order: &Order<'_>, hold: &Hold) -> f64 {
    hold.observed_min * order.hold_s as f64
}
