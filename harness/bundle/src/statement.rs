//! `statement.json`: a run as an [in-toto statement](https://in-toto.io/Statement/v1) with a
//! [test result](https://in-toto.io/attestation/test-result/v0.1), for policies that take such.
//!
//! The form knows PASSED, WARNED and FAILED. GO is PASSED; NO-GO and HOLD are FAILED, never WARNED: policies let
//! what is WARNED pass, and of a HOLD nothing follows. So is each objective that did not pass a failed test, and
//! so is each reason that concerns the run as a whole. Of an advisory gate, which decides nothing, an objective
//! that did not pass is a warned test.
//!
//! A stage of a rollout is stated in the same form, by its steps ([`Statement::of`]).
//!
//! What was tested are the subjects: the evidence by its manifest, and the target's build where that is a digest.

use std::collections::BTreeMap;
use std::path::Path;

use khala_evidence::judge::{Decision, GateVerdict, ObjectiveVerdict, Verdict};
use khala_evidence::report::RunReport;
use serde::Serialize;

use crate::Error;
use crate::manifest::{self, Manifest};
use crate::names::{MANIFEST, SCENARIO};

/// The statement's own type.
const TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of what it states.
const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// A statement of a decision.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource<'a>>,
    predicate_type: &'static str,
    predicate: Predicate<'a>,
}

/// A ResourceDescriptor.
#[derive(Serialize)]
pub struct Resource<'a> {
    /// What it is.
    pub name: String,
    /// Its digest, by the name of the algorithm.
    pub digest: BTreeMap<&'static str, &'a str>,
    /// What else is to be known of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    result: Outcome,
    configuration: Vec<Resource<'a>>,
    #[serde(flatten)]
    tests: Tests,
}

/// Tests, by what came of them.
#[derive(Default, Serialize)]
pub struct Tests {
    /// Those that passed.
    #[serde(rename = "passedTests")]
    pub passed: Vec<String>,
    /// Those that decide nothing and did not pass.
    #[serde(rename = "warnedTests")]
    pub warned: Vec<String>,
    /// Those that did not pass.
    #[serde(rename = "failedTests")]
    pub failed: Vec<String>,
}

impl<'a> Statement<'a> {
    /// What is stated of its subjects by a decision.
    #[must_use]
    pub fn of(
        decision: Decision,
        subject: Vec<Resource<'a>>,
        configuration: Vec<Resource<'a>>,
        tests: Tests,
    ) -> Self {
        let predicate = Predicate { result: decision.into(), configuration, tests };
        Self { kind: TYPE, subject, predicate_type: PREDICATE, predicate }
    }

    /// As its file has it.
    ///
    /// # Errors
    /// When it cannot be serialised, which is a bug.
    pub fn text(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// There is no WARNED: see above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Outcome {
    Passed,
    Failed,
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Go => Self::Passed,
            Decision::NoGo | Decision::Hold => Self::Failed,
        }
    }
}

/// The statement of the bundle `dir`, as its file has it.
///
/// # Errors
/// When the manifest's file cannot be read.
pub(crate) fn of(dir: &Path, manifest: &Manifest, report: &RunReport) -> Result<Vec<u8>, Error> {
    let path = dir.join(MANIFEST);
    let sha256 = manifest::sha256(&path).map_err(Error::read(&path))?;
    let text = statement(&sha256, manifest, report).text();
    text.map_err(|error| Error::write(&path)(error.into()))
}

fn statement<'a>(sha256: &'a str, manifest: &'a Manifest, report: &'a RunReport) -> Statement<'a> {
    let decision = match report.decision {
        Decision::Go => "GO",
        Decision::NoGo => "NO-GO",
        Decision::Hold => "HOLD",
    };
    let evidence = Resource {
        name: format!("khala-harness run {} {MANIFEST}", manifest.run_id),
        digest: BTreeMap::from([("sha256", sha256)]),
        annotations: BTreeMap::from([
            ("decision", decision),
            ("scenario", manifest.scenario.as_str()),
            ("startedAt", manifest.started_at.as_str()),
            ("target", manifest.target.url.as_str()),
        ]),
    };
    let mut subject = vec![evidence];
    subject.extend(built(manifest.target.build.as_deref()));
    let scenario = manifest.files.get(SCENARIO).map(|entry| entry.sha256.as_str());
    let configuration = scenario.map(|sha256| Resource {
        name: SCENARIO.to_owned(),
        digest: BTreeMap::from([("sha256", sha256)]),
        annotations: BTreeMap::new(),
    });
    let configuration = configuration.into_iter().collect();
    Statement::of(report.decision, subject, configuration, Tests::of(report))
}

/// The target's build as a subject, where it says a digest of an image or of a commit.
#[must_use]
pub fn built(build: Option<&str>) -> Option<Resource<'_>> {
    let build = build?;
    let is_hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let (algorithm, digest) = match build.rsplit_once("sha256:") {
        Some((_, digest)) if is_hex(digest, 64) => ("sha256", digest),
        None if is_hex(build, 40) => ("gitCommit", build),
        _ => return None,
    };
    Some(Resource {
        name: "target".to_owned(),
        digest: BTreeMap::from([(algorithm, digest)]),
        annotations: BTreeMap::new(),
    })
}

impl Tests {
    fn of(report: &RunReport) -> Self {
        let mut tests = Self::default();
        for gate in report.gates.iter().filter(|gate| gate.judged) {
            for objective in &gate.objectives {
                let name = name(gate, objective);
                match (objective.verdict, gate.advisory) {
                    (Verdict::NotApplicable, _) => {}
                    (Verdict::Pass, _) => tests.passed.push(name),
                    (_, true) => tests.warned.push(name),
                    (_, false) => tests.failed.push(name),
                }
            }
        }
        if report.decision != Decision::Go {
            let whole = report.of_the_run.iter().map(|reason| format!("run: {}", reason.why));
            tests.failed.extend(whole);
        }
        tests
    }
}

/// What an objective claims, as a name.
fn name(gate: &GateVerdict, objective: &ObjectiveVerdict) -> String {
    let selector = match objective.selector.as_str() {
        "" => String::new(),
        selector => format!(" [{selector}]"),
    };
    let ObjectiveVerdict { metric, require, during, .. } = objective;
    format!("{}: {metric}{selector} {require} during {}", gate.name, during.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_a_subject_where_it_is_a_digest() {
        let digest = "0123456789abcdef".repeat(4);
        for (build, is) in [
            (format!("registry/runtime@sha256:{digest}"), Some(("sha256", digest.as_str()))),
            (format!("sha256:{digest}"), Some(("sha256", digest.as_str()))),
            (digest[..40].to_owned(), Some(("gitCommit", &digest[..40]))),
            (digest[..7].to_owned(), None),
            ("runtime 1.2.3".to_owned(), None),
        ] {
            let subject = built(Some(&build));
            let found = subject.as_ref().and_then(|subject| subject.digest.first_key_value());
            assert_eq!(found.map(|(key, value)| (*key, *value)), is, "{build}");
        }
    }
}
