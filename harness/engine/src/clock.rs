//! The one module that reads the clock.
//!
//! A run has one origin on the monotonic clock; every thread converts through a copy of the same
//! [`Clock`], so times of different threads can be compared. Wall-clock time is read only for
//! tokens and for the report's head.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use khala_evidence::record::Micros;

/// The run's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose zero lies `lead` from now, so that everybody is ready when it strikes.
    #[must_use]
    pub fn starting_in(lead: Duration) -> Self {
        Self { origin: Instant::now() + lead }
    }

    /// Microseconds since the origin; 0 before it.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.since(Instant::now())
    }

    /// Microseconds from the origin to an instant; 0 before it.
    #[must_use]
    pub fn since(&self, instant: Instant) -> Micros {
        let elapsed = instant.saturating_duration_since(self.origin);
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }

    /// The instant of a time of the run.
    #[must_use]
    pub fn instant(&self, at: Micros) -> tokio::time::Instant {
        (self.origin + Duration::from_micros(at)).into()
    }
}

/// Seconds since 1970, for tokens.
#[must_use]
pub fn unix_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// A duration in microseconds.
#[must_use]
pub fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
