//! The kill matrix as a page of Markdown, which is also what is printed.

use std::fmt::Write as _;

use super::bundle::By;
use super::judging::Status;
use super::matrix::{Line, Matrix, Totals};
use super::runner;

/// The page.
pub fn page(matrix: &Matrix) -> String {
    let Totals { rows, caught, missed, undeclared, not_acted, error, not_run } = matrix.totals;
    let mut page = format!(
        "# Kill matrix\n\n{caught} of {rows} rows caught, {missed} missed, {undeclared} undeclared, \
         {not_acted} not acted, {error} errors, {not_run} not run, in {:.0} s.{}\n\n{EXPLAINED}\n\n",
        matrix.sitting.elapsed_s,
        matrix.sitting.told()
    );
    page.push_str(&table(&matrix.defects));
    page.push_str(&runner::unsettled(&matrix.defects));
    page
}

const EXPLAINED: &str = "\
*Detected* is the time from the last snapshot of the target's metrics in which the defect had not
acted (they are a second apart) to the first violation of the primary rule, or, marked *, to the end
of the phases that the primary gate reads. *Acted* is the target's own count.";

const HEAD: [&str; 8] = [
    "defect",
    "scenario",
    "primary",
    "raised",
    "consequences seen",
    "detected",
    "acted",
    "verdict",
];

fn table(lines: &[Line]) -> String {
    let cells: Vec<[String; 8]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(lines.iter().map(cells)).collect();
    let mut widths = [0; 8];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut table = String::new();
    for (index, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(table, "| {cell:<width$} ");
        }
        table.push_str("|\n");
        if index == 0 {
            for width in widths {
                let _ = write!(table, "| {:-<width$} ", "");
            }
            table.push_str("|\n");
        }
    }
    table
}

fn cells(line: &Line) -> [String; 8] {
    let known = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
    let mark = if line.detection_by == Some(By::PhaseEnd) { "*" } else { "" };
    let mut seen = line.consequences.clone();
    seen.extend(line.undeclared.iter().map(|what| format!("**{what}**")));
    [
        line.name.clone(),
        line.scenario.clone(),
        line.primary.to_owned(),
        if line.raised { "yes" } else { "no" }.to_owned(),
        if seen.is_empty() { "-".to_owned() } else { seen.join(", ") },
        line.detection_s.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s{mark}")),
        if line.status == Status::Error { "-".to_owned() } else { known(line.acted) },
        line.status.name().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::matrix::tests::{line, matrix};
    use super::super::runner::tests::third_of_51;
    use super::*;

    #[test]
    fn the_page_says_what_was_caught_and_why_the_rest_was_not() {
        let caught = Line {
            raised: true,
            consequences: vec!["gap".to_owned()],
            detection_s: Some(2.0),
            detection_by: Some(By::Violation),
            acted: Some(12),
            ..line("swap_two", Status::Caught)
        };
        let gate = Line {
            raised: true,
            undeclared: vec!["wrong_reason".to_owned()],
            detection_s: Some(7.25),
            detection_by: Some(By::PhaseEnd),
            acted: Some(60),
            reason: Some("wrong_reason is no declared consequence".to_owned()),
            ..line("slow_recovery", Status::Undeclared)
        };
        let error = Line { reason: Some("no port".to_owned()), ..line("drop_nth", Status::Error) };
        let page = page(&matrix(vec![caught, gate, error], 4));
        let (head, rest) = page.split_once(EXPLAINED).expect("it is explained");
        insta::assert_snapshot!(format!("{head}...{rest}"), @"
        # Kill matrix

        1 of 4 rows caught, 0 missed, 1 undeclared, 0 not acted, 1 errors, 1 not run, in 61 s.

        ...

        | defect        | scenario      | primary        | raised | consequences seen | detected | acted | verdict    |
        | ------------- | ------------- | -------------- | ------ | ----------------- | -------- | ----- | ---------- |
        | swap_two      | smoke (smoke) | nonmonotonic   | yes    | gap               | 2.0 s    | 12    | caught     |
        | slow_recovery | smoke (smoke) | gate:reconnect | yes    | **wrong_reason**  | 7.2 s*   | 60    | UNDECLARED |
        | drop_nth      | smoke (smoke) | gap            | no     | -                 | -        | -     | ERROR      |

        - `slow_recovery` (UNDECLARED): wrong_reason is no declared consequence
        - `drop_nth` (ERROR): no port
        ");
    }

    #[test]
    fn progress_is_one_line_a_row() {
        let line = Line { reason: Some("why".to_owned()), ..line("swap_two", Status::Missed) };
        assert_eq!(third_of_51(&line), "3/51   75 s  MISSED     swap_two: why");
    }
}
