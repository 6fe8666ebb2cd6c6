//! What was tried, for people who know no fault by its name.

use khala_plan::model::ActsOn;

use super::super::beside;
use super::super::units::{clients, count, moment};
use crate::facts::{FaultOutcome, RestsOn};
use crate::report::RunReport;

/// Faults that are told; the rest is below.
const FAULTS_MAX: usize = 4;

/// What a fault does, for people who do not know its name.
fn disturbance(kind: &str, n: u64) -> String {
    khala_plan::fault::of(kind)
        .map_or_else(|| format!("{kind} of {}", clients(n)), |kind| (kind.told)(&clients(n), n))
}

/// What was tried, in a few sentences.
pub fn tried(report: &RunReport) -> String {
    let all: u64 = report.fleet.clients.values().sum();
    let surfaces = report.fleet.clients.iter().filter(|(_, n)| **n > 0);
    let surfaces: Vec<_> =
        surfaces.map(|(surface, n)| format!("{} {}", count(*n), surface.name())).collect();
    let target = match report.target.kind.as_str() {
        "reference" => "the reference runtime that is built in".to_owned(),
        _ => report.target.url.clone(),
    };
    let whole = report.phases.last().map_or(0, |phase| phase.end_us);
    let whole = match report.interrupted || !report.finished {
        // The last phase is that in which the topics run dry: it ends as soon as they have.
        true => format!(" of at most {}", moment(whole)),
        false => String::new(),
    };
    let description = report.scenario.description.as_deref().map(str::trim).unwrap_or_default();
    let mut text = String::new();
    if !description.is_empty() {
        let stop = if description.ends_with(['.', '!', '?']) { "" } else { "." };
        text = format!("{description}{stop} ");
    }
    text += &format!(
        "{} ({}) for {:.1} s{whole} against {target}",
        clients(all),
        surfaces.join(", "),
        report.duration_s
    );
    if report.fleet.left_by_plan > 0 {
        text += &format!(
            ", at most {} at once, of which {} left on the way by plan",
            count(report.fleet.clients_peak),
            count(report.fleet.left_by_plan)
        );
    }
    if report.target.passive {
        text += ". It was passive: nothing was written, and what others write was judged";
    }
    let mut faults: Vec<_> = report.faults.iter().collect();
    faults.sort_by_key(|fault| fault.at_us);
    let told = faults.iter().take(FAULTS_MAX).map(|fault| {
        let at = moment(fault.at_us);
        let came_to = match (beside::why_not_reached(report, fault), fault.effective) {
            (Some(_), _) if fault.applied => {
                let away = beside::away_when_due(report, fault).map(beside::what_of_away);
                format!(" (not reached: {})", away.unwrap_or("the target was away"))
            }
            (Some(_), _) => " (not reached: the run ended before)".to_owned(),
            (None, Some(hit)) if hit < fault.planned => {
                format!(" ({})", fell_short(report, fault, hit))
            }
            (None, _) => String::new(),
        };
        format!("at {at} {}{came_to}", disturbance(&fault.kind, fault.planned))
    });
    let told: Vec<_> = told.collect();
    let more = match faults.len().saturating_sub(FAULTS_MAX) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    match told.is_empty() {
        true => text + ". Nothing was disturbed on purpose.",
        false => format!("{text}. On purpose: {}{more}.", told.join("; ")),
    }
}

/// What befell where less was hit than planned, in a clause: what is counted need not be what it is called by.
fn fell_short(report: &RunReport, fault: &FaultOutcome, hit: u64) -> String {
    if fault.was_not_switched_on() {
        return "by hand, and nobody switched it on".to_owned();
    }
    let on_target =
        khala_plan::fault::of(&fault.kind).is_some_and(|it| it.acts_on == ActsOn::Target);
    if on_target && hit == 0 {
        return "which did not happen".to_owned();
    }
    let were_there =
        beside::elsewhere(report, fault).is_none() && beside::stood_still(report, fault).is_none();
    match (fault.rests_on, hit) {
        (Some(RestsOn::Windows), 0) if were_there => {
            "with their own cursors: those that were to be tried had no place on the target"
                .to_owned()
        }
        (Some(RestsOn::Windows), some) if were_there => format!(
            "{} with the cursors that were to be tried, the others with their own: those had no place on the target",
            count(some)
        ),
        (Some(RestsOn::Windows), some) => {
            format!("with the cursors that were to be tried {}", count(some))
        }
        (_, some) => format!("in fact {}", count(some)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_words_of_its_own() {
        for kind in khala_plan::fault::REGISTRY {
            let name = kind.name;
            assert!(!disturbance(name, 3).contains(" of 3 clients"), "{name}");
        }
    }
}
