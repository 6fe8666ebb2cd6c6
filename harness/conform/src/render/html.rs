//! The report as one static page: no script, no style attribute, nothing from elsewhere.

use std::fmt::Write as _;

use khala_evidence::render::escape;

use crate::report::Report;

/// Says the browser the same as a strict server would.
const POLICY: &str = "default-src 'none'";

/// The page.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let totals = report.totals;
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{0}: conformance of {1}</title>\n</head>\n<body>\n<h1>{0}: conformance of {1}</h1>\n\
         <p>{2}. Made by {3} at {4}, in {5:.1} s; allowed: {6}.</p>\n\
         <p>{7} cases: {8} pass, {9} deviation, {10} accepted, {11} finding, {12} undecided, {13} not \
         applicable.</p>\n",
        report.decision.name(),
        text(&report.url),
        text(&report.why),
        text(&report.tool),
        text(&report.started_at),
        report.elapsed_s,
        text(&report.allowed.join(", ")),
        totals.cases,
        totals.pass,
        totals.deviation,
        totals.accepted,
        totals.finding,
        totals.undecided,
        totals.not_applicable,
    );
    for stale in &report.stale_known {
        let _ = writeln!(
            out,
            "<p><strong>Accepted, and no more:</strong> <code>{}</code> ({})</p>",
            text(&stale.id),
            text(&stale.reason)
        );
    }
    out.push_str(
        "<table border=\"1\" cellpadding=\"4\">\n<thead><tr><th>case</th><th>level</th><th>result</th>\
         <th>contract</th><th>what</th></tr></thead>\n<tbody>\n",
    );
    for result in &report.results {
        let status = match (result.is_amiss(), result.result()) {
            (true, name) => format!("<strong>{name}</strong>"),
            (false, name) => text(&name),
        };
        let _ = writeln!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{status}</td><td>{}: {}</td><td>{}</td></tr>",
            result.id,
            result.level.name(),
            text(result.section),
            text(result.sentence),
            text(&result.told())
        );
    }
    out.push_str("</tbody>\n</table>\n</body>\n</html>\n");
    out
}

/// Text that is text alone.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape::html(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        assert_eq!(text("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
