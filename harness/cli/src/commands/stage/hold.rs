//! The hold: a steady run for as long as the stage is to be held, in as many parts as it takes.
//!
//! What was observed counts, in whichever part; what nobody saw (a kill, a reboot, the night of a business day) does
//! not.

use std::time::Duration;

use khala_plan::Plan;
use khala_plan::model::FirstSubscribe;
use khala_plan::rollout::{Hold, HoldLength};
use khala_plan::schedule::Schedule;
use khala_stage::business::Calendar;
use khala_stage::entry::{Entry, StepResult};
use khala_stage::parts::{After, Parts, World};
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
    let held = Held::earlier(order, hold, store.attempt(attempt))?;
    let settings = Settings::of(hold, order.hold_s);
    let mut holding = Holding { order, store, attempt, hold, settings, held, interrupt };
    // A rehearsal is held at any time of day.
    let any_time = HoldLength::Time(Duration::from_secs(order.hold_s));
    let length = if order.hold_planned_s.is_some() { &any_time } else { &hold.length };
    if !(Parts { hold_s: order.hold_s, length }).carry_out(&mut holding)? {
        return Ok(None);
    }
    let Holding { store, held, settings, .. } = holding;
    let (seen, samples) = builds::held(order, &store.kept(attempt), held.observed_s())?;
    let mut result = held.concluded(order, hold, &settings).with_builds(seen);
    if let Some(hold) = result.hold.as_mut() {
        hold.samples = samples;
    }
    Ok(Some(result))
}

/// A hold that is being carried out.
struct Holding<'a> {
    order: &'a Order<'a>,
    store: &'a mut Store,
    attempt: u32,
    hold: &'a Hold,
    settings: Settings,
    held: Held,
    interrupt: &'a CancellationToken,
}

impl World for Holding<'_> {
    type Error = Failure;

    fn now_ms(&self) -> i64 {
        clock::now().unix_ms
    }

    fn set_ms(&self) -> i64 {
        self.store.attempt(self.attempt).set_until(&clock::now())
    }

    fn pause(&mut self) -> bool {
        if self.interrupt.is_cancelled() {
            return false;
        }
        std::thread::sleep(Duration::from_secs(1));
        true
    }

    fn tell(&self, what: &str) {
        output::say(what);
    }

    fn observed_s(&self) -> f64 {
        self.held.observed_s()
    }

    fn is_settled(&self) -> bool {
        let Self { order, store, attempt, hold, held, .. } = self;
        // A part came to its end, and what the machine stood still meanwhile is not worth another.
        let whole = held.observed_s() >= least_s(order, hold) && held.has_an_end();
        let attempt = store.attempt(*attempt);
        let waivers = &attempt.begun.waivers;
        whole || held.is_decided(waivers, &clock::now()) || attempt.next_try(HOLD) > PARTS_MAX
    }

    fn part(&mut self, part_s: u64, closes_ms: Option<i64>) -> Result<After, Failure> {
        let (order, attempt, interrupt) = (self.order, self.attempt, self.interrupt);
        let run = self.store.attempt(attempt).next_try(HOLD);
        self.store.write(Entry::StepBegun { attempt, step: HOLD.to_owned(), run })?;
        let of = Of { attempt, step: HOLD, run };
        let scenario = order.scenario(&self.hold.scenario, &lengths(order, self.hold, part_s)?);
        let mut wanted =
            |loaded: &Loaded| Ok(Wanted { closes_ms, ..wanted(order, &self.settings, loaded) });
        let sampling = Sampling::start(order, &self.store.kept(attempt))?;
        let ran = runs::run(order, self.store, &of, scenario, &mut wanted, interrupt);
        if let Err(error) = sampling.ended() {
            output::say(&format!("warning: {error}: the build was asked for no more from then on"));
        }
        let before = self.held.observed_s();
        match ran? {
            None => return Ok(After::Interrupted),
            Some(Err(why)) => self.held.came_to_nothing(&why),
            Some(Ok(ran)) => self.held.take(&ran.report, ran.summary),
        }
        // What was proven by then stands; the rest is taken up again.
        let stops = interrupt.is_cancelled() || self.store.full().is_some();
        if stops && !self.held.has_failed() {
            return Ok(After::Interrupted);
        }
        // Who sees nothing now sees nothing the next time either.
        let closed = closes_ms.is_some_and(|closes_ms| self.now_ms() >= closes_ms);
        let blind = self.held.observed_s() - before < 1.0 && !closed;
        Ok(if self.held.ended_early() || blind { After::Nothing } else { After::Another })
    }

    fn no_such_day(why: String) -> Failure {
        Failure::new(Exit::InvalidScenario, why)
    }

    fn give_up(&mut self, why: String) {
        self.held.give_up(why);
    }
}

/// Whether the hold can be carried out: found before anything is sent.
///
/// # Errors
/// When its scenario is none of a hold, or its business day is none.
pub fn check(order: &Order<'_>, hold: &Hold) -> Result<(), Failure> {
    let invalid = |why| Failure::new(Exit::InvalidScenario, why);
    if let Some(calendar) = Calendar::of(&hold.length).map_err(invalid)? {
        calendar.hours(clock::now().unix_ms).map_err(invalid)?;
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

/// The plan of a hold that is carried out in one part.
///
/// # Errors
/// When its scenario cannot be read, or is none of a hold.
pub fn plan(order: &Order<'_>, hold: &Hold) -> Result<Plan, Failure> {
    let lengths = lengths(order, hold, order.hold_s)?;
    Ok(scenario::load_untold(&order.scenario(&hold.scenario, &lengths), |_| Ok(()))?.plan)
}

/// What of the windows is none of the target's doing: who comes later with the cursor that was learnt at the start
/// lags by all that was published since, and is refused once the target has dropped what follows it.
pub fn left_out(plan: &Plan) -> &'static [Indicator] {
    let late =
        plan.fleet.first_subscribe == FirstSubscribe::FromNow && !plan.fleet.stages.is_empty();
    if late { &[Indicator::ReplayLag, Indicator::UnplannedStale] } else { &[] }
}

/// What ends a part of the hold early.
fn wanted(order: &Order<'_>, settings: &Settings, loaded: &Loaded) -> Wanted {
    let schedule: &Schedule = &loaded.schedule;
    let phase = schedule.phases.iter().find(|phase| phase.name == PHASE);
    Wanted {
        grace: order.grace(),
        dark: Some(DARK),
        hold: phase.map(|phase| (settings.clone(), phase.start_us, phase.end_us)),
        closes_ms: None,
        oracle_is_advisory: loaded.plan.oracle.advisory,
        left_out: left_out(&loaded.plan),
    }
}

/// How much must have been observed, in seconds.
pub fn least_s(order: &Order<'_>, hold: &Hold) -> f64 {
    hold.observed_min * order.hold_s as f64
}
