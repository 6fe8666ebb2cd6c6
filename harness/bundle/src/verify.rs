//! Whether a bundle is still what the run wrote, and whether its verdict follows from it.

use std::fs;
use std::path::Path;

use khala_evidence::report::RunReport;
use serde::Serialize;

use crate::Error;
use crate::bundle::Bundle;
use crate::manifest::{self, Manifest, Remade};
use crate::names::{ALTERED, MANIFEST, STATEMENT, is_of_altered};
use crate::run_json::otherwise;
use crate::seal::{self, PublicKey};
use crate::statement;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Verified {
    /// Files whose digest is that of the manifest.
    pub unchanged: usize,
    /// What is not as it was, a sentence each: a file changed, missing or new, a verdict that does not
    /// follow.
    pub problems: Vec<String>,
    /// What is worth knowing, and no problem.
    pub notes: Vec<String>,
    /// The decision that the sources give; `None` where they give none.
    pub decision: Option<String>,
}

/// Verifies the bundle `dir`. Whatever is wrong with it is a problem of it, an empty folder too; only where
/// no folder is, or none that can be read, there is no answer. With a key it must be signed by that one.
///
/// # Errors
/// [`Error::NotABundle`] when the folder itself cannot be read.
pub fn verify(dir: &Path, key: Option<&PublicKey>) -> Result<Verified, Error> {
    fs::read_dir(dir).map_err(|error| Error::not_a_bundle(dir, error))?;
    let mut found = Verified::default();
    let manifest = manifest::read_any(dir);
    match &manifest {
        Ok((manifest, doubt)) => {
            found.problems.extend(doubt.as_ref().map(|why| format!("{MANIFEST} {why}")));
            digests(dir, manifest, &mut found);
        }
        Err(why) => found.problems.push(format!("{MANIFEST} {why}")),
    }
    seal::check(dir, key, &mut found);
    match Bundle::open(dir).and_then(|bundle| bundle.settle()) {
        Ok(evidence) => {
            let report = evidence.judged();
            if let Ok((manifest, _)) = &manifest {
                remakings(manifest, &report, &mut found);
                stated(dir, manifest, &report, &mut found);
            }
            found.decision = Some(report.decision.to_string());
            found.problems.extend(evidence.unread().map(str::to_owned));
            found.problems.extend(otherwise(dir, &report));
        }
        Err(error) => {
            found.problems.push(format!("nothing can be judged: {}", error.of_the_bundle()))
        }
    }
    Ok(found)
}

fn digests(dir: &Path, manifest: &Manifest, found: &mut Verified) {
    let there = manifest::look(dir);
    for (path, written) in &manifest.files {
        match there.files.get(path) {
            Some(now) if now == written => found.unchanged += 1,
            Some(_) => found.problems.push(format!("{path} is not what was written")),
            None if there.odd.contains_key(path) || there.hides(path) => {}
            None => found.problems.push(format!("{path} is missing")),
        }
    }
    if there.files.keys().any(|path| is_of_altered(path)) {
        found.notes.push(format!(
            "{ALTERED}/ holds what `report` made of sources that were changed: it is no part of the evidence"
        ));
    }
    let known = |path: &String| manifest.files.contains_key(path) || is_of_altered(path);
    let new = there.files.keys().filter(|path| !known(path));
    found.problems.extend(new.map(|path| format!("{path} was not there when the run ended")));
    let odd = there.odd.iter().map(|(path, what)| format!("{path} is {what}, which no run leaves"));
    found.problems.extend(odd);
    let unread = there.unread.iter().map(|(path, why)| format!("{path} cannot be read: {why}"));
    found.problems.extend(unread);
}

/// Whether the statement, where there is one, is that of the manifest and of what the sources give.
fn stated(dir: &Path, manifest: &Manifest, report: &RunReport, found: &mut Verified) {
    let path = dir.join(STATEMENT);
    if !path.exists() {
        return;
    }
    match (fs::read(&path), statement::of(dir, manifest, report)) {
        (Ok(written), Ok(given)) if written == given => found.unchanged += 1,
        (Ok(_), Ok(_)) => {
            let what = format!("{STATEMENT} is not what {MANIFEST} and the sources give");
            found.problems.push(what);
        }
        (Err(error), _) => found.problems.push(format!("{STATEMENT} cannot be read: {error}")),
        (_, Err(error)) => found.problems.push(format!("{STATEMENT} cannot be compared: {error}")),
    }
}

/// What became of the manifest since the run.
fn remakings(manifest: &Manifest, report: &RunReport, found: &mut Verified) {
    if let Some(at) = &manifest.made_afterwards {
        let what = format!(
            "manifest.json was made by `report` at {at}: nothing says what the run itself wrote"
        );
        // A run that was killed has left none; one that came to its end has.
        if report.finished { &mut found.problems } else { &mut found.notes }.push(what);
    }
    for Remade { at, differed, vanished, decision_before, decision, .. } in &manifest.remade {
        let differed = match differed.len() {
            0 => "nothing".to_owned(),
            _ => differed.join(", "),
        };
        let vanished = match vanished.len() {
            0 => String::new(),
            _ => format!(", {} had vanished", vanished.join(", ")),
        };
        let what = format!("`report` made it again at {at}: {differed} differed{vanished}");
        match decision_before {
            Some(before) if before != decision => {
                found.problems.push(format!("{what}, and what was {before} became {decision}"));
            }
            _ => found.notes.push(what),
        }
    }
}
