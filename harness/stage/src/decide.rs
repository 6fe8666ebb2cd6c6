//! Whether to go on: from what was written down to GO, NO-GO or HOLD.
//!
//! Closed unless opened: whatever is missing, old, of another build, not observed or not asked makes a HOLD, and
//! whatever failed a NO-GO. A GO is what is left.

mod again;
mod facts;
mod predecessor;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use khala_evidence::judge::{Decision, Verdict};
use khala_plan::rollout::{HoldLength, Rollout, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use again::{again, differences};
pub use predecessor::{Opened, predecessor};

use crate::builds::Shown;
use crate::entry::{StepResult, Waived};
use crate::evidence::{GateLine, ObjectiveLine, RunSummary};
use crate::history::{Attempt, History, StepRun};
use crate::journal::Head;
use crate::stamp::Stamp;
use crate::{steps, untested};

/// What a decision is drawn from.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The rollout.
    pub rollout: &'a Rollout,
    /// The stage.
    pub stage: &'a Stage,
    /// Everything that was written down.
    pub history: &'a History,
    /// The attempt that is decided.
    pub attempt: &'a Attempt,
    /// Now.
    pub now: &'a Stamp,
    /// What is wrong with something on disk that the journal names; `None` where it is what the journal says.
    pub check: &'a dyn Fn(Named<'_>) -> Option<String>,
}

/// Something on disk that the journal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// The evidence of a run.
    Run {
        /// Its folder.
        bundle: &'a str,
        /// SHA-256 of its manifest, in hex; `None` of a run that was killed.
        manifest_sha256: Option<&'a str>,
        /// What it found.
        decision: Decision,
    },
    /// The samples of the build that an attempt's hold was told.
    Samples {
        /// The attempt.
        attempt: u32,
        /// Up to where they were written.
        head: &'a Head,
    },
    /// The report of an attempt.
    Report {
        /// Without the end of its name.
        name: &'a str,
        /// SHA-256 of its JSON, in hex.
        sha256: &'a str,
    },
}

/// Why it is not GO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// What follows from it: NO-GO or HOLD.
    pub decision: Decision,
    /// In a sentence.
    pub why: String,
    /// What to do.
    pub next: String,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// GO, NO-GO or HOLD.
    pub decision: Decision,
    /// Why, when it is not GO: what fails first.
    pub reasons: Vec<Reason>,
    /// Waivers by which a WARN was passed over.
    pub used: Vec<String>,
    /// Waivers that did not count, with why.
    pub unused: Vec<String>,
    /// How the stage before opened this one.
    pub opened: Opened,
}

/// Draws the decision.
#[must_use]
pub fn decide(case: &Case<'_>) -> Decided {
    decide_opened(case, predecessor(case))
}

