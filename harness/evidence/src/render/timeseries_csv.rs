//! `timeseries.csv`: one row a second. Times of day are the harness's clock at the start of the run, and the
//! run's own seconds from there: a clock that is set meanwhile moves no row.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{RenderError, Renderer};
use crate::report::RunReport;

pub struct TimeseriesCsv;

const HEADER: [&str; 27] = [
    "second",
    "time",
    "phase",
    "open",
    "connects",
    "reconnects",
    "connected",
    "disconnected",
    "converged",
    "deliveries",
    "published",
    "errors",
    "violations",
    "delivery_p50_us",
    "delivery_p90_us",
    "delivery_p99_us",
    "delivery_p99_9_us",
    "delivery_max_us",
    "generator_cpu_us",
    "generator_waited_us",
    "generator_memory_kib",
    "generator_descriptors",
    "generator_lag_max_us",
    "generator_queue_max_us",
    "generator_wall_us",
    "generator_hottest_us",
    "generator_backlog_bytes",
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
        let started = DateTime::parse_from_rfc3339(&report.started_at).ok();
        for second in &report.series {
            let counts = &second.counts;
            let row = [
                second.second.to_string(),
                started.and_then(|at| time_of_day(at.to_utc(), second.second)).unwrap_or_default(),
                second.phase.clone(),
                second.open.to_string(),
                counts.connects.to_string(),
                counts.reconnects.to_string(),
                counts.connected.to_string(),
                counts.disconnected.to_string(),
                counts.converged.to_string(),
                counts.deliveries.to_string(),
                counts.published.to_string(),
                counts.errors.to_string(),
                second.violations.to_string(),
                or_empty(second.delivery_p50_us),
                or_empty(second.delivery_p90_us),
                or_empty(second.delivery_p99_us),
                or_empty(second.delivery_p99_9_us),
                or_empty(second.delivery_max_us),
                second.generator.cpu_us.to_string(),
                second.generator.waited_us.to_string(),
                second.generator.memory_kib.to_string(),
                second.generator.descriptors.to_string(),
                second.generator.lag_max_us.to_string(),
                second.generator.queue_max_us.to_string(),
                second.generator.wall_us.to_string(),
                second.generator.hottest_us.to_string(),
                second.generator.backlog_bytes.to_string(),
            ];
            writer.write_record(row).map_err(|e| error(e.to_string()))?;
        }
        writer.into_inner().map_err(|e| error(e.to_string()))
    }
}

/// UTC, RFC 3339, to the second.
fn time_of_day(started: DateTime<Utc>, second: u32) -> Option<String> {
    let at = started.checked_add_signed(TimeDelta::seconds(second.into()))?;
    Some(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
