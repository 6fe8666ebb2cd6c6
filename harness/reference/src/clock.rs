//! The one module of this crate that reads clocks: tokio's for what waits, the wall clock for what
//! is dated.

#![expect(clippy::disallowed_methods, reason = "this is the module that reads them")]

use jiff::Timestamp;
use tokio::time::Instant;

/// Now, by the clock that the runtime waits by.
pub fn now() -> Instant {
    Instant::now()
}

/// Unix seconds, as tokens and signatures count.
pub fn unix_s() -> i64 {
    Timestamp::now().as_second()
}

/// Unix milliseconds, as the journal dates updates.
pub fn unix_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Now as the runtime writes times: RFC 3339, UTC, microseconds.
pub fn rfc3339() -> String {
    rfc3339_of(Timestamp::now())
}

/// A unix second in the same form.
pub fn rfc3339_of_unix(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).map(rfc3339_of).unwrap_or_default()
}

fn rfc3339_of(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_microseconds_and_a_z() {
        assert_eq!(super::rfc3339_of_unix(1_795_417_483), "2026-11-23T07:04:43.000000Z");
    }
}
