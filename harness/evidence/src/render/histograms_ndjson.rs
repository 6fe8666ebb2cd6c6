//! `histograms.ndjson`: the samples of each figure as HDR histograms, a line a figure of `run.json`.

use khala_plan::surface::Surface;
use serde::Serialize;

use super::{RenderError, Renderer};
use crate::hist::Hist;
use crate::report::RunReport;

pub struct HistogramsNdjson;

#[derive(Serialize)]
struct Line<'a> {
    metric: &'a str,
    /// Of the values: `us` or `count`.
    unit: &'a str,
    phase: &'a str,
    surface: Option<Surface>,
    /// Samples without a service time.
    apart: u64,
    /// From the intended start: V2 deflate in base64, and how many values were above the range.
    response: &'a Hist,
    /// From the actual start.
    service: &'a Hist,
}

impl Renderer for HistogramsNdjson {
    fn file_name(&self) -> &'static str {
        "histograms.ndjson"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut bytes = Vec::new();
        for (figure, samples) in report.sampled() {
            let line = Line {
                metric: figure.metric.name(),
                unit: &figure.unit,
                phase: &figure.phase,
                surface: figure.surface,
                apart: samples.apart,
                response: &samples.response,
                service: &samples.service,
            };
            super::line(self.file_name(), &mut bytes, &line)?;
        }
        Ok(bytes)
    }
}
