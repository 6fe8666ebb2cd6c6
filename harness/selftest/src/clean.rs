//! `selftest --clean N`: a runtime that keeps the contract, of which nothing may be said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::case::{self, How};
use super::child::{Ended, Order};
use super::clean_result::{Clean, Line, Status};
use super::folder::Folder;
use super::pool::Job;
use super::runner::{self, Trial};
use super::{bundle, clean_page, judging, select, texts};
use crate::Args;
use crate::exit::{Exit, Failure};

/// Something to run.
struct Planned {
    /// Its place among those that are run, from 1.
    number: usize,
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
    let all = (1..=seeds).flat_map(|seed| all().into_iter().map(move |how| (how, seed)));
    let selected = select::select(selftest, all.collect(), "scenario", |(how, _)| how.scenario)?;
    let numbered = (1..).zip(selected);
    let planned: Vec<_> =
        numbered.map(|(number, (how, seed))| Planned { number, how, seed }).collect();
    let folder = Folder::make(selftest, "clean")?;
    let (sitting, runs) = runner::sit(selftest, &folder, &planned)?;
    let clean = Clean::of(sitting, runs, planned.len());
    folder.conclude(&clean_page::page(&clean), &clean)?;
    Ok(clean.exit())
}

impl Trial for Planned {
    type Work = Order;
    type Line = Line;

    fn folder(&self) -> String {
        format!("{:03}-{}", self.number, self.how.scenario)
    }

    fn job(&self, folder: &Folder, of_run: PathBuf) -> Job<Order> {
        let order = Order { seed: Some(self.seed.into()), ..folder.order(&self.how, of_run) };
        Job { work: order, alone: self.how.alone }
    }

    fn line(&self, ended: Ended) -> Option<Line> {
        let judged = ended.judged(|dir| judged(self, dir))?;
        Some(judged.unwrap_or_else(|why| without_a_run(self, why)))
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
        let all: Vec<_> =
            all().into_iter().map(|how| Planned { number: 1, how, seed: 1 }).collect();
        let names: BTreeSet<_> = all.iter().map(Planned::name).collect();
        assert_eq!(names.len(), all.len());
    }
}
