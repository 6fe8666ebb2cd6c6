//! The end of a stage: its decision, written down before anything else, its report, and what is said of it.

use anyhow::Context as _;
use khala_evidence::judge::Decision;
use khala_evidence::render::escape;
use khala_stage::decide::{self, Case, Decided, Named};
use khala_stage::entry::{Ended, Entry};
use khala_stage::journal::sha256;
use khala_stage::render;
use khala_stage::report::StageReport;
use khala_stage::stamp::Stamp;

use super::order::Order;
use super::space::{self, Folder};
use super::store::Store;
use super::{clock, look};
use crate::exit::{Exit, Failure};
use crate::{args, output};

/// A decision that is written down.
pub struct Concluded {
    /// Its report.
    pub report: StageReport,
    /// What its report is called.
    pub name: String,
    /// What kept the report from being written.
    pub unwritten: Option<khala_bundle::Error>,
}

/// Decides the attempt, writes it down, then its report.
///
/// # Errors
/// When it cannot be written down: with what it came to.
pub fn end(order: &Order<'_>, store: &mut Store, attempt: u32) -> Result<Concluded, Failure> {
    let now = clock::now();
    let name = store.name(&order.stage, &now);
    let decided = {
        let check = |named: Named<'_>| look(store.dir(), &store.history, named);
        let (rollout, stage, history) = (&order.rollout, order.stage(), &store.history);
        let attempt = store.attempt(attempt);
        decide::decide(&Case { rollout, stage, history, attempt, now: &now, check: &check })
    };
    let (report, json) = report(order, store, attempt, &now, (&decided, &name))?;
    let report_sha256 = sha256(json.as_bytes());
    let ended = Ended { attempt, decided, report: name.clone(), report_sha256 };
    // The decision counts from here on; a report that is missing is written again the next time.
    let written = store.write_at(now, Entry::Ended(Box::new(ended.clone())));
    written.map_err(|failure| undecided(&report, failure))?;
    let unwritten = store.publish(&report, &ended, &json).err();
    Ok(Concluded { report, name, unwritten })
}

/// What a decision came to that could not be written down.
fn undecided(report: &StageReport, failure: Failure) -> Failure {
    let why: String = report.reasons.iter().map(|it| format!("\n  {}", it.why)).collect();
    let message = format!(
        "{}\nIt came to this, which is written down nowhere: {}{why}",
        failure.message,
        report.headline()
    );
    let is_no_go = report.decision == Decision::NoGo;
    Failure { exit: if is_no_go { Exit::NoGo } else { failure.exit }, message }
}

/// The report of an attempt that is, or was, decided so, and as JSON: of what was known by then alone.
fn report(
    order: &Order<'_>,
    store: &Store,
    attempt: u32,
    at: &Stamp,
    (decided, name): (&Decided, &str),
) -> Result<(StageReport, String), Failure> {
    let history = store.history.until(attempt);
    let attempt = &history.attempts[attempt as usize - 1];
    // The stage of the report, which need not be the one that is run now.
    let stage = order.rollout.stage(&attempt.begun.stage).unwrap_or(order.stage());
    let (rollout, history) = (&order.rollout, &history);
    let case = Case { rollout, stage, history, attempt, now: at, check: &|_| None };
    let report = StageReport::of(&case, decided, name);
    let json = render::json(&report).context("a rendering failed")?;
    Ok((report, json))
}

/// Writes reports that are missing although their attempts were decided: somebody was killed in between.
///
/// # Errors
/// When one cannot be written.
pub fn publish_again(order: &Order<'_>, store: &mut Store) -> Result<(), Failure> {
    for attempt in store.history.attempts.clone() {
        let Some((ended, at)) = &attempt.ended else { continue };
        if store.has(ended) || attempt.begun.rollout_sha256 != order.sha256 {
            continue;
        }
        let (name, decided) = (&ended.report, &ended.decided);
        let (report, json) = report(order, store, attempt.begun.attempt, at, (decided, name))?;
        // Another build, or another environment, may make another report of the same lines: that would be none.
        if sha256(json.as_bytes()) != ended.report_sha256 {
            output::say(&format!(
                "warning: the report {name} is missing, and cannot be written again as it was: put its files back, or run \
                 stage {} again",
                attempt.begun.stage
            ));
            continue;
        }
        store
            .publish(&report, ended, &json)
            .map_err(|error| space::refused(&error, Folder::Stages))?;
        output::say(&format!("note: the report {name} was missing, and is written again"));
    }
    Ok(())
}

/// Tells the decision, what it rests on and what to do.
///
/// # Errors
/// When it cannot be rendered, which is a bug.
pub fn tell(stage: &args::Stage, report: &StageReport, name: &str) -> Result<Exit, Failure> {
    let path = stage.stage_dir.join(format!("{name}.md")).display().to_string();
    if stage.json {
        let json = render::json(report).map_err(|error| {
            Failure::new(Exit::Internal, format!("a rendering failed: {error}"))
        })?;
        output::verdict(json.as_bytes());
        output::say(&path);
    } else {
        let mut text = format!("{}\n{}\n", report.headline(), report.statement);
        for reason in &report.reasons {
            text.push_str(&format!("  {}  {}\n    {}\n", reason.decision, reason.why, reason.next));
        }
        text.push_str(&format!("{path}\n"));
        // Names and reasons are whoever's gave them.
        output::verdict(escape::terminal(&text).as_bytes());
    }
    Ok(match report.decision {
        Decision::Go => Exit::Go,
        Decision::NoGo => Exit::NoGo,
        Decision::Hold => Exit::Hold,
    })
}
