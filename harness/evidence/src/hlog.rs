//! `latency.hlog`: the histograms of each second, as HdrHistogram's own tools read them.
//!
//! Format 1.3 of the interval log, V2 deflate, values in microseconds, times in seconds from the start
//! of the run. A tag names metric, phase and surface, `:service` stands behind those that run from the
//! actual start. Adding up the intervals of a tag gives the very histogram of `histograms.ndjson`. Made from the
//! journal, entry by entry: a histogram of every second is too much to hold. What is settled when all threads' records
//! have come together is not in it ([`MetricId::is_settled_at_end`](khala_plan::metric::MetricId::is_settled_at_end)).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use chrono::DateTime;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use khala_plan::metric::MetricKind;
use khala_plan::schedule::PhaseWindow;

use crate::hist::Hist;
use crate::shard::metrics::{Key, Metrics};

/// Threads give what they gathered in a second within this many more.
const SECONDS_OPEN: u32 = 2;

/// Writes the log.
pub struct Hlog<'a, W> {
    out: W,
    phases: &'a [PhaseWindow],
    open: BTreeMap<u32, Metrics>,
}

impl<'a, W: Write> Hlog<'a, W> {
    /// Writes the head of a log of a run that started at `started_at` (UTC, RFC 3339).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(mut out: W, started_at: &str, phases: &'a [PhaseWindow]) -> io::Result<Self> {
        writeln!(out, "#[Histogram log format version 1.3]")?;
        let started = DateTime::parse_from_rfc3339(started_at).map_err(io::Error::other)?;
        let started = started.timestamp();
        // As HdrHistogram's writers have it: their readers take both, and times for seconds from the base.
        writeln!(out, "#[StartTime: {started}.000 (seconds since epoch), {started_at}]")?;
        writeln!(out, "#[BaseTime: {started}.000 (seconds since epoch)]")?;
        writeln!(out, "#[Values are microseconds]")?;
        writeln!(
            out,
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
             \"Interval_Compressed_Histogram\""
        )?;
        Ok(Self { out, phases, open: BTreeMap::new() })
    }

    /// Takes what a thread gathered until the end of a second.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn add(&mut self, second: u32, metrics: &Metrics) -> io::Result<()> {
        self.open.entry(second).or_default().merge(metrics);
        while let Some((&first, _)) = self.open.first_key_value()
            && first.saturating_add(SECONDS_OPEN) < second
        {
            self.write_first()?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        while !self.open.is_empty() {
            self.write_first()?;
        }
        Ok(self.out)
    }

    fn write_first(&mut self) -> io::Result<()> {
        let Some((second, metrics)) = self.open.pop_first() else { return Ok(()) };
        for (key, sample) in metrics.distributions() {
            if key.metric.kind() != MetricKind::Latency {
                continue;
            }
            let tag = tag(key, self.phases);
            self.write(second, &tag, &sample.response)?;
            self.write(second, &format!("{tag}:service"), &sample.service)?;
        }
        Ok(())
    }

    fn write(&mut self, second: u32, tag: &str, hist: &Hist) -> io::Result<()> {
        if hist.is_empty() {
            return Ok(());
        }
        let tag = Tag::new(tag).ok_or_else(|| io::Error::other("a tag with a comma or a space"))?;
        let mut serializer = V2DeflateSerializer::new();
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.out, &mut serializer)?
            .write_histogram(
                hist.inner(),
                Duration::from_secs(second.into()),
                Duration::from_secs(1),
                Some(tag),
            )
            .map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Metric, phase and surface, without what would end a tag.
fn tag(key: &Key, phases: &[PhaseWindow]) -> String {
    let phase = phases.get(usize::from(key.phase)).map_or("?", |phase| &phase.name);
    let surface = key.surface.map(|surface| format!("/{}", surface.name())).unwrap_or_default();
    let tag = format!("{}/{phase}{surface}", key.metric.name());
    tag.replace([',', ' ', '\r', '\n', '\t'], "_")
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use hdrhistogram::{Histogram, serialization::Deserializer};
    use khala_plan::metric::MetricId;
    use khala_plan::surface::Surface;

    use super::*;

    fn metrics(values: &[u64]) -> Metrics {
        let mut metrics = Metrics::default();
        let key = Key { metric: MetricId::Delivery, phase: 0, surface: Some(Surface::Ios) };
        values.iter().for_each(|&value| metrics.sample(key, 0, 0, value, value / 2));
        metrics
    }

    fn phases() -> Vec<PhaseWindow> {
        vec![PhaseWindow {
            name: "a storm, big".to_owned(),
            start_us: 0,
            end_us: 9_000_000,
            measure: true,
        }]
    }

    #[test]
    fn the_intervals_of_a_tag_add_up_whatever_the_order_of_the_threads() {
        let phases = phases();
        let mut log = Hlog::begin(Vec::new(), "2026-01-01T00:00:00Z", &phases).expect("writes");
        for (second, values) in [(1, &[10_u64, 20][..]), (2, &[30]), (1, &[5]), (7, &[40])] {
            log.add(second, &metrics(values)).expect("writes");
        }
        let bytes = log.finish().expect("writes");
        let mut whole = Histogram::<u32>::new_with_bounds(1, 600_000_000, 3).expect("bounds");
        let mut starts = Vec::new();
        // The legend is no line that this reader knows.
        let text = String::from_utf8(bytes).expect("text");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('"')).collect();
        let mut times = Vec::new();
        for entry in IntervalLogIterator::new(format!("{}\n", lines.join("\n")).as_bytes()) {
            let interval = match entry.expect("parses") {
                LogEntry::Interval(interval) => interval,
                LogEntry::StartTime(time) | LogEntry::BaseTime(time) => {
                    times.push(time.as_secs());
                    continue;
                }
            };
            if interval.tag().map(|tag| tag.as_str()) != Some("delivery/a_storm__big/ios") {
                continue;
            }
            let bytes = base64::Engine::decode(
                &base64::engine::general_purpose::STANDARD,
                interval.encoded_histogram(),
            );
            let read: Histogram<u32> = Deserializer::new()
                .deserialize(&mut bytes.expect("base64").as_slice())
                .expect("a histogram");
            starts.push(interval.start_timestamp().as_secs());
            whole.add(&read).expect("the same bounds");
        }
        assert_eq!(starts, [1, 2, 7]);
        // 2026-01-01T00:00:00Z
        assert_eq!(times, [1_767_225_600; 2], "{text}");
        assert!(
            text.lines()
                .nth(1)
                .is_some_and(|line| line.starts_with("#[StartTime: 1767225600.000 "))
        );
        assert_eq!((whole.len(), whole.min(), whole.max()), (5, 5, 40));
    }
}
