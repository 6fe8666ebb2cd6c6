//! `man`: manual pages, from the one definition of the arguments.

use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the main page, or writes one page for each command.
pub fn run(man: &args::Man) -> Result<Exit, Failure> {
    let mut command = args::Args::command().disable_help_subcommand(true);
    // Gives the commands their full names and the main one's version.
    command.build();
    match &man.out_dir {
        None => output::print(&page(command)?)?,
        Some(dir) => write_all(dir, command)?,
    }
    Ok(Exit::Go)
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page).context("cannot render a page")?;
    Ok(page)
}

/// Pages are made anew each time, so one that is there already is replaced.
fn write_all(dir: &Path, command: Command) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| Failure::unwritten("make", dir, &error))?;
    let mut commands: Vec<Command> =
        command.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    commands.insert(0, command);
    for command in commands {
        let path = dir.join(Man::new(command.clone()).get_filename());
        std::fs::write(&path, page(command)?)
            .map_err(|error| Failure::unwritten("write", &path, &error))?;
        output::print(format!("{}\n", path.display()).as_bytes())?;
    }
    Ok(())
}
