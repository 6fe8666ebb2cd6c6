//! The report as Markdown, for a page or a pull request.

use std::fmt::Write as _;

use khala_wire::unseen::{is_unseen, number};

use crate::report::Report;

/// The text.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let totals = report.totals;
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "# {}: conformance of {}\n\n{}. Made by {} at {}, in {:.1} s; allowed: {}.\n\n\
         | cases | pass | deviation | accepted | finding | undecided | not applicable |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n| {} | {} | {} | {} | {} | {} | {} |",
        report.decision.name(),
        cell(&report.url),
        cell(&report.why),
        report.tool,
        report.started_at,
        report.elapsed_s,
        report.allowed.join(", "),
        totals.cases,
        totals.pass,
        totals.deviation,
        totals.accepted,
        totals.finding,
        totals.undecided,
        totals.not_applicable,
    );
    if !report.stale_known.is_empty() {
        out.push_str("\n## Accepted, and no more\n\n");
        for stale in &report.stale_known {
            let _ = writeln!(out, "- `{}` (accepted: {})", stale.id, cell(&stale.reason));
        }
    }
    out.push_str("\n| case | level | result | what |\n| --- | --- | --- | --- |\n");
    for result in &report.results {
        let status = match (result.is_amiss(), result.result()) {
            (true, name) => format!("**{name}**"),
            (false, name) => cell(&name),
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {status} | {} |",
            result.id,
            result.level.name(),
            cell(&result.told())
        );
    }
    out
}

/// Text that stays within its cell, and is no markup.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '<' | '*' | '_' | '[' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_unseen(c) => out.push_str(&number(c)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_cell() {
        assert_eq!(cell("a|b\n<i>*x*"), "a\\|b \\<i>\\*x\\*");
        assert_eq!(cell("a\u{202e}\u{1b}[1A"), "a\\u{202e}\\u{1b}\\[1A");
    }
}
