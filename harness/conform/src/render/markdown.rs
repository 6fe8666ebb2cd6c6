//! The report as Markdown, for a page or a pull request.

use std::fmt::Write as _;

use khala_evidence::render::escape::{markdown as cell, markdown_code as quoted};

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
            let _ = writeln!(out, "- {} (accepted: {})", quoted(&stale.id), cell(&stale.reason));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::known::Known;
    use crate::outcome::{Broken, Found};
    use crate::report::{Around, CaseResult};

    #[test]
    fn no_text_leaves_its_cell_or_is_markup() {
        let evil = || "a|b\n<i>`*x*`\u{202e}\u{1b}[1A".to_owned();
        let case = &cases::all()[0];
        let broken = Broken { did: evil(), came: evil(), should: evil() };
        let around = Around { url: evil(), ..Around::default() };
        let result = CaseResult::new(case, Ok(Found::Broken(broken)), 0.1);
        let text = render(&Report::new(around, vec![result], &Known::default()));
        let told = r"a\|b \<i\>\`\*x\*\`\u{202e}\u{1b}\[1A";
        let row = format!("| `{}` | MUST | **deviation** | {told} {told} {told} |", case.id);
        assert_eq!(text.lines().last(), Some(row.as_str()), "{text}");
        assert_eq!(text.matches(told).count(), 4, "{text}");
        assert!(!text.contains(['\u{202e}', '\u{1b}']) && !text.contains("<i>"), "{text}");
    }
}
