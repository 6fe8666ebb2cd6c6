//! The clocks by which stages are written down: the one on the wall, and one that nobody can set.

#![expect(clippy::disallowed_methods, reason = "this is the module that reads them")]

use khala_engine::clock;
use khala_stage::stamp::Stamp;
use rustix::time::{ClockId, clock_gettime};

/// Where the kernel says which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Now.
pub fn now() -> Stamp {
    let now = clock::utc_now();
    let up = clock_gettime(ClockId::Boottime);
    let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    Stamp {
        at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        unix_ms: now.as_millisecond(),
        uptime_ms: up.tv_sec * 1_000 + up.tv_nsec / 1_000_000,
        boot: boot.trim().to_owned(),
    }
}
