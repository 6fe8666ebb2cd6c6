//! Old runs are removed, but for the latest and for those that a stage report cites.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::bundle::is_bundle;
use crate::{Error, Lock, runs};

/// Which runs are to stay.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// So many of the latest.
    pub latest: usize,
    /// A folder of stage reports: the runs that they name stay.
    pub cited_in: &'a Path,
}

/// What became of the runs, by name.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Gone, or, in a dry run, to go.
    pub removed: Vec<String>,
    /// The latest.
    pub kept: Vec<String>,
    /// Old ones that a stage report cites.
    pub cited: Vec<String>,
    /// Old ones that another process writes to.
    pub still_running: Vec<String>,
}

/// Removes the runs of the folder `runs_dir` that need not stay; with `dry_run` only says which. What is no
/// bundle is not touched.
///
/// # Errors
/// [`Error::File`] when a folder cannot be read, a report that may cite a run cannot, or a run cannot be
/// removed.
pub fn prune(runs_dir: &Path, keep: Keep<'_>, dry_run: bool) -> Result<Pruned, Error> {
    let names = names(runs_dir)?;
    let cited = cited(keep.cited_in, &names)?;
    let mut pruned = Pruned::default();
    let old = names.len().saturating_sub(keep.latest);
    for (index, name) in names.into_iter().enumerate() {
        let dir = runs_dir.join(&name);
        if index >= old {
            pruned.kept.push(name);
        } else if cited.contains(&name) {
            pruned.cited.push(name);
        } else {
            // Held until the folder is gone, so that no report begins meanwhile.
            let lock = match Lock::take(&dir) {
                Ok(lock) => lock,
                Err(Error::StillWritten(_)) => {
                    pruned.still_running.push(name);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !dry_run {
                fs::remove_dir_all(&dir).map_err(Error::file("remove", &dir))?;
            }
            drop(lock);
            pruned.removed.push(name);
        }
    }
    if !dry_run && !pruned.removed.is_empty() {
        runs::drop_dangling_latest(runs_dir);
        runs::write_index(runs_dir)?;
    }
    Ok(pruned)
}

/// The runs of a folder, the oldest first: their names begin with the time.
fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let listed =
        fs::read_dir(dir).map_err(|error| Error::NoRuns { dir: dir.to_owned(), source: error })?;
    let mut names: Vec<String> = listed
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| is_bundle(&entry.path()).is_ok())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Those of the runs that any file of a folder names. No such folder cites nothing.
fn cited(dir: &Path, runs: &[String]) -> Result<BTreeSet<String>, Error> {
    let mut cited = BTreeSet::new();
    let Ok(listed) = fs::read_dir(dir) else { return Ok(cited) };
    for entry in listed.flatten().filter(|entry| entry.path().is_file()) {
        let path = entry.path();
        // A report that cannot be read may cite any run: better to remove none.
        let bytes = fs::read(&path).map_err(Error::read(&path))?;
        let text = String::from_utf8_lossy(&bytes);
        cited.extend(runs.iter().filter(|name| text.contains(name.as_str())).cloned());
    }
    Ok(cited)
}
