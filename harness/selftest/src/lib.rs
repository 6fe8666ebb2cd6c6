//! `selftest`: the harness tried by itself.
//!
//! `--matrix` runs every defect of the reference runtime, each of which must be caught by the rule or
//! gate that the catalogue names and by nothing that does not follow from it. `--clean` runs every
//! scenario and fault on a runtime that keeps the contract, of which nothing may be said. `--wire` puts a
//! proxy that deviates before such a runtime. `--page` tells what all of them came to. `--ceiling` looks
//! for what the generator can carry. All run this same program as a child process and judge by the bundle
//! that it leaves: there is no second way to a report, and nothing here looks into a run.

mod args;
mod bundle;
mod case;
mod cases;
mod ceiling;
mod child;
mod clean;
mod clean_page;
mod clean_result;
mod clock;
mod exams;
mod folder;
mod judging;
mod matrix;
mod matrix_page;
pub mod null;
mod pool;
mod runner;
mod select;
mod texts;
mod wire;

pub use args::Args;
pub use texts::{shipped, shipped_scenario, shipped_target, shipped_targets};

use khala_console::exit::{Exit, Failure};
use khala_console::{exit, output, signals};

/// What `--wire --list` prints of all deviations.
#[must_use]
pub fn wire_page() -> String {
    wire::page_of_all()
}

/// Does what is asked; arguments that ask for nothing are refused before.
pub fn run(selftest: &Args) -> Result<Exit, Failure> {
    match selftest.clean {
        _ if selftest.ceiling => ceiling::run(selftest),
        _ if selftest.wire => wire::run(selftest),
        _ if !selftest.page.is_empty() => exams::run(&selftest.page),
        Some(seeds) => clean::run(selftest, seeds),
        None => matrix::run(selftest),
    }
}
