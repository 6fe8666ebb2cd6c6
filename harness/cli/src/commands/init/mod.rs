//! `init`: a first scenario to start from, explained line by line, or one of those that ship.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::list;
use crate::args;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::show::quoted;

const FIRST: &str = include_str!("first.toml");
/// The stages of a rollout, and the matrix of surfaces that they name.
const ROLLOUT: (&str, &str) =
    ("rollout.toml", include_str!("../../../../../scenarios/rollout.toml"));
const SURFACES: (&str, &str) =
    ("SURFACES.md", include_str!("../../../../../scenarios/SURFACES.md"));

/// Writes what is asked for, and the schema beside it unless there is one. Never touches what is there.
pub fn run(init: &args::Init) -> Result<Exit, Failure> {
    let folder = scenarios(&init.dir);
    let wanted = Wanted::of(init, &folder)?;
    if let Some(there) = wanted.files.iter().map(|(path, _)| path).find(|path| path.exists()) {
        return Err(is_there(there));
    }
    let mut said = String::new();
    for (path, text) in &wanted.files {
        let folder = path.parent().unwrap_or(&folder);
        fs::create_dir_all(folder).map_err(|error| Failure::unwritten("make", folder, &error))?;
        if !write_new(path, text)? {
            return Err(is_there(path));
        }
        said.push_str(&format!("wrote {}\n", path.display()));
    }
    for (path, text) in &wanted.beside {
        let folder = path.parent().unwrap_or(&folder);
        fs::create_dir_all(folder).map_err(|error| Failure::unwritten("make", folder, &error))?;
        let verb = match write_new(path, text)? {
            true => "wrote",
            false => "kept",
        };
        said.push_str(&format!("{verb} {}\n", path.display()));
    }
    said.push_str(&format!("\nNext:\n{}", wanted.next));
    output::print(said.as_bytes())?;
    Ok(Exit::Go)
}

fn is_there(path: &Path) -> Failure {
    let message = format!(
        "{} is there already, and nothing was written: move it away, or name another folder, as \
         in `khala-harness init DIR`",
        path.display()
    );
    Failure::new(Exit::Setup, message)
}

/// What is to be written, and what to say of it.
struct Wanted {
    /// What is asked for, which must not be there.
    files: Vec<(PathBuf, String)>,
    /// What belongs to it and may be there.
    beside: Vec<(PathBuf, String)>,
    /// Commands to try, a line each.
    next: String,
}

impl Wanted {
    fn of(init: &args::Init, folder: &Path) -> Result<Self, Failure> {
        let schema = (folder.join("scenario.schema.json"), khala_plan::scenario_schema());
        let mut wanted = Self { files: Vec::new(), beside: vec![schema], next: String::new() };
        if let Some(name) = &init.scenario {
            let shipped = khala_selftest::shipped_scenario(name).ok_or_else(|| {
                list::unknown(args::Listed::Scenarios, name, &khala_selftest::shipped())
            })?;
            let mut files =
                shipped.into_iter().map(|(path, text)| (folder.join(path), text.to_owned()));
            wanted.files.extend(files.next());
            wanted.beside.extend(files);
            wanted.next_of(&["check", "run"]);
        }
        if let Some(name) = &init.target {
            let (path, text) =
                khala_selftest::shipped_target(name).ok_or_else(|| no_target(name))?;
            wanted.files.push((folder.join(path), text.to_owned()));
            wanted.next_of(&["doctor --target"]);
        }
        if init.rollout {
            wanted.rollout(folder)?;
        }
        if wanted.files.is_empty() {
            let first = folder.join("first.toml");
            let text = named(&first);
            wanted.files.push((first, text));
            wanted.next_of(&["check", "run"]);
        }
        Ok(wanted)
    }

    /// Adds the rollout file, with all that it names beside it.
    fn rollout(&mut self, folder: &Path) -> Result<(), Failure> {
        let (name, text) = ROLLOUT;
        let rollout = khala_plan::rollout::load(name, text, &|_| None).map_err(|wrong| {
            let what = format!("the rollout file that ships is wrong: {}", wrong.render(false));
            Failure::new(Exit::Internal, what)
        })?;
        let holds = rollout.stages.iter().filter_map(|stage| stage.hold.as_ref());
        let holds = holds.map(|hold| &hold.scenario);
        let scenarios = rollout.stages.iter().flat_map(|stage| &stage.scenarios).chain(holds);
        let mut beside = BTreeMap::from([SURFACES]);
        for scenario in scenarios {
            let name = scenario.file.trim_end_matches(".toml");
            beside.extend(khala_selftest::shipped_scenario(name).unwrap_or_default());
        }
        self.files.push((folder.join(name), text.to_owned()));
        let schema = ("rollout.schema.json", khala_plan::rollout_schema());
        let beside = beside.into_iter().map(|(path, text)| (path, text.to_owned()));
        self.beside.extend(
            std::iter::once(schema).chain(beside).map(|(path, text)| (folder.join(path), text)),
        );
        let path = quoted(&folder.join(name).display().to_string());
        self.next.push_str(&format!(
            "  khala-harness stage 0 --owner NAME --hold 1m --rollout {path}\n"
        ));
        Ok(())
    }

    /// Commands to try with the last of the files.
    fn next_of(&mut self, commands: &[&str]) {
        let Some((path, _)) = self.files.last() else { return };
        let path = quoted(&path.display().to_string());
        for command in commands {
            self.next.push_str(&format!("  khala-harness {command} {path}\n"));
        }
    }
}

fn no_target(name: &str) -> Failure {
    let help = match khala_plan::closest(name, khala_selftest::shipped_targets()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let all: Vec<_> = khala_selftest::shipped_targets().collect();
            format!("there are {}", all.join(" and "))
        }
    };
    Failure::new(Exit::Usage, format!("no target profile `{name}` ships: {help}"))
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
fn write_new(path: &Path, text: &str) -> Result<bool, Failure> {
    let unwritten = |error| Failure::unwritten("write", path, &error);
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        opened => opened.map_err(unwritten)?,
    };
    if let Err(error) = file.write_all(text.as_bytes()) {
        // Half of it would be in the way of the next try.
        let _ = fs::remove_file(path);
        return Err(unwritten(error));
    }
    Ok(true)
}
