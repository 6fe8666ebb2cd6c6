//! The report as JSON.

use crate::report::Report;

/// It, with a line's end.
#[must_use]
pub fn render(report: &Report) -> String {
    // Strings, numbers and lists always serialise.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}
