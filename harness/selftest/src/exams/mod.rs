//! `selftest --page`: what all exams came to, on one page, from what they wrote. Nothing is run here, and
//! what was not run, or only in part, is said to be so.

mod page;
mod read;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::read::{Exam, Kind};
use crate::exit::{Exit, Failure};
use crate::output;

/// Prints the page.
pub fn run(paths: &[PathBuf]) -> Result<Exit, Failure> {
    let mut exams = Vec::new();
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        let what = format!("{} is not there: name a result, or its folder", missing.display());
        return Err(Failure::new(Exit::Setup, what));
    }
    for path in paths {
        exams.extend(exams_in(path)?);
    }
    exams.sort_by(|one, other| (one.kind, &one.started_at).cmp(&(other.kind, &other.started_at)));
    output::print(page::page(&exams, env!("CARGO_PKG_VERSION")).as_bytes())?;
    Ok(Exit::Go)
}

/// The results in a folder, or of a file.
fn exams_in(path: &Path) -> anyhow::Result<Vec<Exam>> {
    if !path.is_dir() {
        return Ok(vec![exam_in(path)?]);
    }
    let files = Kind::ALL.iter().map(|kind| path.join(kind.file())).filter(|path| path.is_file());
    let found = files.map(|path| exam_in(&path)).collect::<anyhow::Result<Vec<_>>>()?;
    let names = Kind::ALL.map(Kind::file).join(", ");
    anyhow::ensure!(!found.is_empty(), "there is none of {names} in {}", path.display());
    Ok(found)
}

fn exam_in(path: &Path) -> anyhow::Result<Exam> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|kind| kind.file() == name);
    let kind = kind.with_context(|| format!("{} has no name of a result", path.display()))?;
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    read::read(kind, &text).with_context(|| format!("{} is no result", path.display()))
}
