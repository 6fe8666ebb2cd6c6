//! The one module that reads the clock.
//!
//! A run has one origin on the monotonic clock; every thread converts through a copy of the same
//! [`Clock`], so times of different threads can be compared. The clock is tokio's, so that what waits
//! for a time and what reads it cannot disagree; outside of tests that is the system's. Wall-clock time
//! is read only for tokens and for the report's head.

#![expect(clippy::disallowed_methods, reason = "this is the module that reads them")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use khala_evidence::record::Micros;
pub use khala_plan::units::micros;
use tokio::time::Instant;

/// Now, by the clock that a run waits by.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Now, as the standard library tells it to what knows no tokio; the same clock as [`now`].
#[must_use]
pub fn system_now() -> std::time::Instant {
    now().into_std()
}

/// The run's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose zero lies `lead` from now, so that everybody is ready when it strikes.
    #[must_use]
    pub fn starting_in(lead: Duration) -> Self {
        Self { origin: now() + lead }
    }

    /// Microseconds since the origin; 0 before it.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.at(now())
    }

    /// Microseconds from the origin to an instant of the system's clock; 0 before it.
    #[must_use]
    pub fn since(&self, instant: std::time::Instant) -> Micros {
        self.at(instant.into())
    }

    fn at(&self, instant: Instant) -> Micros {
        micros(instant.saturating_duration_since(self.origin))
    }

    /// The instant of a time of the run.
    #[must_use]
    pub fn instant(&self, at: Micros) -> Instant {
        self.origin + Duration::from_micros(at)
    }
}

/// For caps, which count in time since the origin.
impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        now().saturating_duration_since(self.origin)
    }
}

/// Now, in UTC.
#[must_use]
pub fn utc_now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Seconds since 1970, for tokens.
#[must_use]
pub fn unix_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
