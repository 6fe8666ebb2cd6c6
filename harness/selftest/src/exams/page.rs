//! The page of all exams.

use std::fmt::Write as _;

use super::read::{Exam, Kind};

/// The page; `tool` is the version of the program that prints it.
pub fn page(exams: &[Exam], tool: &str) -> String {
    let mut page = format!("{HEAD}{BEGIN}\n{TABLE}");
    for kind in Kind::ALL {
        let mut of_kind = exams.iter().filter(|exam| exam.kind == kind).peekable();
        if of_kind.peek().is_none() {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "| {} | not run | | |", kind.title());
        }
        for exam in of_kind {
            page.push_str(&row(exam));
        }
    }
    let _ = writeln!(page, "{END}\n\nPrinted by khala-harness {tool}.\n\n## What went wrong\n");
    let mut none = true;
    for exam in exams {
        for wrong in &exam.wrong {
            none = false;
            let what = one_line(&wrong.what);
            let _ = writeln!(page, "- {}: `{}`: {what}", exam.kind.title(), wrong.name);
        }
    }
    if none {
        page.push_str("Nothing of what was run.\n");
    }
    page
}

const HEAD: &str = "\
# Exams

What the harness was tried by, and what that came to: `scripts/exams` runs all of it, and renews this page and
what the README quotes of it. Deviations are listed in [WIRE.md](WIRE.md), defects in
[DEFECTS.md](reference/DEFECTS.md).

";

/// Around what the README quotes.
const BEGIN: &str = "<!-- exams: -->";
const END: &str = "<!-- :exams -->";

const TABLE: &str = "| tried | as it must be | otherwise | when, and by what |\n\
                     | --- | --- | --- | --- |\n";

fn row(exam: &Exam) -> String {
    let part = match exam.whole {
        Some(true) => "",
        Some(false) => ", a part only",
        None => ", whether all is not said",
    };
    let more = exam.more.as_deref().map(|more| format!(" ({more})")).unwrap_or_default();
    let right = format!("{} of {}{part}{more}", exam.right, exam.asked);
    let not_run = (exam.not_run > 0).then(|| format!("{} not run", exam.not_run));
    let wrong = (!exam.wrong.is_empty()).then(|| {
        let names: Vec<_> = exam.wrong.iter().map(|wrong| format!("`{}`", wrong.name)).collect();
        format!("{}: {}", names.len(), names.join(", "))
    });
    let otherwise: Vec<_> = wrong.into_iter().chain(not_run).collect();
    let otherwise = if otherwise.is_empty() { "none".to_owned() } else { otherwise.join("; ") };
    let tool = exam.tool.as_deref().map(|tool| format!(", {tool}")).unwrap_or_default();
    let build = exam.build.as_deref().map(|build| format!(" ({build})")).unwrap_or_default();
    let seed = exam.seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
    let when = exam.started_at.split('T').next().unwrap_or_default();
    format!("| {} | {right} | {otherwise} | {when}{tool}{build}{seed} |\n", exam.kind.title())
}

/// Without what ends a line, and no longer than a reader follows.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(240).collect()
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::{CLEAN, SECOND, WIRE};
    use super::super::read::{Kind, read};
    use super::*;

    #[test]
    fn the_page_counts_and_says_what_was_not_run() {
        let texts = [(Kind::Wire, WIRE), (Kind::Clean, CLEAN), (Kind::Second, SECOND)];
        let exams = texts.map(|(kind, text)| read(kind, text).expect("a result"));
        let page = page(&exams, "0.1.0");
        let body = page.strip_prefix(HEAD).expect("it is explained");
        insta::assert_snapshot!(body, @r"
        <!-- exams: -->
        | tried | as it must be | otherwise | when, and by what |
        | --- | --- | --- | --- |
        | defects of the reference runtime | not run | | |
        | deviations on the wire, valid ones among them | 2 of 4 | 1: `c`; 1 not run | 2026-01-02, 0.1.0 (0a1b2c), seed 9 |
        | runs on a runtime without a defect | 1 of 2, a part only (0 false violations in 900 deliveries) | 1: `smoke` | 2026-01-01, 0.1.0 |
        | defects of a second implementation, unknown to the judge | 2 of 3, whether all is not said (1 of 2 defects caught, 0 false alarms in 1 runs without one) | 1: `e` | 2026-01-02 |
        | real middle boxes, with mistakes and without | not run | | |
        <!-- :exams -->

        Printed by khala-harness 0.1.0.

        ## What went wrong

        - deviations on the wire, valid ones among them: `c`: wrong: it is a HOLD
        - runs on a runtime without a defect: `smoke`: hold under seed 2: unfit
        - defects of a second implementation, unknown to the judge: `e`: missed: GO
        ");
    }

    #[test]
    fn a_page_of_nothing_claims_nothing() {
        let page = page(&[], "0.1.0");
        assert_eq!(page.matches("| not run |").count(), Kind::ALL.len());
        assert!(page.contains("Nothing of what was run."));
    }
}
