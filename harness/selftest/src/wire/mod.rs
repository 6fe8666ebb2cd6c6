//! `selftest --wire`: what judges was not learnt from the reference alone.
//!
//! None of the reference's own defects can make what real servers, proxies and libraries make on the
//! wire. Here a proxy stands between the harness and a runtime that keeps the contract, and deviates in
//! one way a row; about half of the rows are valid, and must stay GO. A deviation is one small file in
//! its family's folder in `deviations/`, and its name among the family's rows.

mod deviation;
mod deviations;
mod frame;
mod http;
mod judging;
mod list;
mod message;
mod page;
mod proxy;
mod row;
mod stage;

use std::path::Path;
use std::time::{Duration, Instant};

use khala_bundle::utc_now;
use serde::Serialize;

use self::judging::{Came, Status};
use self::row::Row;
use self::stage::Staged;
use super::case::How;
use super::child::{Ended, Order};
use super::pool::Job;
use super::{Folder, bundle, discard, run_jobs, select};
use crate::exit::{Exit, Failure};
use crate::{Args, output};

/// How long a run of some eight seconds may take, whatever the target does.
const PATIENCE: Duration = Duration::from_secs(60);

/// Version of `wire.json`.
const VERSION: u32 = 1;

/// `wire.json`.
#[derive(Debug, Serialize)]
pub struct Wire {
    version: u32,
    tool: &'static str,
    /// Of the program that ran it: the first digits of its file's SHA-256.
    build: Option<String>,
    started_at: String,
    /// Whether these are all rows that there are.
    whole: bool,
    /// Seed of all runs; the scenarios' own where there is none.
    seed: Option<u64>,
    /// Wall time, in seconds.
    pub elapsed_s: f64,
    /// Whether a signal ended it; rows that were not finished then are not listed.
    pub interrupted: bool,
    /// How many of each.
    pub totals: Totals,
    /// The rows.
    pub deviations: Vec<Line>,
}

/// Rows by what became of them.
#[derive(Debug, Default, Serialize)]
pub struct Totals {
    pub rows: usize,
    pub right: usize,
    pub wrong: usize,
    pub error: usize,
    pub not_run: usize,
}

/// One row.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The deviation.
    pub name: &'static str,
    /// What was run.
    pub scenario: &'static str,
    /// What must come.
    pub wanted: String,
    /// What came: a decision, or that there was no run.
    pub came: Option<String>,
    /// Rules that were broken, and gates that failed by themselves.
    pub raised: Vec<String>,
    /// What became of it.
    pub status: Status,
    /// The bundle, if it was kept.
    pub run_dir: Option<String>,
    /// Why it is not right.
    pub reason: Option<String>,
}

/// Runs the matrix.
pub fn run(selftest: &Args) -> Result<Exit, Failure> {
    let rows = select::select(selftest, row::rows(), "deviation", |row| row.name)?;
    if selftest.list {
        output::verdict(list::page(&rows).as_bytes());
        return Ok(Exit::Go);
    }
    let (started_at, began) = (utc_now(), Instant::now());
    let folder = Folder::make(selftest, "wire", &started_at)?;
    let jobs = rows.iter().map(|row| job(row, &folder)).collect();
    let mut lines: Vec<Option<Line>> = rows.iter().map(|_| None).collect();
    let mut finished = 0;
    let interrupted = run_jobs(jobs, selftest.jobs.into(), |index, ended| {
        let row = &rows[index];
        let Some(line) = line(row, ended) else { return };
        finished += 1;
        output::say(&page::progress(&line, finished, rows.len(), began.elapsed()));
        let settled = line.status == Status::Right && !folder.keep;
        if settled {
            discard(&folder.of_run(row.name));
        }
        lines[index] = Some(Line { run_dir: line.run_dir.filter(|_| !settled), ..line });
    })?;
    let asked = lines.len();
    let lines: Vec<Line> = lines.into_iter().flatten().collect();
    let wire = Wire {
        version: VERSION,
        tool: env!("CARGO_PKG_VERSION"),
        build: super::build(),
        started_at,
        whole: super::is_whole(selftest),
        seed: selftest.seed,
        elapsed_s: began.elapsed().as_secs_f64(),
        interrupted,
        totals: Totals::of(&lines, asked),
        deviations: lines,
    };
    folder.conclude("wire", &page::page(&wire), &wire)?;
    Ok(wire.exit())
}

fn job(row: &Row, folder: &Folder) -> Job<Staged> {
    let how = How::whole(row.scenario).set(row.set);
    let order = folder.order(&how, folder.of_run(row.name));
    let order = Order { patience: PATIENCE, ..order };
    Job { work: Staged { deviation: row.deviation, runtime: row.runtime, order }, alone: false }
}

/// What a run says of its row; nothing when it was ended before its time.
fn line(row: &Row, ended: Ended) -> Option<Line> {
    let (came, dir) = match ended {
        Ended::Interrupted => return None,
        Ended::Failed { code, why } if code == Some(Exit::Setup.code().into()) => {
            (Came::NoRun(why), None)
        }
        Ended::Overdue(why) | Ended::Failed { code: Some(_), why } => (Came::Nothing(why), None),
        Ended::Failed { why, .. } => return Some(without_a_run(row, why)),
        Ended::Judged(dir) => match bundle::report(&dir) {
            Ok(report) => (Came::of(&report), Some(dir)),
            Err(error) => return Some(without_a_run(row, format!("{error:#}"))),
        },
    };
    Some(judged(row, came, dir.as_deref()))
}

