//! `selftest --matrix`: every defect, and who caught it.

use std::path::{Path, PathBuf};

use khala_evidence::judge::Decision;
use serde::Serialize;

use super::bundle::{self, By};
use super::case::{self, Row};
use super::child::{Ended, Order};
use super::folder::Folder;
use super::judging::{self, Expected, Judged, Shown, Status};
use super::pool::Job;
use super::runner::{self, Sitting, Trial};
use super::{matrix_page, select};
use crate::Args;
use crate::exit::{Exit, Failure};

/// `matrix.json`.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// How it went.
    #[serde(flatten)]
    pub sitting: Sitting,
    /// How many of each.
    pub totals: Totals,
    /// The rows.
    pub defects: Vec<Line>,
}

/// Rows by what became of them.
#[derive(Debug, Default, Serialize)]
pub struct Totals {
    pub rows: usize,
    pub caught: usize,
    pub missed: usize,
    pub undeclared: usize,
    pub not_acted: usize,
    pub error: usize,
    pub not_run: usize,
}

/// One row.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The defect, with its probability where that is not the catalogue's.
    pub name: String,
    /// The rule or gate that must catch it.
    pub primary: &'static str,
    /// Share of the opportunities that it took.
    pub probability: f64,
    /// What was run.
    pub scenario: String,
    /// What became of it.
    pub status: Status,
    /// Whether it does not count that it never acted: a rare defect may not.
    pub may_rest: bool,
    /// Whether the primary was raised.
    pub raised: bool,
    /// Declared consequences that were raised.
    pub consequences: Vec<String>,
    /// What else was raised.
    pub undeclared: Vec<String>,
    /// Seconds from the last snapshot of the target's metrics in which the defect had not acted until
    /// `detection_by`: an upper bound, with snapshots a second apart.
    pub detection_s: Option<f64>,
    /// What ends `detection_s`.
    pub detection_by: Option<By>,
    /// How often the defect acted, as the target counts.
    pub acted: Option<u64>,
    /// Deliveries judged.
    pub deliveries: Option<u64>,
    /// What the run came to.
    pub decision: Option<Decision>,
    /// The bundle, if it was kept.
    pub run_dir: Option<String>,
    /// Why it was not caught.
    pub reason: Option<String>,
}

impl Line {
    /// Whether the row stands against the harness.
    pub fn fails(&self) -> bool {
        match self.status {
            Status::Caught | Status::Error => false,
            Status::Missed | Status::Undeclared => true,
            Status::NotActed => !self.may_rest,
        }
    }
}

/// Runs the matrix.
pub fn run(selftest: &Args) -> Result<Exit, Failure> {
    let rows = select::select(selftest, case::rows(), "defect", |row| row.defect.name)?;
    let folder = Folder::make(selftest, "matrix")?;
    let (sitting, defects) = runner::sit(selftest, &folder, &rows)?;
    let matrix = Matrix { sitting, totals: Totals::of(&defects, rows.len()), defects };
    folder.conclude(&matrix_page::page(&matrix), &matrix)?;
    Ok(matrix.exit())
}

impl Trial for Row {
    type Work = Order;
    type Line = Line;

    fn folder(&self) -> String {
        self.name.clone()
    }

    fn job(&self, folder: &Folder, of_run: PathBuf) -> Job<Order> {
        let order = Order { defect: Some(self.spec()), ..folder.order(&self.how, of_run) };
        Job { work: order, alone: self.how.alone }
    }

    fn line(&self, ended: Ended) -> Option<Line> {
        let judged = ended.judged(|dir| judged(self, dir))?;
        Some(judged.unwrap_or_else(|why| without_a_run(self, why)))
    }
}

impl runner::Line for Line {
    const WORD_MAX: usize = 10;

    fn title(&self) -> String {
        self.name.clone()
    }

    fn word(&self) -> &'static str {
        self.status.name()
    }

    fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    fn is_settled(&self) -> bool {
        self.status == Status::Caught
    }

    fn run_dir(&mut self) -> &mut Option<String> {
        &mut self.run_dir
    }
}

fn without_a_run(row: &Row, why: String) -> Line {
    Line {
        name: row.name.clone(),
        primary: row.defect.primary,
        probability: row.probability(),
        scenario: row.how.title(),
        status: Status::Error,
        may_rest: row.rare.is_some(),
        raised: false,
        consequences: Vec::new(),
        undeclared: Vec::new(),
        detection_s: None,
        detection_by: None,
        acted: None,
        deliveries: None,
        decision: None,
        run_dir: None,
        reason: Some(why),
    }
}

