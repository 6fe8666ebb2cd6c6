//! How far the journal of a rollout was written, told once more where its runs lie. Whoever puts the folder of stages back
//! as it was at some time before (from a backup, or because it is committed and the runs are not) puts its head back too,
//! and all that was found since then would be forgotten: a NO-GO would no longer take a GO back.
//!
//! It is written after the journal, so that it never tells of a line that is not there. Where both folders are put back,
//! nobody can know.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use khala_stage::history::History;
use khala_stage::journal::{Head, Journal};
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

/// Characters of the journal's id in the name of the file.
const ID: usize = 16;

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// Up to where the journal was written.
    #[serde(flatten)]
    head: Head,
    /// The folder of stages, as it was named.
    stage_dir: String,
    /// When the last line was written, UTC.
    at: String,
    /// The attempt that it is of, for people.
    of: String,
}

/// Name of the file, of the journal that is known by this.
fn name(id: &str) -> String {
    format!("stages-{}.head", id.get(..ID).unwrap_or(id))
}

/// The folders in which runs of a rollout lie, those of `more` among them.
fn folders(history: &History, more: Option<&Path>) -> BTreeSet<PathBuf> {
    let runs = history.attempts.iter().flat_map(|attempt| &attempt.runs);
    let bundles = runs.filter_map(|run| Path::new(run.bundle.as_deref()?).parent());
    bundles.chain(more).filter(|dir| dir.is_dir()).map(Path::to_owned).collect()
}

/// Tells how far the journal of the folder `stage_dir` was written, wherever runs of it lie.
///
/// # Errors
/// When it cannot be written to one of them.
pub fn tell(
    stage_dir: &Path,
    (journal, history): (&Journal, &History),
    runs: Option<&Path>,
) -> Result<(), khala_bundle::Error> {
    let (Some(id), Some(last)) = (journal.id(), journal.lines.last()) else { return Ok(()) };
    let attempt = last.entry.attempt();
    let of = history.attempts.get((attempt as usize).wrapping_sub(1)).map(|attempt| {
        let decision = attempt.ended.as_ref().map(|(ended, _)| ended.decided.decision.to_string());
        let decision = decision.unwrap_or_else(|| "not decided yet".to_owned());
        format!("attempt {} (stage {}): {decision}", attempt.begun.attempt, attempt.begun.stage)
    });
    let told = Told {
        head: journal.head(),
        stage_dir: stage_dir.display().to_string(),
        at: last.stamp.at.clone(),
        of: of.unwrap_or_default(),
    };
    // It is made of strings and a number.
    let text = serde_json::to_vec(&told).unwrap_or_default();
    folders(history, runs).iter().try_for_each(|dir| khala_bundle::write(dir, &name(id), &text))
}

/// What of a journal is missing by what is told where its runs lie.
pub fn missing((journal, history): (&Journal, &History), runs: Option<&Path>) -> Option<String> {
    let id = journal.id()?;
    folders(history, runs).iter().find_map(|dir| {
        let path = dir.join(name(id));
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => return Some(unread(&path, &error)),
        };
        let told: Told = match serde_json::from_slice(&text) {
            Ok(told) => told,
            Err(error) => return Some(unread(&path, &error)),
        };
        (!journal.has(&told.head)).then(|| {
            format!(
                "has {} lines, and by {}, where runs of it lie, {} were written until {}, the last of {}: it was put back as \
                 it was before that, or written on elsewhere, and what was found since then is missing",
                journal.lines.len(),
                path.display(),
                told.head.lines,
                told.at,
                told.of
            )
        })
    })
}

fn unread(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!(
        "may lack lines: {}, which tells up to where it was written, cannot be read: {error}",
        path.display()
    )
}

/// Refuses a folder of stages whose journal `path` was longer.
///
/// # Errors
/// HOLD, with what is missing and what to do.
pub fn refuse(
    path: &Path,
    lines: (&Journal, &History),
    runs: Option<&Path>,
) -> Result<(), Failure> {
    let Some(why) = missing(lines, runs) else { return Ok(()) };
    let what = format!(
        "HOLD: {} {why}; no stage is a GO by it: put the folder back as it was last, or begin a rollout anew with another \
         --stage-dir",
        path.display()
    );
    Err(Failure::new(Exit::Hold, what))
}
