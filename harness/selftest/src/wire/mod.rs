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

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use self::judging::{Came, Status};
use self::row::Row;
use self::stage::Staged;
use super::case::How;
use super::child::{Ended, Order};
use super::folder::Folder;
use super::pool::Job;
use super::runner::{self, Sitting, Trial};
use super::{bundle, select};
use crate::exit::{Exit, Failure};
use crate::{Args, output};

/// How long a run of some eight seconds may take, whatever the target does.
const PATIENCE: Duration = Duration::from_secs(60);

/// `wire.json`.
#[derive(Debug, Serialize)]
pub struct Wire {
    /// How it went.
    #[serde(flatten)]
    pub sitting: Sitting,
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

/// The page of all deviations.
pub fn page_of_all() -> String {
    list::page(&row::rows())
}

/// Runs the matrix.
pub fn run(selftest: &Args) -> Result<Exit, Failure> {
    let rows = select::select(selftest, row::rows(), "deviation", |row| row.name)?;
    if selftest.list {
        output::verdict(list::page(&rows).as_bytes());
        return Ok(Exit::Go);
    }
    let folder = Folder::make(selftest, "wire")?;
    let (sitting, deviations) = runner::sit(selftest, &folder, &rows)?;
    let wire = Wire { sitting, totals: Totals::of(&deviations, rows.len()), deviations };
    folder.conclude(&page::page(&wire), &wire)?;
    Ok(wire.exit())
}

impl Trial for Row {
    type Work = Staged;
    type Line = Line;

    fn folder(&self) -> String {
        self.name.to_owned()
    }

    fn job(&self, folder: &Folder, of_run: PathBuf) -> Job<Staged> {
        let order = folder.order(&How::whole(self.scenario).set(self.set), of_run);
        let order = Order { patience: PATIENCE, ..order };
        let work = Staged { deviation: self.deviation, runtime: self.runtime, order };
        Job { work, alone: false }
    }

    fn line(&self, ended: Ended) -> Option<Line> {
        let (came, dir) = match ended {
            Ended::Interrupted => return None,
            Ended::Failed { code, why } if code == Some(Exit::Setup.code().into()) => {
                (Came::NoRun(why), None)
            }
            Ended::Overdue(why) | Ended::Failed { code: Some(_), why } => {
                (Came::Nothing(why), None)
            }
            Ended::Failed { why, .. } => return Some(without_a_run(self, why)),
            Ended::Judged(dir) => match bundle::report(&dir) {
                Ok(report) => (Came::of(&report), Some(dir)),
                Err(error) => return Some(without_a_run(self, format!("{error:#}"))),
            },
        };
        Some(judged(self, came, dir.as_deref()))
    }
}

impl runner::Line for Line {
    const WORD_MAX: usize = 5;

    fn title(&self) -> String {
        self.name.to_owned()
    }

    fn word(&self) -> &'static str {
        self.status.name()
    }

    fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    fn is_settled(&self) -> bool {
        self.status == Status::Right
    }

    fn run_dir(&mut self) -> &mut Option<String> {
        &mut self.run_dir
    }
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
    fn exit(&self) -> Exit {
        let missing = self.totals.error > 0 || self.totals.not_run > 0;
        self.sitting.exit(self.totals.wrong > 0, missing)
    }
}

#[cfg(test)]
mod tests {
    use khala_evidence::judge::Decision;

    use super::super::runner::tests::sitting;
    use super::row::Expected;
    use super::*;

    /// A row of this name as it would stand without a run, with another status.
    pub fn line(name: &str, status: Status) -> Line {
        let row = row::rows().into_iter().find(|row| row.name == name).expect("a row");
        Line { status, reason: None, ..without_a_run(&row, String::new()) }
    }

    /// A matrix of these rows.
    pub fn wire(deviations: Vec<Line>, asked: usize) -> Wire {
        Wire { sitting: sitting(), totals: Totals::of(&deviations, asked), deviations }
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
        let mut interrupted = wire(Vec::new(), 2);
        interrupted.sitting.interrupted = true;
        assert_eq!(interrupted.exit(), Exit::Interrupted);
    }
}
