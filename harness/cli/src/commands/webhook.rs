//! What a webhook is told of a run, or of the decision of a stage: one JSON document, whose keys are only ever added to.

use std::path::Path;

use khala_engine::error::SetupError;
use khala_engine::reach::guard::Guard;
use khala_engine::webhook::Webhook;
use khala_evidence::report::{self, RunReport};
use khala_stage::report::StageReport;
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
/// When it may not: that is said before a run, not after it. `who` tells, in the request's header.
pub fn of(url: &str, guard: &Guard, version: &str, who: &str) -> Result<Webhook, Failure> {
    let user_agent = format!("khala-harness/{version} ({who})");
    let refused = |error| match error {
        SetupError::BadWebhook { .. } => Failure::new(Exit::Usage, error),
        error => Failure::new(Exit::Setup, format!("the webhook: {error}")),
    };
    Webhook::of(url, guard, &user_agent).map_err(refused)
}

/// Tells it of a run; what becomes of that is said, and changes nothing.
pub fn tell(webhook: &Webhook, report: &RunReport, exit: Exit, dir: &Path) {
    say(webhook, document(report, exit, dir), "the verdict stands");
}

/// Tells it of the decision of a stage, whose report is `name` in `dir`; what becomes of that is said, and changes
/// nothing.
pub fn tell_of_stage(
    webhook: &Webhook,
    report: &StageReport,
    exit: Exit,
    (dir, name): (&Path, &str),
) {
    say(webhook, of_stage(report, exit, (dir, name)), "the decision stands");
}

fn say(webhook: &Webhook, document: serde_json::Result<Vec<u8>>, stands: &str) {
    let told = document.map_err(|error| error.to_string()).and_then(|document| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let told = runtime.block_on(webhook.tell(document));
        // Nobody waits for a name that is still looked up.
        runtime.shutdown_background();
        told
    });
    if let Err(why) = told {
        output::say(&format!("warning: {why}; {stands}"));
    }
}

#[derive(Serialize)]
struct ToldOfStage<'a> {
    version: u32,
    event: &'static str,
    /// One line for people, by the name under which chat systems look for it.
    text: String,
    decision: String,
    exit_code: u8,
    rollout: &'a str,
    stage: &'a str,
    stage_name: &'a str,
    /// The stage that a GO opens.
    next_stage: Option<&'a str>,
    /// Number of the attempt in the journal.
    attempt: u32,
    /// A GO of a rehearsal opens rehearsals alone.
    rehearsal: bool,
    owner: &'a str,
    build: Option<&'a str>,
    target: &'a str,
    began_at: &'a str,
    decided_at: &'a str,
    reasons: Vec<&'a str>,
    /// Where the report lies, on the machine that decided.
    report: String,
    /// SHA-256 of it; `null` where it could not be written.
    report_sha256: Option<String>,
    /// SHA-256 of the attempt's manifest; `null` where none was asked for.
    manifest_sha256: Option<String>,
}

fn of_stage(
    report: &StageReport,
    exit: Exit,
    (dir, name): (&Path, &str),
) -> serde_json::Result<Vec<u8>> {
    let StageReport { decision, begun, reasons, .. } = report;
    let first = reasons.first().map(|reason| format!(": {}", reason.why)).unwrap_or_default();
    let [json, manifest] = ["json", "manifest.json"].map(|end| dir.join(format!("{name}.{end}")));
    serde_json::to_vec(&ToldOfStage {
        version: 1,
        event: "stage_decision",
        text: format!("{}{first}", report.headline()),
        decision: decision.to_string(),
        exit_code: exit.code(),
        rollout: &begun.rollout,
        stage: &begun.stage,
        stage_name: &report.stage_name,
        next_stage: report.next_stage.as_deref(),
        attempt: begun.attempt,
        rehearsal: begun.is_rehearsal(),
        owner: &begun.owner,
        build: begun.build.as_deref(),
        target: &begun.target,
        began_at: &report.began_at,
        decided_at: &report.decided_at,
        reasons: reasons.iter().take(REASONS_MAX).map(|reason| reason.why.as_str()).collect(),
        report_sha256: khala_bundle::sha256(&json).ok(),
        report: json.display().to_string(),
        manifest_sha256: khala_bundle::sha256(&manifest).ok(),
    })
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
