//! `init`: a first scenario to start from, explained line by line.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::show::quoted;

const FIRST: &str = include_str!("first.toml");

/// Writes the scenario, and the schema beside it unless there is one. Never touches what is there.
pub fn run(init: &args::Init) -> Result<Exit, Failure> {
    let folder = scenarios(&init.dir);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let first = folder.join("first.toml");
    if !write_new(&first, &named(&first))? {
        let message = format!(
            "{} is there already, and nothing was written: move it away, or name another folder, as \
             in `khala-harness init DIR`",
            first.display()
        );
        return Err(Failure::new(Exit::Setup, message));
    }
    let mut said = format!("wrote {}\n", first.display());
    let schema = folder.join("scenario.schema.json");
    let verb = match write_new(&schema, &khala_plan::scenario_schema())? {
        true => "wrote",
        false => "kept",
    };
    said.push_str(&format!("{verb} {}\n", schema.display()));
    let path = quoted(&first.display().to_string());
    said.push_str(&format!("\nNext:\n  khala-harness check {path}\n  khala-harness run {path}\n"));
    output::print(said.as_bytes())?;
    Ok(Exit::Go)
}

/// The scenario, in whose comments its own path stands as one types it.
fn named(first: &Path) -> String {
    let path = quoted(&first.display().to_string());
    // Anything else would end the comment.
    if path.chars().any(char::is_control) {
        return FIRST.to_owned();
    }
    FIRST.replace("scenarios/first.toml", &path)
}

/// The folder of scenarios in `dir`, as one would write it.
fn scenarios(dir: &Path) -> PathBuf {
    if dir == Path::new(".") { PathBuf::from("scenarios") } else { dir.join("scenarios") }
}

/// Writes a file that is not there; `false` when it is.
fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    let context = || format!("cannot write {}", path.display());
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        opened => opened.with_context(context)?,
    };
    if let Err(error) = file.write_all(text.as_bytes()) {
        // Half of it would be in the way of the next try.
        let _ = fs::remove_file(path);
        return Err(error).with_context(context);
    }
    Ok(true)
}
