//! What the journal keeps of a step, against the verdict that it tells: a verdict that is better than its own facts is
//! none.

use khala_evidence::judge::{Decision, Verdict};

use super::{Case, Named, Reason};
use crate::entry::{HoldResult, Segment, StepResult};
use crate::evidence::RunSummary;
use crate::steps::HOLD;

/// The evidence of a run.
pub(super) fn run(run: &RunSummary) -> Named<'_> {
    let manifest_sha256 = run.manifest_sha256.as_deref();
    Named::Run { bundle: &run.bundle, manifest_sha256, decision: run.decision }
}

/// The evidence of a part of a hold.
pub(super) fn segment(segment: &Segment) -> Named<'_> {
    let manifest_sha256 = segment.manifest_sha256.as_deref();
    Named::Run { bundle: &segment.bundle, manifest_sha256, decision: segment.decision }
}

/// What a step's own facts say that its verdict does not.
pub(super) fn against(case: &Case<'_>, name: &str, result: &StepResult) -> Option<Reason> {
    let mut said: Vec<(Verdict, String)> = Vec::new();
    if let Some(run) = &result.run {
        said.push((run.step_verdict(), format!("its run is {}", run.decision)));
    }
    let failed = result.others.iter().find(|run| run.decision == Decision::NoGo);
    said.extend(failed.map(|run| (Verdict::Fail, format!("its run {} is NO-GO", run.bundle))));
    if let Some(command) = result.command.as_ref().filter(|command| !command.succeeded()) {
        said.push((Verdict::Fail, format!("its command ended with {}", command.end)));
    }
    let is_of_runs = name == HOLD || name.starts_with("scenario ");
    if is_of_runs && result.run.is_none() {
        said.push((Verdict::Inconclusive, "it has no run".to_owned()));
    }
    match &result.hold {
        Some(hold) => said.extend(of_hold(case, hold)),
        None if name == HOLD => {
            said.push((Verdict::Inconclusive, "it has no windows".to_owned()));
        }
        None => {}
    }
    let (worst, why) = said.into_iter().max_by_key(|(verdict, _)| *verdict)?;
    (worst > result.verdict.max(Verdict::Pass)).then(|| Reason {
        decision: if worst == Verdict::Fail { Decision::NoGo } else { Decision::Hold },
        why: format!("{name}: the journal says {}, although {why}", result.verdict),
        next: "find out what became of the journal, then run the stage again".to_owned(),
    })
}

fn of_hold(case: &Case<'_>, hold: &HoldResult) -> Vec<(Verdict, String)> {
    let mut said = Vec::new();
    let failed = hold.segments.iter().find(|segment| segment.decision == Decision::NoGo);
    said.extend(failed.map(|it| (Verdict::Fail, format!("its part {} is NO-GO", it.bundle))));
    if hold.windows.escalated {
        said.push((Verdict::Fail, "more than 25 % of the sessions failed".to_owned()));
    }
    let lines = hold.windows.indicators.iter();
    said.extend(
        lines
            .map(|line| (line.verdict, format!("`{}` is {}", line.indicator.name(), line.verdict))),
    );
    let wanted_s = case.attempt.begun.hold_s;
    let least = case.stage.hold.as_ref().map_or(1.0, |hold| hold.observed_min);
    // A variable of the environment may have made it another than it is now.
    let planned = case.stage.hold.as_ref().map(|hold| hold.length.duration().as_secs());
    let is_planned = case.attempt.begun.hold_planned_s.is_some() || planned == Some(wanted_s);
    if !is_planned {
        let why = format!(
            "it was to be {wanted_s} s, and the stage is held for {} s",
            planned.unwrap_or(0)
        );
        said.push((Verdict::Inconclusive, why));
    }
    if hold.wanted_s != wanted_s || hold.observed_s + 1e-6 < least * wanted_s as f64 {
        let why = format!("{:.0} s of {wanted_s} s were observed", hold.observed_s);
        said.push((Verdict::Inconclusive, why));
    }
    said
}
