//! Renderings of a stage report: for people, and for programs.

mod html;
mod markdown;
mod page;

use crate::report::StageReport;

/// The report as Markdown.
#[must_use]
pub fn markdown(report: &StageReport) -> String {
    markdown::render(&page::of(report))
}

/// The report as one static page: no script, nothing from elsewhere.
#[must_use]
pub fn html(report: &StageReport) -> String {
    html::render(&report.headline(), &page::of(report))
}

/// The report as JSON.
///
/// # Errors
/// When it cannot be serialised, which is a bug.
pub fn json(report: &StageReport) -> serde_json::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(report)?))
}
