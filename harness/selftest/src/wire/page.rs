//! The wire matrix as a page of Markdown, which is also what is printed.

use std::fmt::Write as _;

use super::row::Expected;
use super::{Totals, Wire};
use crate::runner::{self, Line as _};

/// What must come, in words.
pub fn wanted(expected: Expected) -> String {
    match expected {
        Expected::Go(None) => "GO".to_owned(),
        Expected::Go(Some(says)) => format!("GO, told: {says}"),
        Expected::NoGo { by, says } => format!("NO-GO by {by}: {says}"),
        Expected::NoRun(says) => format!("no run: {says}"),
    }
}

/// The page.
pub fn page(wire: &Wire) -> String {
    let Totals { rows, right, wrong, error, not_run } = wire.totals;
    let mut page = format!(
        "# Wire matrix\n\n{right} of {rows} rows right, {wrong} wrong, {error} errors, {not_run} not \
         run, in {:.0} s.{}\n\n{EXPLAINED}\n\n",
        wire.sitting.elapsed_s,
        wire.sitting.told()
    );
    page.push_str("| deviation | must come | came | raised | verdict |\n");
    page.push_str("| --- | --- | --- | --- | --- |\n");
    for line in &wire.deviations {
        let raised = if line.raised.is_empty() { "-".to_owned() } else { line.raised.join(", ") };
        let came = line.came.as_deref().unwrap_or("-");
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {came} | {raised} | {} |",
            line.name,
            line.wanted,
            line.word()
        );
    }
    page.push_str(&runner::unsettled(&wire.deviations));
    page
}

const EXPLAINED: &str = "\
Between the harness and a runtime that keeps the contract stands a proxy that deviates in one way. What is
valid, and what every real client takes, must be GO.";

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::super::judging::Status;
    use super::super::tests::{line, wire};
    use super::*;
    use crate::runner::tests::third_of_51;

    #[test]
    fn the_page_says_what_came_and_why_that_is_wrong() {
        let right = Line {
            came: Some("NO-GO".to_owned()),
            raised: vec!["ws_protocol".to_owned()],
            ..line("masked", Status::Right)
        };
        let wrong = Line {
            came: Some("HOLD".to_owned()),
            reason: Some("it is a HOLD: unfit".to_owned()),
            ..line("plain", Status::Wrong)
        };
        let page = page(&wire(vec![right, wrong], 3));
        let (head, rest) = page.split_once(EXPLAINED).expect("it is explained");
        insta::assert_snapshot!(format!("{head}...{rest}"), @"
        # Wire matrix

        1 of 3 rows right, 1 wrong, 0 errors, 1 not run, in 61 s.

        ...

        | deviation | must come | came | raised | verdict |
        | --- | --- | --- | --- | --- |
        | masked | NO-GO by ws_protocol: a masked frame | NO-GO | ws_protocol | right |
        | plain | GO | HOLD | - | WRONG |

        - `plain` (WRONG): it is a HOLD: unfit
        ");
    }

    #[test]
    fn progress_is_one_line_a_row() {
        let line = Line { reason: Some("why".to_owned()), ..line("plain", Status::Wrong) };
        assert_eq!(third_of_51(&line), "3/51   75 s  WRONG plain: why");
    }
}
