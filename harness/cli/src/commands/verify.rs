//! `verify`: whether a bundle is still what the run wrote, and whether its verdict follows from it.

use std::fs;

use anyhow::Context as _;
use khala_evidence::report::RunReport;
use serde::Serialize;

use crate::evidence::{Evidence, Reading};
use crate::exit::{Exit, Failure};
use crate::manifest::{self, Manifest};
use crate::{args, output};

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    /// Files whose digest is that of the manifest.
    unchanged: usize,
    /// What is not as it was: a file changed, missing or new, a verdict that does not follow.
    problems: Vec<String>,
    /// The decision that the sources give.
    decision: String,
}

impl Found {
    fn render(&self) -> String {
        let Self { unchanged, problems, decision } = self;
        let ending = if problems.is_empty() {
            format!("the verdict follows from the sources: {decision}")
        } else {
            format!("{} problems: do not rely on this bundle", problems.len())
        };
        let problems: Vec<_> = problems.iter().map(|problem| format!("{problem}\n")).collect();
        format!("{}{unchanged} files are as they were written; {ending}\n", problems.concat())
    }
}

/// Verifies a bundle.
pub fn run(verify: &args::Verify) -> Result<Exit, Failure> {
    let dir = &verify.dir;
    let evidence = Evidence::read(dir, Reading::default())?;
    let report = evidence.report();
    let mut found =
        Found { unchanged: 0, problems: Vec::new(), decision: report.decision.to_string() };
    digests(verify, &mut found)?;
    verdict(verify, &report, &mut found);
    let text = if verify.json {
        serde_json::to_string(&found).context("cannot print what was found")? + "\n"
    } else {
        found.render()
    };
    output::verdict(text.as_bytes());
    Ok(if found.problems.is_empty() { Exit::Go } else { Exit::Hold })
}

fn digests(verify: &args::Verify, found: &mut Found) -> Result<(), Failure> {
    let Ok(text) = fs::read(verify.dir.join(manifest::NAME)) else {
        found.problems.push(format!(
            "{} is missing: `khala-harness report` makes it again from the sources",
            manifest::NAME
        ));
        return Ok(());
    };
    let manifest: Manifest = match serde_json::from_slice(&text) {
        Ok(manifest) => manifest,
        Err(error) => {
            found.problems.push(format!("{} cannot be read: {error}", manifest::NAME));
            return Ok(());
        }
    };
    let files = manifest::files(&verify.dir)?;
    for (path, written) in &manifest.files {
        match files.get(path) {
            Some(now) if now == written => found.unchanged += 1,
            Some(_) => found.problems.push(format!("{path} is not what was written")),
            None => found.problems.push(format!("{path} is missing")),
        }
    }
    let new = files.keys().filter(|path| !manifest.files.contains_key(*path));
    found.problems.extend(new.map(|path| format!("{path} was not there when the run ended")));
    Ok(())
}

fn verdict(verify: &args::Verify, report: &RunReport, found: &mut Found) {
    let read = fs::read(verify.dir.join("run.json")).map_err(|error| error.to_string());
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
