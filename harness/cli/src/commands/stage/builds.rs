//! Which build the target says it is, asked before and after the runs and while a stage is held.

use std::collections::{BTreeMap, BTreeSet};
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
use khala_stage::builds::{self, Builds};
use khala_stage::entry::StepResult;
use tokio_util::sync::CancellationToken;

use super::order::Order;
use super::target::{asked, guard, run};
use crate::exit::{Exit, Failure};
use crate::scenario;

/// Between two requests for the build.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two of them while a stage is held.
const EVERY: Duration = Duration::from_secs(30);
/// Between two looks whether they are still wanted.
const STEP: Duration = Duration::from_millis(100);

/// Asks for the build as often as the canary says, each time over a connection of its own.
///
/// # Errors
/// When the target's profile cannot be read.
pub fn ask(order: &Order<'_>, interrupt: &CancellationToken) -> Result<StepResult, Failure> {
    let mut result = StepResult::of(Verdict::Pass, "");
    let samples = order.canary().build_samples;
    if order.target.is_none() {
        let own = format!("khala-harness reference {}", env!("CARGO_PKG_VERSION"));
        result.builds.insert(own, 1);
    } else {
        let Some(asking) = Asking::of(order)? else {
            return Ok(StepResult::of(Verdict::Inconclusive, "the target's profile names no URL")
                .next("name its URL in the profile"));
        };
        let mut whys = BTreeSet::new();
        run(async {
            for _ in 0..samples {
                if interrupt.is_cancelled() {
                    break;
                }
                match asking.ask().await {
                    Ok(Some(build)) => *result.builds.entry(build).or_insert(0) += 1,
                    Ok(None) => result.builds_unknown += 1,
                    Err(why) => {
                        result.builds_unknown += 1;
                        whys.insert(why);
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        })?;
        result.lines = whys.into_iter().take(3).collect();
    }
    let against = builds::against(order.build.as_deref(), &result.builds, result.builds_unknown);
    (result.verdict, result.what) = match against {
        Builds::AsExpected => {
            (Verdict::Pass, builds::shares(&result.builds, result.builds_unknown))
        }
        Builds::Otherwise(why) => (Verdict::Inconclusive, why),
    };
    if result.verdict == Verdict::Inconclusive {
        result.next = Some(
            "give --build, and `build_header` or `build_command` in the target's profile; route all of the canary to \
             one build"
                .to_owned(),
        );
    }
    Ok(result)
}

/// Asks for the build now and then while something else goes on, on a thread of its own.
pub struct Sampling {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(BTreeMap<String, u64>, u64)>>,
}

impl Sampling {
    /// Begins to ask; asks nobody where the target is the embedded runtime.
    ///
    /// # Errors
    /// When the target's profile cannot be read.
    pub fn start(order: &Order<'_>) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let Some(asking) = Asking::of(order)? else { return Ok(Self { stop, thread: None }) };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("khala-builds".to_owned())
            .spawn(move || sample(&asking, &stopped))
            .context("cannot start a thread")?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends asking; the builds that were told, and how often none was.
    pub fn ended(mut self) -> (BTreeMap<String, u64>, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn sample(asking: &Asking, stop: &AtomicBool) -> (BTreeMap<String, u64>, u64) {
    let (mut seen, mut unknown) = (BTreeMap::new(), 0);
    let mut due = clock::system_now() + EVERY;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(STEP);
        if clock::system_now() < due {
            continue;
        }
        due = clock::system_now() + EVERY;
        match run(asking.ask()) {
            Ok(Ok(Some(build))) => *seen.entry(build).or_insert(0) += 1,
            // A target that is away for a moment is the run's to judge.
            Ok(Err(_)) => {}
            Ok(Ok(None)) | Err(_) => unknown += 1,
        }
    }
    (seen, unknown)
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
