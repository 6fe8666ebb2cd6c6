//! stub
use crate::args;
use crate::exit::{Exit, Failure};
pub fn run(_selftest: &args::Selftest) -> Result<Exit, Failure> {
    Ok(Exit::Go)
}
