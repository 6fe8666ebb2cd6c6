//! What a run left: its report, how often its defect acted, and when it was noticed.

use std::path::Path;

use anyhow::Context as _;
use khala_evidence::judge::Verdict;
use khala_evidence::report::RunReport;
use khala_wire::metrics::FanoutMetrics;
use serde::Serialize;

/// Reads a bundle's report.
///
/// # Errors
/// When there is none, or another version of it.
pub fn report(dir: &Path) -> anyhow::Result<RunReport> {
    Ok(khala_bundle::summary(dir)?)
}

/// How often a defect acted, by the target's own metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acting {
    /// Times, over all of the target's lives.
    pub times: u64,
    /// Seconds into the run of the last snapshot in which it had not acted yet.
    pub not_before_s: f64,
}

/// Reads how often a defect acted; `None` when the target's metrics do not say.
///
/// # Errors
/// When the bundle's snapshots cannot be read.
pub fn acting(dir: &Path, defect: &str, duration_s: f64) -> anyhow::Result<Option<Acting>> {
    let folder = dir.join("metrics");
    let cannot = || format!("cannot read {}", folder.display());
    let mut counts = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let Some(at_s) = taken_at(stem, duration_s) else { continue };
        let cannot = || format!("cannot read {}", path.display());
        let bytes = std::fs::read(&path).with_context(cannot)?;
        let metrics: FanoutMetrics = serde_json::from_slice(&bytes).with_context(cannot)?;
        let acted = metrics.defects_acted.and_then(|acted| acted.get(defect).copied());
        counts.extend(acted.map(|count| (at_s, count)));
    }
    Ok(total(counts))
}

/// When a snapshot was taken, in seconds of the run, by its name.
fn taken_at(stem: &str, duration_s: f64) -> Option<f64> {
    match stem {
        "before" => Some(0.0),
        "after" | "left" => Some(duration_s),
        during => during.strip_prefix("during-")?.parse().ok(),
    }
}

/// Adds up a counter that begins again at 0 when the target does.
fn total(mut counts: Vec<(f64, u64)>) -> Option<Acting> {
    counts.sort_by(|one, other| one.0.total_cmp(&other.0));
    counts.first()?;
    let (mut times, mut last, mut not_before_s) = (0, 0, 0.0);
    for (at_s, count) in counts {
        times += count.checked_sub(last).unwrap_or(count);
        last = count;
        if times == 0 {
            not_before_s = at_s;
        }
    }
    Some(Acting { times, not_before_s })
}

/// When a primary was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// Seconds into the run.
    pub at_s: f64,
    /// What happened then.
    pub by: By,
}

/// What noticing something consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A rule: its first violation.
    Violation,
    /// A gate: the end of the phases that its first failed objective reads.
    PhaseEnd,
}

/// When the primary, a rule or `gate:NAME`, was first raised in a run.
pub fn detection(report: &RunReport, primary: &str) -> Option<Detection> {
    if let Some(gate) = primary.strip_prefix("gate:") {
        let gate = report.gates.iter().find(|found| found.name == gate)?;
        let failed = gate.objectives.iter().filter(|o| o.verdict == Verdict::Fail);
        let ends = failed.map(|objective| read_until_s(report, &objective.during));
        return ends.min_by(f64::total_cmp).map(|at_s| Detection { at_s, by: By::PhaseEnd });
    }
    let kept = report.oracle.kept.iter().filter(|violation| violation.rule.name() == primary);
    let at_us = kept.map(|violation| violation.at_us).min()?;
    Some(Detection { at_s: seconds(at_us), by: By::Violation })
}

/// The end of the last of these phases; of the run, when none is named.
fn read_until_s(report: &RunReport, during: &[String]) -> f64 {
    let read = report.phases.iter().filter(|phase| during.contains(&phase.name));
    read.map(|phase| phase.end_us).max().map_or(report.duration_s, seconds)
}

fn seconds(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_acted_after_the_last_snapshot_that_does_not_show_it() {
        let counts = vec![(9.0, 7), (0.0, 0), (2.0, 0), (3.0, 4)];
        assert_eq!(total(counts), Some(Acting { times: 7, not_before_s: 2.0 }));
        let never = vec![(0.0, 0), (9.0, 0)];
        assert_eq!(total(never), Some(Acting { times: 0, not_before_s: 9.0 }));
        assert_eq!(total(Vec::new()), None, "metrics that say nothing are not a zero");
    }

    #[test]
    fn what_acted_before_a_restart_counts_too() {
        let counts = vec![(0.0, 0), (1.0, 5), (2.0, 0), (3.0, 2)];
        assert_eq!(total(counts), Some(Acting { times: 7, not_before_s: 0.0 }));
    }

    #[test]
    fn snapshots_are_dated_by_their_names() {
        assert_eq!(taken_at("before", 30.0), Some(0.0));
        assert_eq!(taken_at("during-0012", 30.0), Some(12.0));
        assert_eq!(taken_at("after", 30.0), Some(30.0));
        assert_eq!(taken_at("notes", 30.0), None);
    }
}
