//! Conformance: what the contract says of a runtime, asked of one that is there, sentence by sentence.
//!
//! A case is one sentence and how it is asked ([`case::Case`]); [`cases`] holds them all, in files by what
//! they are about. They know nothing of one another, and nothing of the reference runtime. The runner
//! gives each a result in the registry's order, so that two runs can be compared line by line.
//!
//! It is no load: a run opens some hundred sockets and publishes some hundred events. What a fleet does to a
//! runtime is for scenarios.

pub mod case;
pub mod cases;
pub mod content;
pub mod ctx;
pub mod delivery;
pub mod known;
pub mod outcome;
pub mod page;
pub mod peer;
pub mod reader;
pub mod render;
pub mod report;
mod runner;
pub mod select;
pub mod worker;
pub mod world;

use khala_engine::clock;
use std::rc::Rc;
use std::time::Duration;

use khala_wire::command::worker_stop_path;
use tokio_util::sync::CancellationToken;

use crate::case::Case;
use crate::ctx::Ctx;
use crate::known::Known;
use crate::report::{Around, CaseResult, Report};
use crate::world::{OpenError, Options, World};

/// How long stopping the workers again may take, in all.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Opens the target and runs these cases, by their places in the registry; `told` hears of each result.
///
/// # Errors
/// When the target is not there, or a setting means nothing: no case has run then.
pub async fn run(
    options: Options,
    cases: &[(usize, &'static Case)],
    known: &Known,
    started_at: String,
    interrupt: &CancellationToken,
    told: &dyn Fn(&CaseResult),
) -> Result<Report, OpenError> {
    // Sockets stay on this thread, each with a task of its own.
    let local = tokio::task::LocalSet::new();
    local.run_until(run_here(options, cases, known, started_at, interrupt, told)).await
}

async fn run_here(
    options: Options,
    cases: &[(usize, &'static Case)],
    known: &Known,
    started_at: String,
    interrupt: &CancellationToken,
    told: &dyn Fn(&CaseResult),
) -> Result<Report, OpenError> {
    let start = clock::now();
    let tool = format!("khala-harness {}", options.version);
    let opened = interrupt.run_until_cancelled(Box::pin(World::open(options))).await;
    let world = Rc::new(opened.unwrap_or(Err(OpenError::Interrupted))?);
    let (results, remains) = runner::run(&world, cases, interrupt, told).await;
    let around = Around {
        tool,
        url: world.target.base_url.clone(),
        started_at,
        elapsed_s: clock::now().saturating_duration_since(start).as_secs_f64(),
        allowed: world.allow.iter().map(|does| does.name()).collect(),
        interrupted: interrupt.is_cancelled(),
        published: world.published.get(),
        remains,
    };
    Ok(Report::new(around, results, known))
}

/// Stops the workers that cases created; those that remain.
pub(crate) async fn stop_workers(world: &Rc<World>) -> Vec<String> {
    let workers = world.workers.take();
    let ctx = Ctx::new(Rc::clone(world), "end", 0, false);
    let until = clock::now() + STOP_WITHIN;
    let mut remains = Vec::new();
    for (id, user) in workers {
        let body = serde_json::json!({ "reason": "conform ended" });
        let path = worker_stop_path(&id);
        let stopped = worker::post(&ctx, &user, &path, &body);
        if !matches!(tokio::time::timeout_at(until, stopped).await, Ok(Ok(_))) {
            remains.push(id);
        }
    }
    remains
}
