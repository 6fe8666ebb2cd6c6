//! `prune`: old runs are removed, but for the latest and for those that a stage report cites.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::bundle::Lock;
use crate::exit::{Exit, Failure};
use crate::{args, evidence, output};

/// What became of the runs, by name.
#[derive(Debug, Default, Serialize)]
struct Pruned {
    removed: Vec<String>,
    kept: Vec<String>,
    cited: Vec<String>,
    still_running: Vec<String>,
}

/// Removes old runs.
pub fn run(prune: &args::Prune) -> Result<Exit, Failure> {
    let runs = runs(&prune.runs_dir)?;
    let cited = cited(&prune.stage_dir, &runs)?;
    let mut pruned = Pruned::default();
    let old = runs.len().saturating_sub(prune.keep);
    for (index, name) in runs.into_iter().enumerate() {
        let dir = prune.runs_dir.join(&name);
        if index >= old {
            pruned.kept.push(name);
        } else if cited.contains(&name) {
            pruned.cited.push(name);
        } else {
            // Held until the folder is gone, so that no report begins meanwhile.
            let Some(lock) = Lock::take(&dir)? else {
                pruned.still_running.push(name);
                continue;
            };
            if !prune.dry_run {
                fs::remove_dir_all(&dir)
                    .with_context(|| format!("cannot remove {}", dir.display()))?;
            }
            drop(lock);
            pruned.removed.push(name);
        }
    }
    let text = if prune.json {
        serde_json::to_string(&pruned).context("cannot print what was done")? + "\n"
    } else {
        pruned.render(prune.dry_run)
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}

impl Pruned {
    fn render(&self, dry_run: bool) -> String {
        let removed = if dry_run { "would be removed" } else { "removed" };
        let lines = |names: &[String], what: &str| -> String {
            names.iter().map(|name| format!("{name} {what}\n")).collect()
        };
        let Self { removed: gone, kept, cited, still_running } = self;
        lines(gone, removed)
            + &lines(cited, "kept: a stage report cites it")
            + &lines(still_running, "kept: it is still running")
            + &format!(
                "{} {removed}, {} kept\n",
                gone.len(),
                kept.len() + cited.len() + still_running.len()
            )
    }
}

/// The runs of a folder, the oldest first: their names begin with the time. What is no bundle is not
/// touched.
fn runs(dir: &Path) -> Result<Vec<String>, Failure> {
    let listed = fs::read_dir(dir).map_err(|error| {
        let message = format!("{}: {error}; name the folder of the runs", dir.display());
        Failure::new(Exit::Setup, message)
    })?;
    let mut names: Vec<String> = listed
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| evidence::is_bundle(&entry.path()).is_ok())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Those of the runs that any file of a folder names. No such folder cites nothing.
fn cited(dir: &Path, runs: &[String]) -> Result<BTreeSet<String>, Failure> {
    let mut cited = BTreeSet::new();
    let Ok(listed) = fs::read_dir(dir) else { return Ok(cited) };
    for entry in listed.flatten().filter(|entry| entry.path().is_file()) {
        let path = entry.path();
        // A report that cannot be read may cite any run: better to remove none.
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        cited.extend(runs.iter().filter(|name| text.contains(name.as_str())).cloned());
    }
    Ok(cited)
}
