//! `run.json`: the report's summary, on one line. It does not grow with the length of the run.

use super::{RenderError, Renderer};
use crate::report::RunReport;

pub struct RunJson;

impl Renderer for RunJson {
    fn file_name(&self) -> &'static str {
        "run.json"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut bytes = serde_json::to_vec(report)
            .map_err(|error| RenderError { file: self.file_name(), why: error.to_string() })?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
