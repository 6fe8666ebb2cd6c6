//! Which build the target says it is, asked before and after the runs and while a stage is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use khala_engine::clock;
use khala_engine::http::Http;
use khala_engine::preflight;
use khala_engine::reach::Reach;
use khala_engine::target::build;
use khala_engine::target::extras::Extras;
use khala_evidence::judge::Verdict;
use khala_plan::{Plan, Schedule};
use khala_stage::builds::{self, Builds, Seen};
use khala_stage::entry::StepResult;
use khala_stage::journal::Head;
use khala_stage::samples::{self, Answer, Sample};
use tokio_util::sync::CancellationToken;

use super::kept::{Kept, Writing};
use super::order::Order;
use super::target::{asked, guard, run};
use crate::exit::{Exit, Failure};
use crate::scenario;

/// Between two requests for the build.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two of them while a stage is held, at the least and at the most.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Requests that a hold is worth at the least: so that one that fails leaves no more of it unobserved than may be.
const SAMPLES_MIN: u32 = 20;
/// Between two looks whether they are still wanted.
const STEP: Duration = Duration::from_millis(100);

/// Asks for the build as often as the canary says, each time over a connection of its own.
///
/// # Errors
/// When the target's profile cannot be read.
pub fn ask(order: &Order<'_>, interrupt: &CancellationToken) -> Result<StepResult, Failure> {
    let mut seen = Seen::default();
    let samples = order.canary().build_samples;
    if order.target.is_none() {
        let own = format!("khala-harness reference {}", env!("CARGO_PKG_VERSION"));
        seen.take(Ok(Some(own)), 1);
    } else {
        let Some(asking) = Asking::of(order)? else {
            return Ok(StepResult::of(Verdict::Inconclusive, "the target's profile names no URL")
                .next("name its URL in the profile"));
        };
        run(async {
            for _ in 0..samples {
                if interrupt.is_cancelled() {
                    break;
                }
                seen.take(asking.ask().await, 1);
                tokio::time::sleep(PAUSE).await;
            }
        })?;
    }
    let mut result = match builds::against(order.build.as_deref(), &seen) {
        Builds::AsExpected => StepResult::of(Verdict::Pass, seen.shares()),
        Builds::Otherwise(why) if order.target.is_none() => {
            StepResult::of(Verdict::Inconclusive, why).next(
                "no canary was named, so that the embedded reference runtime answered: set the variable that the rollout file \
                 reads for `target`, such as `KHALA_CANARY`, or give --target",
            )
        }
        Builds::Otherwise(why) => StepResult::of(Verdict::Inconclusive, why).next(
            "give --build, and `build_header` or `build_command` in the target's profile; route all of the canary to \
             one build",
        ),
    };
    result.lines = seen.failed.keys().take(3).cloned().collect();
    Ok(result.with_builds(seen))
}

/// Asks for the build now and then while something else goes on, on a thread of its own, and writes down what came of
/// it: what was seen until the harness was killed was seen.
pub struct Sampling {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), khala_bundle::Error>>>,
}

impl Sampling {
    /// Begins to ask, and to append to what is kept; asks nobody where the target is the embedded runtime.
    ///
    /// # Errors
    /// When the target's profile cannot be read, or the samples not be written.
    pub fn start(order: &Order<'_>, kept: &Kept) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        if order.target.is_none() {
            return Ok(Self { stop, thread: None });
        }
        // Before the run has a folder: from then on they are missed.
        let mut into = kept.write()?;
        let Some(asking) = Asking::of(order)? else { return Ok(Self { stop, thread: None }) };
        let (every, stopped) = (every(order.hold_s), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("khala-builds".to_owned())
            .spawn(move || sample(&asking, every, &mut into, &stopped))
            .context("cannot start a thread")?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends asking.
    ///
    /// # Errors
    /// What kept it from writing down what came of it, from when on it asked no more.
    pub fn ended(mut self) -> Result<(), khala_bundle::Error> {
        self.stop.store(true, Ordering::Relaxed);
        // One that ended with a bug asked no more either, which shows by what is missing.
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Between two requests in a hold of so many seconds.
fn every(hold_s: u64) -> Duration {
    (Duration::from_secs(hold_s) / SAMPLES_MIN).clamp(EVERY.0, EVERY.1)
}

/// Builds that were told while so much of a hold was observed, as they were written down, and up to where. What should
/// have been asked and was not counts as a failure: who was killed while it waited for an answer saw nothing.
///
/// # Errors
/// HOLD where they are not what was written, or not there.
pub fn held(
    order: &Order<'_>,
    kept: &Kept,
    observed_s: f64,
) -> Result<(Seen, Option<Head>), Failure> {
    if order.target.is_none() {
        return Ok((Seen::default(), None));
    }
    let told = kept.read().map_err(|why| Failure::new(Exit::Hold, format!("HOLD: {why}")))?;
    let mut seen = samples::seen(&told);
    let wanted = (observed_s / every(order.hold_s).as_secs_f64()).floor() as u64;
    match wanted.saturating_sub(seen.all()) {
        0 => {}
        missing => seen.take(Err("not asked in time".to_owned()), missing),
    }
    Ok((seen, Some(told.head())))
}

fn sample(
    asking: &Asking,
    every: Duration,
    into: &mut Writing,
    stop: &AtomicBool,
) -> Result<(), khala_bundle::Error> {
    let mut due = clock::system_now() + every;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(STEP);
        if clock::system_now() < due {
            continue;
        }
        let answer = match run(asking.ask()) {
            Ok(Ok(Some(build))) => Answer::Build(build),
            Ok(Ok(None)) => Answer::Untold,
            Ok(Err(why)) => Answer::Failed(why),
            Err(failure) => Answer::Failed(failure.message),
        };
        let mut times = 0;
        while due <= clock::system_now() {
            due += every;
            times += 1;
        }
        // What cannot be written is missing, and so counts as not seen; nothing could follow it.
        into.write(Sample { times, answer })?;
    }
    Ok(())
}

/// What it takes to ask a target by URL for its build.
struct Asking {
    plan: Plan,
    reach: Reach,
    extras: Extras,
}

impl Asking {
    /// `None` of the embedded runtime.
    fn of(order: &Order<'_>) -> Result<Option<Self>, Failure> {
        if order.target.is_none() {
            return Ok(None);
        }
        let setup = |error| Failure::new(Exit::Setup, error);
        let plan = scenario::load_untold(&asked(order), |_| Ok(()))?.plan;
        let ways =
            preflight::reached(&plan, &Schedule::of(&plan), &guard(order)?).map_err(setup)?;
        let extras = Extras::of(&plan).map_err(setup)?;
        Ok(ways.map(|(reach, _)| Self { plan, reach, extras }))
    }

    /// Asks once, over a connection of its own.
    async fn ask(&self) -> Result<Option<String>, String> {
        let version = env!("CARGO_PKG_VERSION");
        let agent = format!("khala-harness/{version} (stage)");
        let http = Http::new(&self.reach, &agent, self.plan.target.request_timeout);
        build::learn(&self.plan, &http.carrying(self.extras.clone()), version).await
    }
}
