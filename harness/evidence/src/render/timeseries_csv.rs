//! `timeseries.csv`: one row a second.

use super::{RenderError, Renderer};
use crate::report::RunReport;

pub struct TimeseriesCsv;

const HEADER: [&str; 18] = [
    "second",
    "phase",
    "open",
    "connects",
    "connected",
    "disconnected",
    "converged",
    "deliveries",
    "published",
    "errors",
    "delivery_p50_us",
    "delivery_max_us",
    "generator_cpu_us",
    "generator_waited_us",
    "generator_memory_kib",
    "generator_descriptors",
    "generator_lag_max_us",
    "generator_queue_max_us",
];

impl Renderer for TimeseriesCsv {
    fn file_name(&self) -> &'static str {
        "timeseries.csv"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let error = |error: String| RenderError { file: self.file_name(), why: error };
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER).map_err(|e| error(e.to_string()))?;
        let or_empty = |value: Option<u64>| value.map_or_else(String::new, |v| v.to_string());
        for second in &report.series {
            let counts = &second.counts;
            let row = [
                second.second.to_string(),
                second.phase.clone(),
                second.open.to_string(),
                counts.connects.to_string(),
                counts.connected.to_string(),
                counts.disconnected.to_string(),
                counts.converged.to_string(),
                counts.deliveries.to_string(),
                counts.published.to_string(),
                counts.errors.to_string(),
                or_empty(second.delivery_p50_us),
                or_empty(second.delivery_max_us),
                second.generator.cpu_us.to_string(),
                second.generator.waited_us.to_string(),
                second.generator.memory_kib.to_string(),
                second.generator.descriptors.to_string(),
                second.generator.lag_max_us.to_string(),
                second.generator.queue_max_us.to_string(),
            ];
            writer.write_record(row).map_err(|e| error(e.to_string()))?;
        }
        writer.into_inner().map_err(|e| error(e.to_string()))
    }
}
