//! The one module of this crate that reads clocks: one for its own waits, the time of day for what
//! it dates.

#![expect(clippy::disallowed_methods, reason = "this is the module that reads them")]

use std::time::Instant;

/// Now, for waits.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// UTC now, RFC 3339, to the second.
#[must_use]
pub fn utc_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
