//! Renderings of a [`RunReport`]: one file each behind one trait, bytes out of the report alone.
//!
//! A new rendering is one file and one line in [`ALL`].

pub(crate) mod befell;
mod beside;
mod brief;
mod junit_xml;
mod page;
mod reasons;
mod run_json;
pub mod story;
mod summary_md;
pub mod terminal;
mod texts;
mod timeseries_csv;
pub(crate) mod units;
mod violations_ndjson;

use crate::report::RunReport;

/// One rendering of a report.
pub trait Renderer: Sync {
    /// Name of the file in the bundle.
    fn file_name(&self) -> &'static str;
    /// The file's content.
    ///
    /// # Errors
    /// When the report cannot be serialised, which is a bug.
    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError>;
}

/// A report could not be serialised.
#[derive(Debug, thiserror::Error)]
#[error("cannot render {file}: {why}")]
pub struct RenderError {
    file: &'static str,
    why: String,
}

/// Every file of the bundle that is made from the report.
pub const ALL: &[&dyn Renderer] = &[
    &run_json::RunJson,
    &summary_md::SummaryMd,
    &junit_xml::JunitXml,
    &timeseries_csv::TimeseriesCsv,
    &violations_ndjson::ViolationsNdjson,
];
