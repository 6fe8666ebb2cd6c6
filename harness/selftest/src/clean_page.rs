//! The clean runs as a page of Markdown, which is also what is printed.

use std::fmt::Write as _;

use super::clean_result::{Clean, Totals};
use super::runner;

/// The page.
pub fn page(clean: &Clean) -> String {
    let Totals { asked, runs, deliveries, violations, false_no_gos, holds, errors, .. } =
        clean.totals;
    let mut page = format!(
        "# A runtime that keeps the contract\n\n{runs} of {asked} runs in {:.0} s: {deliveries} \
         deliveries judged, {violations} violations, {false_no_gos} false NO-GOs, {holds} HOLDs, \
         {errors} errors.{}\n\n",
        clean.sitting.elapsed_s,
        clean.sitting.told()
    );
    page.push_str(&bounds(&clean.totals));
    page.push_str("\n| run | seed | decision | deliveries | violations | failed gates |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for line in &clean.runs {
        let decision = line.decision.map_or("none".to_owned(), |decision| decision.to_string());
        let gates = if line.gates.is_empty() { "none".to_owned() } else { line.gates.join(", ") };
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {decision} | {} | {} | {gates} |",
            line.name, line.seed, line.deliveries, line.violations
        );
    }
    page.push_str(&runner::unsettled(&clean.runs));
    page
}

/// Deliveries of one run are not independent; runs are. So both are said.
fn bounds(totals: &Totals) -> String {
    let Totals { violations_per_delivery_max, false_no_gos_per_run_max, .. } = *totals;
    let violations =
        violations_per_delivery_max.map(|max| format!("{max:.1e} per delivery judged"));
    let no_gos = false_no_gos_per_run_max.map(|max| format!("{:.1} % of runs", max * 100.0));
    let bound = |what: &str, max: Option<String>| match max {
        Some(max) => format!("- {what}: at most {max}\n"),
        None => format!("- {what}: no bound, for there were some, or no trials\n"),
    };
    format!(
        "With 95 % confidence, by the rule of three (none in n independent trials: at most 3/n), of \
         the deliveries judged and of the runs that came to GO or NO-GO:\n\n{}{}",
        bound("false violations", violations),
        bound("false NO-GOs", no_gos)
    )
}

#[cfg(test)]
mod tests {
    use khala_evidence::judge::Decision;

    use super::super::clean_result::Line;
    use super::super::clean_result::tests::{clean, line};
    use super::*;

    #[test]
    fn the_page_gives_each_run_the_sums_and_what_they_bound() {
        let hold = Line {
            reason: Some("the generator was unfit".to_owned()),
            ..line(Some(Decision::Hold), 1_000, 0)
        };
        let page = page(&clean(vec![line(Some(Decision::Go), 2_000, 0), hold]));
        insta::assert_snapshot!(page, @"
        # A runtime that keeps the contract

        2 of 2 runs in 61 s: 3000 deliveries judged, 0 violations, 0 false NO-GOs, 1 HOLDs, 0 errors.

        With 95 % confidence, by the rule of three (none in n independent trials: at most 3/n), of the deliveries judged and of the runs that came to GO or NO-GO:

        - false violations: at most 1.0e-3 per delivery judged
        - false NO-GOs: at most 100.0 % of runs

        | run | seed | decision | deliveries | violations | failed gates |
        | --- | --- | --- | --- | --- | --- |
        | quiet (smoke) | 1 | GO | 2000 | 0 | none |
        | quiet (smoke) | 1 | HOLD | 1000 | 0 | none |

        - `quiet (smoke) under seed 1` (HOLD): the generator was unfit
        ");
    }

    #[test]
    fn what_happened_has_no_bound() {
        let page = page(&clean(vec![line(Some(Decision::NoGo), 2_000, 3)]));
        assert!(page.contains("false violations: no bound"), "{page}");
        assert!(page.contains("(FALSE ALARM)"), "{page}");
    }
}
