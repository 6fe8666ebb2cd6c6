//! `selftest --clean N`: a runtime that keeps the contract, of which nothing may be said.

use std::collections::BTreeSet;
use std::time::Instant;

use khala_evidence::judge::Decision;
use serde::Serialize;

use super::case::{self, How};
use super::child::{Ended, Order};
use super::pool::Job;
use super::{Folder, bundle, clean_page, discard, judging, run_jobs, select, texts};
use crate::args;
use crate::commands::run::utc_now;
use crate::exit::{Exit, Failure};

/// Version of `clean.json`.
const VERSION: u32 = 1;

/// Nothing in n trials bounds the rate below this over n, with 95 % confidence: the rule of three
/// (Hanley and Lippman-Hand, JAMA 249:1743, 1983).
const THREE: f64 = 3.0;

/// `clean.json`.
#[derive(Debug, Serialize)]
pub struct Clean {
    version: u32,
    tool: &'static str,
    started_at: String,
    /// Wall time, in seconds.
    pub elapsed_s: f64,
    /// Whether a signal ended it; runs that were not finished then are not listed.
    pub interrupted: bool,
    /// Over all runs.
    pub totals: Totals,
    /// The runs.
    pub runs: Vec<Line>,
}

/// Sums, and what they bound.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Runs that were to be made.
    pub asked: usize,
    /// Those with a report.
    pub runs: usize,
    /// Deliveries judged.
    pub deliveries: u64,
    /// Violations of any rule: each is a false alarm.
    pub violations: u64,
    /// Runs that ended in NO-GO.
    pub false_no_gos: usize,
    /// Runs that ended in HOLD: nothing follows from them either way.
    pub holds: usize,
    /// Runs that could not be made.
    pub errors: usize,
    /// 95 % bound on violations per delivery, when there was none: 3 / deliveries.
    pub violations_per_delivery_max: Option<f64>,
    /// 95 % bound on the share of runs that end in a false NO-GO, when none did: 3 / runs that were
    /// decided.
    pub false_no_gos_per_run_max: Option<f64>,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// GO, and not a single violation.
    Clean,
    /// A violation or a failed gate, of which the runtime is not guilty.
    FalseAlarm,
    /// HOLD, without either: the machine was too slow, or the scenario does not decide.
    Hold,
    /// There was no run to judge.
    Error,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What was run.
    pub name: String,
    /// Under which seed.
    pub seed: u32,
    /// What became of it.
    pub status: Status,
    /// What the run came to.
    pub decision: Option<Decision>,
    /// Deliveries judged.
    pub deliveries: u64,
    /// Violations.
    pub violations: u64,
    /// Gates that failed by themselves.
    pub gates: Vec<String>,
    /// The bundle, if it was kept.
    pub run_dir: Option<String>,
    /// Why it is not clean.
    pub reason: Option<String>,
}

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
pub fn run(selftest: &args::Selftest, seeds: u32) -> Result<Exit, Failure> {
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
        eprintln!("{}", clean_page::progress(&line, finished, planned.len(), began.elapsed()));
        let settled = line.status == Status::Clean && !folder.keep;
        if settled {
            discard(&folder_of(index));
        }
        lines[index] = Some(Line { run_dir: line.run_dir.filter(|_| !settled), ..line });
    })?;
    let lines: Vec<Line> = lines.into_iter().flatten().collect();
    let clean = Clean {
        version: VERSION,
        tool: env!("CARGO_PKG_VERSION"),
        started_at,
        elapsed_s: began.elapsed().as_secs_f64(),
        interrupted,
        totals: Totals::of(&lines, planned.len()),
        runs: lines,
    };
    folder.conclude("clean", &clean_page::page(&clean), &clean)?;
    Ok(clean.exit())
}

fn job(planned: &Planned, folder: &Folder, of_run: std::path::PathBuf) -> Job {
    let order = folder.order(&planned.how, of_run);
    let order = Order { seed: Some(planned.seed.into()), ..order };
    Job { order, alone: planned.how.alone }
}

/// What came of a run; nothing when it was ended before its time.
fn line(planned: &Planned, ended: Ended) -> Option<Line> {
    match ended {
        Ended::Interrupted => None,
        Ended::Failed(why) => Some(without_a_run(planned, why)),
        Ended::Judged(dir) => {
            let line = judged(planned, &dir);
            Some(line.unwrap_or_else(|error| without_a_run(planned, format!("{error:#}"))))
        }
    }
}

fn without_a_run(planned: &Planned, why: String) -> Line {
    Line {
        name: planned.name(),
        seed: planned.seed,
        status: Status::Error,
        decision: None,
        deliveries: 0,
        violations: 0,
        gates: Vec::new(),
        run_dir: None,
        reason: Some(why),
    }
}

