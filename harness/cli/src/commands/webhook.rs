//! What a webhook is told of a run: one JSON document, whose keys are only ever added to.

use std::path::Path;

use khala_engine::reach::guard::Guard;
use khala_engine::webhook::Webhook;
use khala_evidence::report::{self, RunReport};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output;

/// Reasons that are told; all of them are in `run.json`.
const REASONS_MAX: usize = 20;

#[derive(Serialize)]
struct Told<'a> {
    version: u32,
    event: &'static str,
    /// One line for people, by the name under which chat systems look for it.
    text: String,
    decision: String,
    exit_code: u8,
    interrupted: bool,
    run_id: &'a str,
    scenario: &'a str,
    profile: Option<&'a str>,
    seed: u64,
    started_at: &'a str,
    ended_at: &'a str,
    target: Target<'a>,
    reasons: &'a [String],
    /// Where the bundle lies, on the machine that ran it.
    bundle: String,
    /// SHA-256 of its manifest; `null` where that could not be written.
    manifest_sha256: Option<String>,
}

#[derive(Serialize)]
struct Target<'a> {
    kind: &'a str,
    url: &'a str,
    build: Option<&'a str>,
}

/// A webhook that may be told.
///
/// # Errors
/// When it may not: that is said before a run, not after it.
pub fn of(url: &str, guard: &Guard, version: &str, run_id: &str) -> Result<Webhook, Failure> {
    let user_agent = format!("khala-harness/{version} (run {run_id})");
    let refused = |error| Failure::new(Exit::Setup, format!("the webhook: {error}"));
    Webhook::of(url, guard, &user_agent).map_err(refused)
}

/// Tells it of a run; what becomes of that is said, and changes nothing.
pub fn tell(webhook: &Webhook, report: &RunReport, exit: Exit, dir: &Path) {
    let told =
        document(report, exit, dir).map_err(|error| error.to_string()).and_then(|document| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            runtime.block_on(webhook.tell(document))
        });
    if let Err(why) = told {
        output::say(&format!("warning: {why}; the verdict stands"));
    }
}

fn document(report: &RunReport, exit: Exit, dir: &Path) -> serde_json::Result<Vec<u8>> {
    let report::RunReport { decision, scenario, target, reasons, .. } = report;
    let first = reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default();
    let manifest = dir.join(khala_bundle::names::MANIFEST);
    serde_json::to_vec(&Told {
        version: 1,
        event: "decision",
        text: format!("{decision} {}{first}", scenario.name),
        decision: decision.to_string(),
        exit_code: exit.code(),
        interrupted: report.interrupted,
        run_id: &report.run_id,
        scenario: &scenario.name,
        profile: scenario.profile.as_deref(),
        seed: scenario.seed,
        started_at: &report.started_at,
        ended_at: &report.ended_at,
        target: Target { kind: &target.kind, url: &target.url, build: target.build.as_deref() },
        reasons: &reasons[..reasons.len().min(REASONS_MAX)],
        bundle: dir.display().to_string(),
        manifest_sha256: khala_bundle::sha256(&manifest).ok(),
    })
}
