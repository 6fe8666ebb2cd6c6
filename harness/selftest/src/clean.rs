//! `selftest --clean N`: a runtime that keeps the contract, of which nothing may be said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use khala_bundle::utc_now;

use super::case::{self, How};
use super::child::{Ended, Order};
use super::clean_result::{Clean, Line, Status};
use super::pool::Job;
use super::{Folder, bundle, clean_page, discard, judging, run_jobs, select, texts};
use crate::exit::{Exit, Failure};
use crate::{Args, output};

/// Something to run.
struct Planned {
    how: How,
    seed: u32,
}

impl Planned {
    /// Unique among them.
    fn name(&self) -> String {
        [vec![self.how.title()], self.how.set.iter().map(|set| (*set).to_owned()).collect()]
            .concat()
            .join(" ")
    }
}

/// Every shipped scenario, every one of our own, and whatever else the matrix runs: what condemns a
/// defect must not condemn a runtime that has none.
fn all() -> Vec<How> {
    let shipped = texts::SHIPPED.iter().map(|text| How::smoke(text.name()));
    let own = texts::OWN.iter().map(|text| How::whole(text.name()));
    let matrix = case::rows().into_iter().map(|row| row.how);
    let mut seen = BTreeSet::new();
    shipped
        .chain(own)
        .chain(matrix)
        .filter(|how| seen.insert((how.scenario, how.profile, how.set)))
        .collect()
}

/// Runs all of it.
pub fn run(selftest: &Args, seeds: u32) -> Result<Exit, Failure> {
    let all: Vec<Planned> = (1..=seeds)
        .flat_map(|seed| all().into_iter().map(move |how| Planned { how, seed }))
        .collect();
    let planned = select::select(selftest, all, "scenario", |planned| planned.how.scenario)?;
    let (started_at, began) = (utc_now(), Instant::now());
    let folder = Folder::make(selftest, "clean", &started_at)?;
    let folder_of =
        |index: usize| folder.of_run(&format!("{:03}-{}", index + 1, planned[index].how.scenario));
    let jobs = (0..planned.len()).map(|index| job(&planned[index], &folder, folder_of(index)));
    let jobs = jobs.collect();
    let mut lines: Vec<Option<Line>> = planned.iter().map(|_| None).collect();
    let mut finished = 0;
    let interrupted = run_jobs(jobs, selftest.jobs.into(), |index, ended| {
        let Some(line) = line(&planned[index], ended) else { return };
        finished += 1;
        output::say(&clean_page::progress(&line, finished, planned.len(), began.elapsed()));
        let settled = line.status == Status::Clean && !folder.keep;
        if settled {
            discard(&folder_of(index));
        }
        lines[index] = Some(Line { run_dir: line.run_dir.filter(|_| !settled), ..line });
    })?;
    let lines: Vec<Line> = lines.into_iter().flatten().collect();
    let mut clean = Clean::of(lines, planned.len(), interrupted);
    clean.started_at = started_at;
    clean.whole = super::is_whole(selftest);
    clean.build = super::build();
    clean.elapsed_s = began.elapsed().as_secs_f64();
    folder.conclude("clean", &clean_page::page(&clean), &clean)?;
    Ok(clean.exit())
}

fn job(planned: &Planned, folder: &Folder, of_run: PathBuf) -> Job<Order> {
    let order = folder.order(&planned.how, of_run);
    let order = Order { seed: Some(planned.seed.into()), ..order };
    Job { work: order, alone: planned.how.alone }
}

/// What came of a run; nothing when it was ended before its time.
fn line(planned: &Planned, ended: Ended) -> Option<Line> {
    match ended {
        Ended::Interrupted => None,
        Ended::Overdue(why) | Ended::Failed { why, .. } => Some(without_a_run(planned, why)),
        Ended::Judged(dir) => {
            let line = judged(planned, &dir);
            Some(line.unwrap_or_else(|error| without_a_run(planned, format!("{error:#}"))))
        }
    }
}

fn without_a_run(planned: &Planned, why: String) -> Line {
    Line::without_a_run(planned.name(), planned.seed, why)
}

fn judged(planned: &Planned, dir: &Path) -> anyhow::Result<Line> {
    let report = bundle::report(dir)?;
    let violations = report.oracle.violations.values().sum();
    let gates: Vec<String> = judging::failed_gates(&report).map(str::to_owned).collect();
    let status = Status::of(report.decision, violations, &gates);
    Ok(Line {
        status,
        decision: Some(report.decision),
        deliveries: report.oracle.deliveries,
        violations,
        gates,
        run_dir: Some(dir.display().to_string()),
        reason: report.reasons.first().cloned().filter(|_| status != Status::Clean),
        ..without_a_run(planned, String::new())
    })
}

#[cfg(test)]
mod tests {
    use khala_plan::fault::REGISTRY;

    use super::*;

    #[test]
    fn every_shipped_scenario_is_run() {
        let run: BTreeSet<_> = all().iter().map(|how| how.scenario).collect();
        for text in texts::SHIPPED.iter().chain(texts::OWN) {
            assert!(run.contains(text.name()), "{}", text.name());
        }
    }

    #[test]
    fn every_type_of_fault_is_in_some_run() {
        let mut used = BTreeSet::new();
        for how in all() {
            let plan =
                texts::tests::load(texts::tests::of(how.scenario), how.profile, how.set).plan;
            let faults = plan.phases.iter().flat_map(|phase| &phase.faults);
            used.extend(faults.map(|fault| fault.kind.name()));
        }
        for fault in REGISTRY {
            assert!(used.contains(fault.name), "no clean run has a `{}`", fault.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let all: Vec<_> = all().into_iter().map(|how| Planned { how, seed: 1 }).collect();
        let names: BTreeSet<_> = all.iter().map(Planned::name).collect();
        assert_eq!(names.len(), all.len());
    }
}