/// Draws the decision on an attempt that the stage before opened so.
fn decide_opened(case: &Case<'_>, opened: Opened) -> Decided {
    let mut reasons = Vec::new();
    if let Opened::Not { why, next } = &opened {
        reasons.push(hold(why, next));
        if case.attempt.runs.is_empty() {
            // Nothing was asked of the canary, so that nothing is missing.
            let (used, unused) = (Vec::new(), Vec::new());
            return Decided { decision: Decision::Hold, reasons, used, unused, opened };
        }
    }
    let mut set_back = case.attempt.set_back.clone();
    set_back.extend(case.now.since(&case.attempt.last).err());
    reasons.extend(set_back.iter().map(|why| {
        hold(
            why,
            "have the machine's time kept (NTP), then run the stage again: its times prove nothing",
        )
    }));
    // A clock that was set back makes no waiver good again.
    let now_ms = case.now.unix_ms.max(case.history.latest_ms());
    let waivers = Waivers::of(&case.attempt.begun.waivers, now_ms);
    let mut used = Vec::new();
    let mut missing = Vec::new();
    let before_steps = reasons.len();
    for step in steps::of(case.rollout, case.stage) {
        let name = step.name();
        match case.attempt.result(&name) {
            None => missing.push(format!("`{name}`")),
            Some(result) => of_step(case, &name, result, &waivers, &mut reasons, &mut used),
        }
    }
    let all_carried_out = missing.is_empty();
    if !all_carried_out {
        // What was left out for what was found before is no reason of its own: the report names it.
        if reasons.len() == before_steps {
            let next = "take the stage up again with --resume, or run it again";
            reasons.push(hold(format!("not carried out to its end: {}", missing.join(", ")), next));
        }
    }
    if case.stage.preconditions.is_empty() {
        reasons.push(hold(
            "the stage asks no precondition",
            "name the runbook's preconditions (section 1) in `preconditions` of the stage, or leave the key out: then it \
             asks all that the rollout file has",
        ));
    }
    reasons.extend(builds(case));
    reasons.extend(too_old(case.rollout, case.stage, case.attempt, case.now));
    // What was left out could have judged them.
    if all_carried_out {
        reasons.extend(gates(case));
    }
    reasons.sort_by_key(|reason| reason.decision != Decision::NoGo);
    let decision = match reasons.first() {
        None => Decision::Go,
        Some(first) => first.decision,
    };
    let mut unused = waivers.expired;
    let idle = waivers.good.iter().filter(|waiver| !used.contains(&told(waiver)));
    unused.extend(idle.map(|waiver| format!("{}: nothing warned that it covers", told(waiver))));
    Decided { decision, reasons, used, unused, opened }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Business days do not follow each other over a weekend: by how much longer a hold over them may take, holidays apart.
const BUSINESS_DAYS: Duration = Duration::from_secs(4 * 24 * 3600);

/// Whether the first step that counts is older than a GO may be and the hold takes: then nobody knows whether it would
/// still come to the same.
#[must_use]
pub fn too_old(rollout: &Rollout, stage: &Stage, attempt: &Attempt, now: &Stamp) -> Option<Reason> {
    let counts = |run: &&StepRun| run.ended.is_some() || run.step == steps::HOLD;
    let first = attempt.runs.iter().find(counts)?;
    // A clock that was set back is told by itself.
    let age_ms = now.age_of(&first.at).ok()?;
    let planned = stage.hold.as_ref().filter(|_| attempt.begun.hold_planned_s.is_none());
    let more = match planned.map(|hold| &hold.length) {
        Some(HoldLength::BusinessDay { holidays, .. }) => {
            BUSINESS_DAYS + DAY * u32::try_from(holidays.len()).unwrap_or(u32::MAX).min(366)
        }
        Some(HoldLength::Time(_)) | None => Duration::ZERO,
    };
    let most = rollout.fresh + Duration::from_secs(attempt.begun.hold_s) + more;
    let most_ms = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
    (age_ms > most_ms).then(|| {
        let hours = |ms: i64| ms as f64 / 3.6e6;
        hold(
            format!(
                "`{}` is {:.1} hours old, and no more than {:.1} are fresh, the hold included",
                first.step,
                hours(age_ms),
                hours(most_ms)
            ),
            "begin a new attempt, without --resume",
        )
    })
}

impl Reason {
    /// One by which it is a HOLD.
    #[must_use]
    pub fn hold(why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { decision: Decision::Hold, why: why.into(), next: next.into() }
    }
}

fn hold(why: impl Into<String>, next: impl Into<String>) -> Reason {
    Reason::hold(why, next)
}

/// What follows from one step.
fn of_step(
    case: &Case<'_>,
    name: &str,
    result: &StepResult,
    waivers: &Waivers,
    reasons: &mut Vec<Reason>,
    used: &mut Vec<String>,
) {
    let next = result.next.clone().unwrap_or_else(|| "see the step in the report".to_owned());
    let why = || match &result.failed {
        Some(failed) => format!("{name}: {}", failed.measured),
        None => format!("{name}: {}", result.what),
    };
    match result.verdict {
        Verdict::Fail => {
            reasons.push(Reason { decision: Decision::NoGo, why: why(), next });
        }
        Verdict::Inconclusive => reasons.push(hold(why(), next)),
        Verdict::Warn => {
            let covering = waivers.covering_all(result.runs());
            for waiver in covering.iter().flatten() {
                if !used.contains(&told(waiver)) {
                    used.push(told(waiver));
                }
            }
            if covering.is_none() {
                reasons.push(hold(
                    why(),
                    "mend it, or have somebody take it on: --waivers FILE with gate, owner, reason and expires",
                ));
            }
        }
        Verdict::Pass | Verdict::NotApplicable => {}
    }
    if let Some(run) = &result.run {
        reasons.extend(of_run(case, name, run));
    }
    let segments = result.hold.iter().flat_map(|hold| &hold.segments).map(facts::segment);
    let mut looked_at: Vec<Named<'_>> = result.run.iter().map(|run| facts::run(run)).collect();
    for evidence in result.others.iter().map(facts::run).chain(segments) {
        if looked_at.contains(&evidence) {
            continue;
        }
        looked_at.push(evidence);
        let why = (case.check)(evidence);
        reasons.extend(why.map(|why| hold(format!("{name}: {why}"), AGAIN)));
    }
    if let Some(head) = result.hold.as_ref().and_then(|hold| hold.samples.as_ref()) {
        let samples = Named::Samples { attempt: case.attempt.begun.attempt, head };
        let why = (case.check)(samples);
        reasons.extend(why.map(|why| hold(format!("{name}: {why}"), AGAIN)));
    }
    reasons.extend(facts::against(case, name, result));
}

const AGAIN: &str = "run the stage again: what it was decided by is no longer there as it was";

/// What is wrong with the evidence of a run, whatever it says.
fn of_run(case: &Case<'_>, name: &str, run: &RunSummary) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !run.finished {
        reasons
            .push(hold(format!("{name}: its run did not come to its end"), "run the stage again"));
    }
    if run.manifest_sha256.is_none() {
        reasons.push(hold(
            format!("{name}: its evidence has no manifest, so that nothing vouches for it"),
            AGAIN,
        ));
    } else if let Some(why) = (case.check)(facts::run(run)) {
        reasons.push(hold(format!("{name}: {why}"), AGAIN));
    }
    if run.deliveries == 0 && run.decision == Decision::Go {
        reasons.push(hold(
            format!("{name}: nothing was delivered"),
            "give it a load that is delivered",
        ));
    }
    match &run.fanout {
        None if case.stage.canary.metrics => reasons.push(hold(
            format!("{name}: the target showed no fan-out metrics"),
            "give the admin token (KHALA_TARGET_ADMIN_TOKEN); of a target that has none, say `metrics = false`",
        )),
        _ => {}
    }
    let contradictions = run.fanout.iter().flat_map(|fanout| &fanout.contradictions);
    reasons.extend(contradictions.map(|why| {
        hold(
            format!("{name}: target and clients contradict each other: {why}"),
            "find out which of them is right before anything is decided by either",
        )
    }));
    reasons
}

