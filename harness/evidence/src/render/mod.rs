//! Renderings of a [`RunReport`]: one file each behind one trait, bytes out of the report alone.
//!
//! A new rendering is one file and one line in [`ALL`].

pub(crate) mod befell;
mod beside;
mod brief;
mod clusters_ndjson;
pub mod escape;
mod histograms_ndjson;
mod junit_xml;
mod page;
mod reasons;
pub mod report_html;
mod run_json;
mod stories_ndjson;
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

/// Adds a line of JSON to a file.
fn line(
    file: &'static str,
    bytes: &mut Vec<u8>,
    line: &impl serde::Serialize,
) -> Result<(), RenderError> {
    serde_json::to_writer(&mut *bytes, line)
        .map_err(|error| RenderError { file, why: error.to_string() })?;
    bytes.push(b'\n');
    Ok(())
}

/// Every file of the bundle that is made from the report.
pub const ALL: &[&dyn Renderer] = &[
    &run_json::RunJson,
    &summary_md::SummaryMd,
    &report_html::ReportHtml,
    &junit_xml::JunitXml,
    &timeseries_csv::TimeseriesCsv,
    &violations_ndjson::ViolationsNdjson,
    &histograms_ndjson::HistogramsNdjson,
    &clusters_ndjson::ClustersNdjson,
    &stories_ndjson::StoriesNdjson,
];
