//! What stands beside a figure that does not explain itself: a WARN that nothing breaks, a fault that was
//! not due, one that hit nobody because the harness stood still.

use super::units::{count, counted, moment};
use crate::facts::FaultOutcome;
use crate::judge::{ObjectiveVerdict, Verdict};
use crate::record::Micros;
use crate::report::RunReport;
use crate::shard::absence::Absence;
use crate::shard::stalls::Stall;
use crate::shard::whereabouts::Whereabouts;

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
pub fn effective(report: &RunReport, fault: &FaultOutcome) -> String {
    match fault.effective {
        _ if why_not_reached(report, fault).is_some() => "not reached".to_owned(),
        Some(effective) => count(effective),
        None => "unproven".to_owned(),
    }
}

/// Why a fault never happened, if it did not: the run ended before it was due, or the target was away by then
/// although nobody had planned that.
pub fn why_not_reached(report: &RunReport, fault: &FaultOutcome) -> Option<String> {
    let at = moment(fault.at_us);
    if !fault.applied {
        let ended = format!("{:.1} s", report.duration_s);
        return Some(format!("the run ended at {ended}, before its time, {at}"));
    }
    if fault.effective.unwrap_or(0) > 0 {
        return None;
    }
    let away = away_when_due(report, fault)?;
    let (what, from) = (what_of_away(away), moment(away.from_us));
    Some(format!("{what} from {from} on, when this was due, {at}"))
}

/// The unplanned absence of the target in which a fault fell due.
pub fn away_when_due<'a>(report: &'a RunReport, fault: &FaultOutcome) -> Option<&'a Absence> {
    report.target.absences.iter().find(|absence| {
        !absence.planned
            && absence.from_us <= fault.at_us
            && absence.until_us.is_none_or(|until| fault.at_us < until)
    })
}

/// What an absence is called in a clause.
pub fn what_of_away(absence: &Absence) -> &'static str {
    match absence.only_sockets {
        true => "nothing came over any socket",
        false => "the target was away",
    }
}

/// Where the clients were that a fault did not hit, as far as their records tell.
pub fn elsewhere(report: &RunReport, fault: &FaultOutcome) -> Option<String> {
    let here = report.whereabouts.get(&fault.id)?;
    let short = fault.effective.is_some_and(|effective| effective < fault.planned);
    let Whereabouts { connected, not_yet, cut_by, away, retired } = here;
    if !short || *connected >= fault.planned {
        return None;
    }
    let name = |id: u16| match report.faults.iter().find(|fault| fault.id == id) {
        Some(FaultOutcome { kind, at_us, .. }) => {
            format!("fault {id}, {kind} at {}", moment(*at_us))
        }
        None => format!("fault {id}"),
    };
    let mut told = vec![format!("{} connected", counted(*connected, "was", "were"))];
    told.extend(cut_by.iter().map(|(id, n)| format!("{} not back from {}", count(*n), name(*id))));
    for (n, how) in [
        (not_yet, "not connected yet"),
        (away, "without a connection for another reason"),
        (retired, "out of the run"),
    ] {
        if *n > 0 {
            told.push(format!("{} {how}", count(*n)));
        }
    }
    Some(format!("of the clients that it was aimed at, when it was due, {}", told.join(", ")))
}

/// When the harness itself stood still as a fault fell short.
pub fn stood_still<'a>(report: &'a RunReport, fault: &FaultOutcome) -> Option<&'a Stall> {
    let bitten = fault.why_it_did_not_bite().is_none();
    let around = fault.at_us.saturating_sub(BEFORE_US)..=fault.at_us.saturating_add(AFTER_US);
    let mut stalls = report.generator.stalls.iter();
    stalls.find(|stall| !bitten && stall.from <= *around.end() && stall.to >= *around.start())
}

/// How a fault was counted, or why it came to nothing.
pub fn fault(report: &RunReport, fault: &FaultOutcome) -> String {
    if let Some(why) = why_not_reached(report, fault) {
        return why;
    }
    let elsewhere = elsewhere(report, fault).map(|told| format!("; {told}")).unwrap_or_default();
    match stood_still(report, fault) {
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
        None => format!("{}{elsewhere}", fault.proof),
    }
}
