//! `prune`: old runs are removed, but for the latest and for those that a stage report cites.

use anyhow::Context as _;
use khala_bundle::{Keep, Pruned};

use crate::exit::{Exit, Failure};
use crate::{args, output};

/// Removes old runs.
pub fn run(prune: &args::Prune) -> Result<Exit, Failure> {
    let keep = Keep { latest: prune.keep, cited_in: &prune.stage_dir };
    let pruned = khala_bundle::prune(&prune.runs_dir, keep, prune.dry_run)?;
    let text = if prune.json {
        serde_json::to_string(&pruned).context("cannot print what was done")? + "\n"
    } else {
        rendered(&pruned, prune.dry_run)
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Go)
}

fn rendered(pruned: &Pruned, dry_run: bool) -> String {
    let removed = if dry_run { "would be removed" } else { "removed" };
    let lines = |names: &[String], what: &str| -> String {
        names.iter().map(|name| format!("{name} {what}\n")).collect()
    };
    let Pruned { removed: gone, kept, cited, still_running } = pruned;
    lines(gone, removed)
        + &lines(cited, "kept: a stage report cites it")
        + &lines(still_running, "kept: it is still running")
        + &format!(
            "{} {removed}, {} kept\n",
            gone.len(),
            kept.len() + cited.len() + still_running.len()
        )
}