/// Every build that was seen in the attempt, against the one that is to be there.
fn builds(case: &Case<'_>) -> Vec<Reason> {
    let observed_min = case.stage.hold.as_ref().map_or(1.0, |hold| hold.observed_min);
    Shown::of(case.attempt).open(case.attempt.begun.build.as_deref(), observed_min)
}

/// Gates that must have been judged and passed somewhere in the stage.
fn gates(case: &Case<'_>) -> Vec<Reason> {
    let results = case.attempt.runs.iter().filter_map(|run| run.ended.as_ref());
    let mut runs: Vec<&RunSummary> = Vec::new();
    for (result, _) in results {
        // One that was cut need not have come to what a gate asks.
        runs.extend(result.others.iter().filter(|run| run.verdict <= Verdict::Warn));
        runs.extend(result.run.as_deref());
    }
    let gates = || runs.iter().flat_map(|run| &run.gates).filter(|gate| !gate.advisory);
    let judged = |name: &str| {
        gates().any(|gate| {
            gate.name == name && gate.verdict.is_some_and(|it| it != Verdict::NotApplicable)
        })
    };
    let mut reasons = Vec::new();
    if case.stage.must_apply.is_empty() {
        reasons.push(hold(
            "the stage names no gate that must apply",
            "name the runbook's gates in `must_apply` of the stage",
        ));
    }
    let is_gate = |name: &str| gates().any(|gate| gate.name == name);
    let objectives =
        || gates().filter(|gate| gate.verdict.is_some()).flat_map(|gate| gate.judged());
    let untested = untested::objectives(&runs);
    for name in &case.stage.must_apply {
        // A gate's name is every objective of it, as in the `must_apply` of a scenario.
        let of_it = untested.iter().filter(|(_, gate, one)| match is_gate(name) {
            true => gate.name == *name,
            false => one.is_called(name),
        });
        let before = reasons.len();
        reasons.extend(of_it.map(|(run, gate, one)| must_apply(name, run, gate, one)));
        let is_judged = match is_gate(name) {
            true => judged(name),
            false => objectives().any(|one| one.is_called(name)),
        };
        if !is_judged && reasons.len() == before {
            let what = if is_gate(name) { "the gate" } else { "the gate, rule or metric" };
            reasons.push(hold(
                format!("{what} `{name}` was judged in no run of the stage"),
                "add a scenario that exercises it, or look why the one that should did not run",
            ));
        }
    }
    reasons
}

