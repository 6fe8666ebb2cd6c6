//! What makes a run unfit to carry a verdict: the generator, the faults, the storm's exposure.
//!
//! Each function says why not, in a sentence, or nothing. Thresholds are documented beside the
//! scenario's keys.

use khala_plan::model::FaultKind;

use super::Case;
use crate::facts::FaultOutcome;
use crate::shard::metrics::Metrics;

/// Reasons that hold for the whole run.
pub fn run_reasons(case: &Case<'_>) -> Vec<String> {
    let facts = case.facts;
    let mut reasons = Vec::new();
    if facts.interrupted {
        reasons.push("the run was interrupted before its end".to_owned());
    }
    if let Some(lost) = &facts.target.lost {
        reasons.push(format!("the target went away unasked: {lost}"));
    }
    if case.settled.totals.deliveries == 0 {
        reasons.push("nothing was delivered, so nothing of it was judged".to_owned());
    }
    let acknowledged: u64 = case.settled.series.rows().map(|(_, row, _)| row.published).sum();
    if acknowledged == 0 && !case.schedule.publishes.is_empty() {
        reasons.push("not one publish was acknowledged, so none could be lost".to_owned());
    }
    reasons.extend(facts.faults.iter().filter_map(FaultOutcome::why_it_did_not_bite));
    let planned = case.schedule.arrivals.len() as u64;
    let live = case.settled.clients_live_at_end;
    if !facts.interrupted && live < planned {
        reasons.push(format!("{} of {planned} clients were not live at the end", planned - live));
    }
    let generator = &facts.generator;
    if generator.lost_threads > 0 {
        reasons.push(format!(
            "{} threads of the generator ended with a bug, and their clients' evidence is missing",
            generator.lost_threads
        ));
    }
    if generator.dropped_records > 0 {
        reasons
            .push(format!("{} records were dropped by full recorders", generator.dropped_records));
    }
    if !facts.interrupted && generator.publishes_begun < generator.publishes_planned {
        reasons.push(format!(
            "the generator began {} of {} planned publishes",
            generator.publishes_begun, generator.publishes_planned
        ));
    }
    reasons
}

/// How late the timers of the generator's latest thread were, at p99 (at the maximum, with too few
/// for a p99).
fn lag_us(metrics: &Metrics, phases: &[u16]) -> Option<u64> {
    let threads = metrics.lag(phases);
    threads.values().map(|lag| lag.percentile(99.0).unwrap_or_else(|| lag.max())).max()
}

/// Why the generator was unfit to judge a threshold of `threshold_us` over these phases.
pub fn generator_unfit(case: &Case<'_>, phases: &[u16], threshold_us: f64) -> Option<String> {
    let share_max = case.plan.generator.lag_share_max;
    let Some(lag) = lag_us(&case.settled.metrics, phases) else {
        return Some("the generator's scheduler lag was never measured in these phases".to_owned());
    };
    #[expect(clippy::cast_precision_loss, reason = "microseconds of one run")]
    let lag_us = lag as f64;
    (lag_us > share_max * threshold_us).then(|| {
        format!(
            "the generator was unfit: its scheduler lag of {:.1} ms is more than {:.0} % of the \
             threshold, {:.1} ms",
            lag_us / 1e3,
            share_max * 100.0,
            threshold_us / 1e3
        )
    })
}

/// Why faults in these phases cannot carry a verdict.
pub fn faults_unfit(case: &Case<'_>, phases: &[u16]) -> Option<String> {
    for fault in &case.schedule.faults {
        if !phases.contains(&fault.phase) {
            continue;
        }
        let Some(outcome) = case.facts.faults.iter().find(|outcome| outcome.id == fault.id) else {
            return Some(format!("fault {} left no trace", fault.id));
        };
        if let Some(reason) = outcome.why_it_did_not_bite() {
            return Some(reason);
        }
        // Only a fault that cuts clients off leaves a before and an after.
        if !matches!(fault.kind, FaultKind::Disconnect { .. } | FaultKind::Offline { .. }) {
            continue;
        }
        let needed = case.plan.oracle.storm_min_deliveries;
        match case.settled.exposures.get(&fault.id) {
            None => return Some(format!("no client recorded being cut off by fault {}", fault.id)),
            Some(exposure) if exposure.short > 0 => {
                return Some(format!(
                    "{} of {} (client, topic) pairs cut off by fault {} had fewer than {needed} \
                     deliveries before or after it",
                    exposure.short, exposure.pairs, fault.id
                ));
            }
            Some(_) => {}
        }
    }
    None
}
