//! The one module of this crate that reads clocks. What the engine is measured against has one of its own.

#![expect(clippy::disallowed_methods, reason = "this is the module that reads them")]

use std::time::Instant;

/// Now.
pub fn now() -> Instant {
    Instant::now()
}
