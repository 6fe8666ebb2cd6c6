//! What the null server did, by its own clock.
//!
//! Times are of the run: the harness writes into each event when it was due, and the event that was
//! taken soonest after that tells where the run's clock is on this one. The error of that is what the
//! fastest command took, a fraction of a millisecond; what others took longer, a freeze among it,
//! counts as waiting, as it does for the harness.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use khala_plan::units::micros;
use serde::{Deserialize, Serialize};

use super::shared::Shared;
use khala_reference::sync::read;

/// `GET` the record; `from_us` and `to_us` restrict it to events that were due in between.
pub const RECORD_PATH: &str = "/null/record";

/// One delivery.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The event.
    pub seq: u64,
    /// When it was handed to the socket.
    pub handed: Instant,
    /// How much later than drawn that was.
    pub late: Duration,
}

/// Deliveries of events that were due within the window, from when they were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deliveries {
    /// How many.
    pub count: u64,
    /// Median, in microseconds.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// 99.9th percentile.
    pub p99_9_us: u64,
    /// The largest.
    pub max_us: u64,
}

/// How much later than drawn the server handed over, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// The largest.
    pub max_us: u64,
}

/// Events that were due within the window, as they were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publishes {
    /// How many.
    pub count: u64,
    /// When the first was taken, in microseconds of the run.
    pub first_us: u64,
    /// When the last was.
    pub last_us: u64,
}

/// A freeze as it came about, in microseconds of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Its first.
    pub from_us: u64,
    /// Its last.
    pub to_us: u64,
}

/// What the server did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Events taken.
    pub publishes: Publishes,
    /// Deliveries, from when they were due to when they were handed over.
    pub deliveries: Deliveries,
    /// How late the server itself was with them.
    pub late: Lateness,
    /// Freezes of the whole run.
    pub frozen: Vec<Frozen>,
    /// Heartbeats answered, in the whole run.
    pub heartbeats: u64,
    /// Sockets that were ever opened.
    pub sockets: u64,
    /// Deliveries that are in no figure, because too many were to be kept.
    pub dropped: u64,
}

impl Record {
    /// The record of the events that were due from `from_us` on and before `to_us`.
    pub fn of(shared: &Shared, from_us: u64, to_us: u64) -> Self {
        let relaxed = Ordering::Relaxed;
        let mut record = Self {
            heartbeats: shared.heartbeats.load(relaxed),
            sockets: shared.next_client.load(relaxed),
            dropped: shared.dropped.load(relaxed),
            ..Self::default()
        };
        let mut samples = shared.samples();
        let log = read(&shared.log);
        let marked = log.events().iter().filter_map(|event| Some((event, event.at_us?)));
        let Some(zero) = marked.clone().filter_map(|(event, at)| back(event.taken, at)).min()
        else {
            return record;
        };
        let within = |at_us: u64| (from_us..to_us).contains(&at_us);
        let since_zero = |instant: Instant| micros(instant.saturating_duration_since(zero));
        let taken = marked.filter(|(_, at_us)| within(*at_us)).map(|(e, _)| since_zero(e.taken));
        let (first, last) = (taken.clone().min(), taken.clone().max());
        record.publishes = Publishes {
            count: taken.count() as u64,
            first_us: first.unwrap_or(0),
            last_us: last.unwrap_or(0),
        };
        let due = |seq: u64| log.after(seq.saturating_sub(1)).first().and_then(|e| e.at_us);
        samples.retain(|sample| due(sample.seq).is_some_and(within));
        let took = |sample: &Sample| {
            let due_us = due(sample.seq).unwrap_or_default();
            since_zero(sample.handed).saturating_sub(due_us)
        };
        let latencies = sorted(samples.iter().map(took));
        record.deliveries = Deliveries {
            count: latencies.len() as u64,
            p50_us: rank(&latencies, 500),
            p99_us: rank(&latencies, 990),
            p99_9_us: rank(&latencies, 999),
            max_us: latencies.last().copied().unwrap_or(0),
        };
        let late = sorted(samples.iter().map(|sample| micros(sample.late)));
        record.late = Lateness {
            p50_us: rank(&late, 500),
            p99_us: rank(&late, 990),
            max_us: late.last().copied().unwrap_or(0),
        };
        let frozen = shared.frozen().into_iter();
        record.frozen = frozen
            .map(|(from, to)| Frozen { from_us: since_zero(from), to_us: since_zero(to) })
            .collect();
        record
    }
}

fn back(instant: Instant, us: u64) -> Option<Instant> {
    instant.checked_sub(Duration::from_micros(us))
}

fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

/// The smallest value that so many in a thousand are at or below; 0 of none.
fn rank(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_by_rank() {
        let values: Vec<u64> = (1..=1_000).collect();
        assert_eq!([500, 990, 999].map(|q| rank(&values, q)), [500, 990, 999]);
        assert_eq!(rank(&values[..1], 999), 1);
        assert_eq!(rank(&[], 500), 0);
    }
}
