//! `completions`: a shell's completion script, from the one definition of the arguments.

use clap::CommandFactory as _;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the script.
pub fn run(completions: &args::Completions) -> Result<Exit, Failure> {
    let mut command = args::Args::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command, &name, &mut script);
    output::print(repaired(&String::from_utf8_lossy(&script), &name).as_bytes())?;
    Ok(Exit::Go)
}

/// The script for bash calls a program with a hyphen by two names, and so completes nothing after a
/// command (clap-rs/clap#6421). Where that has been mended, there is nothing to replace.
fn repaired(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}
