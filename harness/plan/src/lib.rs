//! Scenario text to a checked [`Plan`]: the only form in which a run is described to the engine and
//! to the judge.
//!
//! Everything here is pure: no socket, no clock, no file is opened (callers pass texts in), and
//! randomness is a function of (root seed, purpose, client, attempt), so that equal seeds give
//! equal plans, schedules and jitter whatever the sockets do.
//!
//! [`load`] reads a scenario, its profile, its gate files and the flags, and gives a [`Plan`] or
//! everything that is wrong at once. [`Schedule`] is the plan unrolled: when each client arrives,
//! each command is due, and whom each fault hits. [`estimate`] says beforehand what that takes and
//! whether the gates can be decided; [`resolved`] writes the plan down as a scenario again.

pub mod apportion;
pub mod backoff;
pub mod draw;
pub mod estimate;
pub mod fault;
pub mod gate;
pub mod metric;
pub mod model;
mod read;
pub mod resolved;
pub mod rollout;
pub mod schedule;
pub mod stability;
pub mod stages;
pub mod surface;
#[cfg(test)]
mod testing;
mod text;
mod told;
pub mod units;

pub use estimate::{check_schema, check_unread};
pub use model::Plan;
pub use read::reference::{of_fault as fault_reference, page as scenario_reference};
pub use read::schema::{
    gate_files as gate_file_schema, rollouts as rollout_schema, scenarios as scenario_schema,
    waivers as waiver_schema,
};
pub use read::suggest::closest;
pub use read::{
    Diagnostic, Diagnostics, Environment, KnownDefect, Loaded, Loader, Options, Setting, Severity,
    Sources, load, names_a_secret,
};
pub use schedule::Schedule;
pub use text::{TEXT_MAX_MIB, text};