/// Of an objective that must apply and that no run exercised.
fn must_apply(name: &str, run: &RunSummary, gate: &GateLine, one: &ObjectiveLine) -> Reason {
    let others: Vec<String> = gate
        .judged()
        .map(|one| one.selector.strip_prefix("rule=").unwrap_or(&one.metric))
        .map(|name| format!("`{name}`"))
        .collect();
    let narrower = match others.first() {
        Some(first) if gate.name == name => format!(
            "; or, if it need not be shown here, name in `must_apply` not the gate but what of it must be: {first}"
        ),
        _ => String::new(),
    };
    hold(
        format!(
            "`{name}` must apply, and `{} / {}` was exercised in no run of the stage: {}: {}",
            gate.name,
            one.name(),
            run.scenario,
            one.reason
        ),
        format!(
            "run a scenario, or a profile of {}, that exercises it (`khala-harness check` says whether one does){narrower}",
            run.scenario
        ),
    )
}

/// Waivers, by whether they count.
struct Waivers {
    good: Vec<Waived>,
    expired: Vec<String>,
}

impl Waivers {
    fn of(given: &[Waived], now_ms: i64) -> Self {
        let mut waivers = Self { good: Vec::new(), expired: Vec::new() };
        for waiver in given {
            match expires_ms(&waiver.expires) {
                Ok(until) if until > now_ms => waivers.good.push(waiver.clone()),
                Ok(_) => waivers.expired.push(format!("{}: it has expired", told(waiver))),
                Err(why) => waivers.expired.push(format!("{}: {why}", told(waiver))),
            }
        }
        waivers
    }

    fn covering(&self, gate: &str, metric: &str) -> Option<&Waived> {
        self.good.iter().find(|waiver| {
            waiver.gate == gate && waiver.metric.as_deref().is_none_or(|it| it == metric)
        })
    }

    /// The waivers that cover everything that some runs warn of; `None` where they do not, or nothing says what it is.
    fn covering_all<'a>(&self, runs: impl Iterator<Item = &'a RunSummary>) -> Option<Vec<&Waived>> {
        let warnings = runs.flat_map(|run| run.objectives(Verdict::Warn));
        let covering = warnings.map(|(gate, one)| self.covering(&gate.name, &one.metric));
        let all: Vec<_> = covering.collect::<Option<_>>()?;
        (!all.is_empty()).then_some(all)
    }
}

/// Whether waivers that have not expired cover everything that a run warns of.
#[must_use]
pub fn is_waived(given: &[Waived], now: &Stamp, run: &RunSummary) -> bool {
    Waivers::of(given, now.unix_ms).covering_all(std::iter::once(run)).is_some()
}

/// A waiver in a line.
fn told(waiver: &Waived) -> String {
    let metric = waiver.metric.as_ref().map_or_else(String::new, |metric| format!(" / {metric}"));
    let Waived { gate, owner, reason, expires, .. } = waiver;
    format!("{gate}{metric}, by {owner} until {expires}: {reason}")
}

/// When a waiver ends, in milliseconds since 1970: at a moment, or with a day (UTC).
///
/// # Errors
/// When the text is neither.
pub fn expires_ms(text: &str) -> Result<i64, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    let day = Duration::from_secs(24 * 3600).as_millis();
    let wrong = || format!("`{}` is neither a date nor a moment (RFC 3339)", text.escape_debug());
    let date: Date = text.parse().map_err(|_| wrong())?;
    let begins = date.to_zoned_datetime(TimeZone::UTC).map_err(|_| wrong())?;
    Ok(begins.timestamp().as_millisecond() + i64::try_from(day).unwrap_or_default())
}