fn judged(planned: &Planned, dir: &std::path::Path) -> anyhow::Result<Line> {
    let report = bundle::report(dir)?;
    let violations = report.oracle.violations.values().sum();
    let gates: Vec<String> = judging::failed_gates(&report).map(str::to_owned).collect();
    let status = status(report.decision, violations, &gates);
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

/// A violation is a false alarm whatever the run came to.
fn status(decision: Decision, violations: u64, gates: &[String]) -> Status {
    match decision {
        _ if violations > 0 || !gates.is_empty() => Status::FalseAlarm,
        Decision::NoGo => Status::FalseAlarm,
        Decision::Hold => Status::Hold,
        Decision::Go => Status::Clean,
    }
}

/// The rule of three: a bound only where nothing happened, and something could have.
#[expect(clippy::cast_precision_loss, reason = "counts of one selftest")]
fn rule_of_three(happened: u64, trials: u64) -> Option<f64> {
    (happened == 0 && trials > 0).then(|| (THREE / trials as f64).min(1.0))
}

impl Totals {
    fn of(lines: &[Line], asked: usize) -> Self {
        let count = |is: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count();
        let deliveries = lines.iter().map(|line| line.deliveries).sum();
        let violations = lines.iter().map(|line| line.violations).sum();
        let false_no_gos = count(&|line| line.decision == Some(Decision::NoGo));
        let decided = false_no_gos + count(&|line| line.decision == Some(Decision::Go));
        Self {
            asked,
            runs: count(&|line| line.decision.is_some()),
            deliveries,
            violations,
            false_no_gos,
            holds: count(&|line| line.decision == Some(Decision::Hold)),
            errors: count(&|line| line.status == Status::Error),
            violations_per_delivery_max: rule_of_three(violations, deliveries),
            false_no_gos_per_run_max: rule_of_three(false_no_gos as u64, decided as u64),
        }
    }
}

impl Clean {
    fn exit(&self) -> Exit {
        let any = |status| self.runs.iter().any(|line| line.status == status);
        if self.interrupted {
            Exit::Interrupted
        } else if any(Status::FalseAlarm) {
            Exit::NoGo
        } else if any(Status::Error) || self.runs.len() < self.totals.asked {
            Exit::Setup
        } else if any(Status::Hold) {
            Exit::Hold
        } else {
            Exit::Go
        }
    }
}

#[cfg(test)]
pub mod tests {
    use khala_plan::fault::REGISTRY;

    use super::*;

    /// A run that came to this.
    pub fn line(decision: Option<Decision>, deliveries: u64, violations: u64) -> Line {
        let planned = Planned { how: How::smoke("quiet"), seed: 1 };
        let status = decision.map_or(Status::Error, |d| status(d, violations, &[]));
        Line { decision, deliveries, violations, status, ..without_a_run(&planned, String::new()) }
    }

    /// These runs.
    pub fn clean(runs: Vec<Line>) -> Clean {
        Clean {
            version: VERSION,
            tool: "0.0.0",
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            elapsed_s: 61.2,
            interrupted: false,
            totals: Totals::of(&runs, runs.len()),
            runs,
        }
    }

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

    #[test]
    fn a_violation_is_a_false_alarm_and_a_hold_is_none() {
        let (go, hold) = (Some(Decision::Go), Some(Decision::Hold));
        assert_eq!(clean(vec![line(go, 100, 0)]).exit(), Exit::Go);
        assert_eq!(clean(vec![line(go, 100, 0), line(hold, 100, 0)]).exit(), Exit::Hold);
        assert_eq!(clean(vec![line(hold, 100, 1)]).exit(), Exit::NoGo);
        assert_eq!(clean(vec![line(Some(Decision::NoGo), 100, 0)]).exit(), Exit::NoGo);
        assert_eq!(clean(vec![line(None, 0, 0), line(hold, 1, 0)]).exit(), Exit::Setup);
        assert_eq!(status(Decision::Hold, 0, &["reconnect".to_owned()]), Status::FalseAlarm);
    }

    #[test]
    fn nothing_in_n_bounds_the_rate_by_three_over_n() {
        let (go, hold) = (Some(Decision::Go), Some(Decision::Hold));
        let totals = Totals::of(&[line(go, 200, 0), line(go, 50, 0), line(hold, 50, 0)], 3);
        assert_eq!(totals.violations_per_delivery_max, Some(0.01));
        assert_eq!(totals.false_no_gos_per_run_max, Some(1.0), "3/2, of two that were decided");
        let totals = Totals::of(&[line(Some(Decision::NoGo), 200, 2)], 1);
        assert_eq!(totals.violations_per_delivery_max, None);
        assert_eq!(totals.false_no_gos_per_run_max, None);
        assert_eq!(Totals::of(&[line(None, 0, 0)], 1).violations_per_delivery_max, None);
    }
}