fn judged(row: &Row, dir: &Path) -> anyhow::Result<Line> {
    let report = bundle::report(dir)?;
    let acting = bundle::acting(dir, row.defect.name, report.duration_s)?;
    let acted = acting.map(|acting| acting.times);
    let expected = Expected { primary: row.defect.primary, consequences: row.defect.consequences };
    let shown = Shown::of(&report, acted);
    let Judged { status, raised, consequences, undeclared, reason } =
        judging::judge(expected, &shown);
    let detection = bundle::detection(&report, row.defect.primary).filter(|_| raised);
    let since = acting.map_or(0.0, |acting| acting.not_before_s);
    Ok(Line {
        status,
        raised,
        consequences,
        undeclared,
        detection_s: detection.map(|found| tenths((found.at_s - since).max(0.0))),
        detection_by: detection.map(|found| found.by),
        acted,
        deliveries: Some(report.oracle.deliveries),
        decision: Some(report.decision),
        run_dir: Some(dir.display().to_string()),
        ..without_a_run(row, String::new())
    }
    .because(reason))
}

impl Line {
    fn because(self, reason: Option<String>) -> Self {
        Self { reason, ..self }
    }
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

impl Totals {
    fn of(lines: &[Line], asked: usize) -> Self {
        let count = |status| lines.iter().filter(|line| line.status == status).count();
        Self {
            rows: asked,
            caught: count(Status::Caught),
            missed: count(Status::Missed),
            undeclared: count(Status::Undeclared),
            not_acted: count(Status::NotActed),
            error: count(Status::Error),
            not_run: asked - lines.len(),
        }
    }
}

impl Matrix {
    fn exit(&self) -> Exit {
        let missing = self.totals.error > 0 || self.totals.not_run > 0;
        self.sitting.exit(self.defects.iter().any(Line::fails), missing)
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::runner::tests::sitting;
    use super::*;

    /// A row of this name as it would stand without a run, with another status.
    pub fn line(name: &str, status: Status) -> Line {
        let row = case::rows().into_iter().find(|row| row.name == name).expect("a row");
        Line { status, ..without_a_run(&row, String::new()) }.because(None)
    }

    /// A matrix of these rows.
    pub fn matrix(defects: Vec<Line>, asked: usize) -> Matrix {
        Matrix { sitting: sitting(), totals: Totals::of(&defects, asked), defects }
    }

    fn exit(rows: &[(&str, Status)]) -> Exit {
        let lines: Vec<_> = rows.iter().map(|&(name, status)| line(name, status)).collect();
        let asked = lines.len();
        matrix(lines, asked).exit()
    }

    #[test]
    fn one_row_that_is_missed_or_undeclared_is_a_no_go() {
        let caught = ("drop_nth", Status::Caught);
        assert_eq!(exit(&[caught]), Exit::Go);
        for status in [Status::Missed, Status::Undeclared, Status::NotActed] {
            assert_eq!(exit(&[caught, ("swap_two", status)]), Exit::NoGo, "{status:?}");
        }
    }

    #[test]
    fn a_rare_defect_may_rest_but_not_go_unnoticed() {
        assert_eq!(exit(&[("swap_two,0.01", Status::NotActed)]), Exit::Go);
        assert_eq!(exit(&[("swap_two,0.01", Status::Missed)]), Exit::NoGo);
    }

    #[test]
    fn a_run_that_could_not_be_made_is_neither_go_nor_no_go() {
        let error = ("drop_nth", Status::Error);
        assert_eq!(exit(&[error]), Exit::Setup);
        assert_eq!(exit(&[error, ("swap_two", Status::Missed)]), Exit::NoGo);
        assert_eq!(matrix(vec![line("swap_two", Status::Caught)], 2).exit(), Exit::Setup);
    }

    #[test]
    fn an_interrupted_matrix_says_so_whatever_it_found() {
        let lines = vec![line("swap_two", Status::Missed)];
        let mut matrix = matrix(lines, 3);
        matrix.sitting.interrupted = true;
        assert_eq!(matrix.exit(), Exit::Interrupted);
        assert_eq!(matrix.totals.not_run, 2);
    }
}
