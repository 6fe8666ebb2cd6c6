//! `selftest`: the harness tried by itself.

mod ceiling;

use crate::args;
use crate::exit::{Exit, Failure};

/// Does what is asked; arguments that ask for nothing are refused before.
pub fn run(selftest: &args::Selftest) -> Result<Exit, Failure> {
    ceiling::run(selftest)
}
