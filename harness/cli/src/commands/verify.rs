//! `verify`: whether a bundle is still what the run wrote, and whether its verdict follows from it.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use khala_evidence::report::RunReport;
use serde::Serialize;

use crate::evidence::{self, Evidence, Reading};
use crate::exit::{Exit, Failure};
use crate::manifest::{self, Manifest, Remade};
use crate::{args, output};

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Found {
    /// Files whose digest is that of the manifest.
    unchanged: usize,
    /// What is not as it was: a file changed, missing or new, a verdict that does not follow.
    problems: Vec<String>,
    /// What is worth knowing, and no problem.
    notes: Vec<String>,
    /// The decision that the sources give; `null` where they give none.
    decision: Option<String>,
}

impl Found {
    fn render(&self) -> String {
        let Self { unchanged, problems, notes, decision } = self;
        let decision = decision.as_deref().unwrap_or("none");
        let ending = match problems.len() {
            0 => format!("the verdict follows from the sources: {decision}"),
            1 => "1 problem: do not rely on this bundle".to_owned(),
            some => format!("{some} problems: do not rely on this bundle"),
        };
        let lines: String = problems.iter().chain(notes).map(|line| format!("{line}\n")).collect();
        format!("{lines}{unchanged} files are as they were written; {ending}\n")
    }
}

/// Verifies a bundle. Whatever is wrong with one is a problem of it; only what is no bundle at all is no
/// answer.
pub fn run(verify: &args::Verify) -> Result<Exit, Failure> {
    let dir = &verify.dir;
    if let Err(no_bundle) = evidence::is_bundle(dir)
        && !fs::exists(dir.join(manifest::NAME)).unwrap_or(false)
        && !fs::exists(dir.join("run.json")).unwrap_or(false)
    {
        return Err(no_bundle);
    }
    let mut found = Found::default();
    let manifest = manifest::read(dir);
    match &manifest {
        Ok(manifest) => digests(dir, manifest, &mut found)?,
        Err(why) => found.problems.push(format!("{} {why}", manifest::NAME)),
    }
    match Evidence::read(dir, Reading::default()) {
        Ok(evidence) => {
            let report = evidence.report();
            if let Ok(manifest) = &manifest {
                history(manifest, &report, &mut found);
            }
            found.decision = Some(report.decision.to_string());
            verdict(dir, &report, &mut found);
        }
        Err(failure) => found.problems.push(failure.message),
    }
    let text = if verify.json {
        serde_json::to_string(&found).context("cannot print what was found")? + "\n"
    } else {
        found.render()
    };
    output::verdict(text.as_bytes());
    Ok(if found.problems.is_empty() { Exit::Go } else { Exit::Hold })
}

fn digests(dir: &Path, manifest: &Manifest, found: &mut Found) -> Result<(), Failure> {
    let there = manifest::found(dir)?;
    for (path, written) in &manifest.files {
        match there.files.get(path) {
            Some(now) if now == written => found.unchanged += 1,
            Some(_) => found.problems.push(format!("{path} is not what was written")),
            None if there.odd.contains_key(path) => {}
            None => found.problems.push(format!("{path} is missing")),
        }
    }
    let new = there.files.keys().filter(|path| !manifest.files.contains_key(*path));
    found.problems.extend(new.map(|path| format!("{path} was not there when the run ended")));
    let odd = there.odd.iter().map(|(path, what)| format!("{path} is {what}, which no run writes"));
    found.problems.extend(odd);
    Ok(())
}

/// What became of the manifest since the run.
fn history(manifest: &Manifest, report: &RunReport, found: &mut Found) {
    if let Some(at) = &manifest.made_afterwards {
        let what = format!(
            "manifest.json was made by `report` at {at}: nothing says what the run itself wrote"
        );
        // A run that was killed has left none; one that came to its end has.
        if report.finished { &mut found.problems } else { &mut found.notes }.push(what);
    }
    for Remade { at, differed, decision_before, decision, .. } in &manifest.remade {
        let differed = match differed.len() {
            0 => "nothing".to_owned(),
            _ => differed.join(", "),
        };
        let what = format!("`report` made it again at {at}: {differed} differed");
        match decision_before {
            Some(before) if before != decision => {
                found.problems.push(format!("{what}, and what was {before} became {decision}"));
            }
            _ => found.notes.push(what),
        }
    }
}

fn verdict(dir: &Path, report: &RunReport, found: &mut Found) {
    let read = fs::read(dir.join("run.json")).map_err(|error| error.to_string());
    let written = read.and_then(|text| {
        serde_json::from_slice::<RunReport>(&text).map_err(|error| error.to_string())
    });
    match written {
        Ok(written) if written == *report => {}
        Ok(written) if written.decision != report.decision => found.problems.push(format!(
            "run.json says {}, the sources say {}",
            written.decision, report.decision
        )),
        Ok(_) => found.problems.push("run.json is not what the sources give".to_owned()),
        Err(error) => found.problems.push(format!("run.json cannot be read: {error}")),
    }
}
