//! What stands beside a figure that does not explain itself: a WARN that nothing breaks, a fault that was
//! not due, one that hit nobody because the harness stood still.

use super::units::{count, moment};
use crate::facts::FaultOutcome;
use crate::judge::{ObjectiveVerdict, Verdict};
use crate::record::Micros;
use crate::report::RunReport;

/// How long before a fault the harness may have stood still, in microseconds, for that to be why it hit less
/// than planned: orders reach clients within it.
const BEFORE_US: Micros = 1_000_000;
/// How long after it: clients act, and their proofs are waited for.
const AFTER_US: Micros = 5_000_000;

/// What would have to come for an objective that warns to pass.
pub fn objective(objective: &ObjectiveVerdict) -> Option<String> {
    let warn = objective.warn.as_deref().filter(|_| objective.verdict == Verdict::Warn)?;
    let claim = format!("the claim holds, and the stricter `{warn}` is not shown to");
    let Some(bad) = objective.warn_bad else {
        return Some(format!("{claim}: it passes once that holds too"));
    };
    let (of, samples) = (count(bad), count(objective.n));
    Some(match bad {
        0 => format!(
            "{claim}: none of {samples} samples breaks that one either, but so few do not prove it; a \
             longer phase or more clients would make it PASS"
        ),
        _ => format!("{claim}: {of} of {samples} samples break that one; with fewer it would PASS"),
    })
}

/// What a fault came to, in a word or a figure.
pub fn effective(fault: &FaultOutcome) -> String {
    match fault.effective {
        _ if !fault.applied => "not due".to_owned(),
        Some(effective) => count(effective),
        None => "unproven".to_owned(),
    }
}

/// How a fault was counted, or why it came to nothing.
pub fn fault(report: &RunReport, fault: &FaultOutcome) -> String {
    let at = moment(fault.at_us);
    if !fault.applied {
        let ended = format!("{:.1} s", report.duration_s);
        return format!("the run ended at {ended}, before its time, {at}");
    }
    let bitten = fault.why_it_did_not_bite().is_none();
    let around = fault.at_us.saturating_sub(BEFORE_US)..=fault.at_us.saturating_add(AFTER_US);
    let stall = report
        .generator
        .stalls
        .iter()
        .find(|stall| !bitten && stall.from <= *around.end() && stall.to >= *around.start());
    match stall {
        Some(stall) => format!(
            "{}; the harness itself stood still from {} to {}, when this was due: the figure says nothing of \
             the target, run it again on a machine that does nothing else",
            fault.proof,
            moment(stall.from),
            moment(stall.to)
        ),
        None if fault.effective.is_none() => {
            format!("nothing on the target's side could tell: {}", fault.proof)
        }
        None => fault.proof.clone(),
    }
}
