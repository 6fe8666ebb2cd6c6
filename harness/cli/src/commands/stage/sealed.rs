//! What vouches for an attempt: its manifest, signed, and its decision as an in-toto statement.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use khala_bundle::seal::sign_file;
use khala_bundle::statement::{Resource, Statement, Tests, built};
use khala_evidence::judge::{Decision, Verdict};
use khala_stage::entry::Ended;
use khala_stage::folder::{ENDS, SEALS};
use khala_stage::manifest::{File, Manifest};
use khala_stage::report::StageReport;

use super::kept::Kept;
use super::store::{JOURNAL, Store};
use super::verified;
use crate::commands::seal::{With, refused};
use crate::exit::{Exit, Failure};
use crate::output;

/// End of the name of a signature.
const SIGNATURE: &str = "minisig";

/// Names of what seals an attempt whose report is called so: its manifest, and the statement.
pub fn names(report: &str) -> [String; 2] {
    SEALS.map(|end| format!("{report}.{end}"))
}

/// The name of a file's signature.
pub fn signature(name: &str) -> String {
    format!("{name}.{SIGNATURE}")
}

/// Seals every attempt of a folder that was decided, if the folder is what its stages wrote.
///
/// # Errors
/// When it cannot be read or written.
pub fn all(dir: &Path, with: &With) -> Result<Exit, Failure> {
    // Whose signature lies there says nothing of what is to be signed now.
    let found = verified::verify(dir, None)?;
    if !found.problems.is_empty() {
        return Ok(refused(&found.problems, "its stages"));
    }
    let store = Store::open(dir)?;
    let decided: Vec<_> = store.history.decided().map(|(ended, _)| ended.clone()).collect();
    for Ended { attempt, decided, report, .. } in &decided {
        one(&store, *attempt, with)?;
        let told = format!("sealed: {report}, attempt {attempt}: {}\n", decided.decision);
        output::verdict(told.as_bytes());
    }
    if decided.is_empty() {
        output::verdict(b"nothing was sealed: no attempt was decided\n");
        return Ok(Exit::Hold);
    }
    Ok(Exit::Go)
}

/// Seals an attempt that was decided, if anything is to seal it.
///
/// # Errors
/// When that cannot be written.
pub fn one(store: &Store, attempt: u32, with: &With) -> Result<(), Failure> {
    let attempt = store.attempt(attempt);
    let (false, Some((ended, at))) = (with.is_nothing(), &attempt.ended) else { return Ok(()) };
    let dir = store.dir();
    let text = std::fs::read_to_string(dir.join(JOURNAL)).context("cannot read the journal")?;
    let files = files(dir, ended)?;
    let mut manifest = Manifest::of((store.journal(), &text), attempt, (ended, at), files);
    let text = manifest.text().context("the manifest of the attempt")?;
    let [name, stated] = names(&ended.report);
    khala_bundle::write(dir, &name, text.as_bytes())?;
    if with.states() {
        let statement = statement(dir, &manifest, text.as_bytes(), &ended.report)?;
        khala_bundle::write(dir, &stated, &statement)?;
    }
    let Some(key) = with.key() else { return Ok(()) };
    let Manifest { stage, attempt, decided_at, decision, .. } = &manifest;
    let of = format!("stage {stage} (attempt {attempt}, {decided_at}): {decision}");
    sign_file(dir, &name, &signature(&name), &of, key)?;
    if dir.join(&stated).is_file() {
        sign_file(dir, &stated, &signature(&stated), &of, key)?;
    }
    Ok(())
}

/// The files of the folder that are of an attempt.
fn files(dir: &Path, ended: &Ended) -> Result<BTreeMap<String, File>, Failure> {
    let reports = ENDS.map(|end| format!("{}.{end}", ended.report));
    let samples = Kept::names(ended.attempt).into_iter().filter(|name| dir.join(name).is_file());
    let mut files = BTreeMap::new();
    for name in reports.into_iter().chain(samples) {
        let path = dir.join(&name);
        let content =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.insert(name, File::of(&content));
    }
    Ok(files)
}

/// The statement of an attempt whose manifest has this text, as its file has it.
///
/// # Errors
/// When the report cannot be read.
pub fn statement(
    dir: &Path,
    manifest: &Manifest,
    text: &[u8],
    report: &str,
) -> Result<Vec<u8>, Failure> {
    let path = dir.join(format!("{report}.json"));
    let json = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let told: StageReport = serde_json::from_slice(&json)
        .with_context(|| format!("{} is no report of a stage", path.display()))?;
    let sha256 = File::of(text).sha256;
    let evidence = Resource {
        name: names(report)[0].clone(),
        digest: BTreeMap::from([("sha256", sha256.as_str())]),
        annotations: BTreeMap::from([
            ("decision", decision(manifest.decision)),
            ("rollout", manifest.rollout.as_str()),
            ("stage", manifest.stage.as_str()),
            ("owner", manifest.owner.as_str()),
            ("decidedAt", manifest.decided_at.as_str()),
            ("target", told.begun.target.as_str()),
            ("rehearsal", if manifest.rehearsal { "true" } else { "false" }),
        ]),
    };
    let mut subject = vec![evidence];
    // A rehearsal says nothing of the build: nobody is to let one through by it.
    subject.extend(built(manifest.build.as_deref()).filter(|_| !manifest.rehearsal));
    let resource = |name: &str, sha256| Resource {
        name: name.to_owned(),
        digest: BTreeMap::from([("sha256", sha256)]),
        annotations: BTreeMap::new(),
    };
    let mut configuration = vec![resource("the rollout file", manifest.rollout_sha256.as_str())];
    let asked = told.begun.files.iter();
    configuration.extend(asked.map(|(name, sha256)| resource(name, sha256.as_str())));
    let statement = Statement::of(manifest.decision, subject, configuration, tests(&told));
    Ok(statement.text().context("the statement of the attempt")?)
}

fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Go => "GO",
        Decision::NoGo => "NO-GO",
        Decision::Hold => "HOLD",
    }
}

/// The steps by what came of them. What a waiver let pass is a warned test of a GO, and of nothing else.
fn tests(report: &StageReport) -> Tests {
    let mut tests = Tests::default();
    let is_go = report.decision == Decision::Go;
    for step in &report.steps {
        let name = step.step.clone();
        match step.verdict {
            Some(Verdict::NotApplicable) => {}
            Some(Verdict::Pass) => tests.passed.push(name),
            Some(Verdict::Warn) if is_go => tests.warned.push(name),
            _ => tests.failed.push(name),
        }
    }
    if !is_go {
        tests.failed.extend(report.reasons.iter().map(|reason| format!("stage: {}", reason.why)));
    }
    tests
}