fn judged(row: &Row, came: Came, dir: Option<&Path>) -> Line {
    let reason = judging::differs(row.expected, &came);
    let status = if reason.is_none() { Status::Right } else { Status::Wrong };
    let word = came.word();
    let raised = match came {
        Came::Report { raised, .. } => raised,
        Came::NoRun(_) | Came::Nothing(_) => Vec::new(),
    };
    Line {
        came: Some(word),
        raised,
        status,
        run_dir: dir.map(|dir| dir.display().to_string()),
        reason,
        ..without_a_run(row, String::new())
    }
}

fn without_a_run(row: &Row, why: String) -> Line {
    Line {
        name: row.name,
        scenario: row.scenario,
        wanted: page::wanted(row.expected),
        came: None,
        raised: Vec::new(),
        status: Status::Error,
        run_dir: None,
        reason: Some(why),
    }
}

impl Totals {
    fn of(lines: &[Line], asked: usize) -> Self {
        let count = |status| lines.iter().filter(|line| line.status == status).count();
        Self {
            rows: asked,
            right: count(Status::Right),
            wrong: count(Status::Wrong),
            error: count(Status::Error),
            not_run: asked - lines.len(),
        }
    }
}

impl Wire {
    /// An interrupt says nothing of what was not run; a wrong row is proof whatever else could not be
    /// run.
    fn exit(&self) -> Exit {
        if self.interrupted {
            Exit::Interrupted
        } else if self.totals.wrong > 0 {
            Exit::NoGo
        } else if self.totals.error > 0 || self.totals.not_run > 0 {
            Exit::Setup
        } else {
            Exit::Go
        }
    }
}

#[cfg(test)]
mod tests {
    use khala_evidence::judge::Decision;

    use super::row::Expected;
    use super::*;

    /// A row of this name as it would stand without a run, with another status.
    pub fn line(name: &str, status: Status) -> Line {
        let row = row::rows().into_iter().find(|row| row.name == name).expect("a row");
        Line { status, reason: None, ..without_a_run(&row, String::new()) }
    }

    /// A matrix of these rows.
    pub fn wire(deviations: Vec<Line>, asked: usize) -> Wire {
        Wire {
            version: VERSION,
            tool: "0.0.0",
            build: None,
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            whole: false,
            seed: None,
            elapsed_s: 61.2,
            interrupted: false,
            totals: Totals::of(&deviations, asked),
            deviations,
        }
    }

    /// Whatever a row wants, any other answer makes the exam end with 99.
    #[test]
    fn any_answer_but_the_wanted_one_ends_with_99() {
        let report = |decision, raised: &[&str], line: &str| Came::Report {
            decision,
            raised: raised.iter().map(|&name| name.to_owned()).collect(),
            lines: vec![line.to_owned()],
        };
        let answers = |row: &Row| {
            let (by, says) = match row.expected {
                Expected::NoGo { by, says } => (by, says),
                Expected::Go(says) => ("-", says.unwrap_or("-")),
                Expected::NoRun(says) => ("-", says),
            };
            [
                report(Decision::Go, &[], says),
                report(Decision::NoGo, &[by], says),
                report(Decision::NoGo, &["another"], says),
                report(Decision::NoGo, &[by], "another line"),
                report(Decision::Hold, &[by], says),
                report(Decision::Hold, &[by], "another line"),
                Came::NoRun(says.to_owned()),
                Came::NoRun("another reason".to_owned()),
                Came::Nothing(says.to_owned()),
            ]
        };
        for row in row::rows() {
            let exits = answers(&row).map(|came| {
                let line = judged(&row, came, None);
                wire(vec![line], 1).exit().code()
            });
            let right = exits.iter().filter(|code| **code == Exit::Go.code()).count();
            let wrong = exits.iter().filter(|code| **code == Exit::NoGo.code()).count();
            assert_eq!((right, wrong), (1, exits.len() - 1), "{}: {exits:?}", row.name);
        }
    }

    #[test]
    fn one_wrong_row_is_a_no_go_whatever_else_is_missing() {
        let exit = |statuses: &[Status], asked| {
            let lines = statuses.iter().map(|&status| line("plain", status)).collect();
            wire(lines, asked).exit()
        };
        assert_eq!(exit(&[Status::Right], 1), Exit::Go);
        assert_eq!(exit(&[Status::Right, Status::Wrong, Status::Error], 4), Exit::NoGo);
        assert_eq!(exit(&[Status::Right, Status::Error], 2), Exit::Setup);
        assert_eq!(exit(&[Status::Right], 2), Exit::Setup);
        let interrupted = Wire { interrupted: true, ..wire(Vec::new(), 2) };
        assert_eq!(interrupted.exit(), Exit::Interrupted);
    }
}
