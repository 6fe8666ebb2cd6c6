//! `<report>.manifest.json`: what an attempt left, by digest, so that whoever signs it signs all of that. It is made where
//! a key or a statement is asked for.
//!
//! Its text has a digest of itself, made as that of a bundle's manifest: over the text with the digest left empty.

use std::collections::BTreeMap;

use khala_evidence::judge::Decision;
use serde::{Deserialize, Serialize};

use crate::entry::{Ended, Entry};
use crate::history::Attempt;
use crate::journal::{Journal, sha256};
use crate::stamp::Stamp;

/// Version of the format.
pub const FORMAT: u32 = 1;

/// What an attempt left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format_version: u32,
    /// SHA-256, in hex, of this text as it is with this value empty.
    pub manifest_sha256: String,
    /// Name of the rollout.
    pub rollout: String,
    /// SHA-256 of the rollout file, in hex.
    pub rollout_sha256: String,
    /// Id of the stage.
    pub stage: String,
    /// Number of the attempt in the journal, from 1.
    pub attempt: u32,
    /// The build that was to be there.
    pub build: Option<String>,
    /// Who decided.
    pub owner: String,
    /// Whether it was a rehearsal.
    pub rehearsal: bool,
    /// GO, NO-GO or HOLD.
    pub decision: Decision,
    /// When it was decided, UTC, RFC 3339.
    pub decided_at: String,
    /// The journal, up to and with the decision.
    pub journal: Part,
    /// The files of the folder that are of the attempt: its reports, the samples of the build.
    pub files: BTreeMap<String, File>,
    /// The folders of its runs, with the SHA-256 of their manifests in hex; `null` of a run that was killed.
    pub runs: BTreeMap<String, Option<String>>,
}

/// The first lines of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many lines.
    pub lines: u64,
    /// Their size.
    pub bytes: u64,
    /// SHA-256 of them, in hex.
    pub sha256: String,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, in hex.
    pub sha256: String,
}

impl File {
    /// Of what it holds.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self { bytes: content.len() as u64, sha256: sha256(content) }
    }
}

impl Manifest {
    /// The manifest of an attempt that was decided; `text` is the journal's, and `files` are those of the folder.
    #[must_use]
    pub fn of(
        (journal, text): (&Journal, &str),
        attempt: &Attempt,
        (ended, at): (&Ended, &Stamp),
        files: BTreeMap<String, File>,
    ) -> Self {
        let begun = &attempt.begun;
        Self {
            format_version: FORMAT,
            manifest_sha256: String::new(),
            rollout: begun.rollout.clone(),
            rollout_sha256: begun.rollout_sha256.clone(),
            stage: begun.stage.clone(),
            attempt: begun.attempt,
            build: begun.build.clone(),
            owner: begun.owner.clone(),
            rehearsal: begun.is_rehearsal(),
            decision: ended.decided.decision,
            decided_at: at.at.clone(),
            journal: until(journal, text, ended.attempt),
            files,
            runs: runs(attempt),
        }
    }

    /// As its file has it, with the digest of itself.
    ///
    /// # Errors
    /// When it cannot be serialised, which is a bug.
    pub fn text(&mut self) -> serde_json::Result<String> {
        let text = |it: &Self| serde_json::to_string_pretty(it).map(|text| text + "\n");
        self.manifest_sha256.clear();
        self.manifest_sha256 = sha256(text(self)?.as_bytes());
        text(self)
    }

    /// Whether the journal still begins as it was when the attempt was decided.
    #[must_use]
    pub fn begins(&self, journal: &[u8]) -> bool {
        let until = usize::try_from(self.journal.bytes).unwrap_or(usize::MAX);
        journal.get(..until).is_some_and(|part| sha256(part) == self.journal.sha256)
    }
}

/// The journal up to the decision on an attempt.
fn until(journal: &Journal, text: &str, attempt: u32) -> Part {
    let is_it = |entry: &Entry| matches!(entry, Entry::Ended(ended) if ended.attempt == attempt);
    let last = journal.lines.iter().position(|line| is_it(&line.entry));
    let lines = last.map_or(journal.lines.len(), |last| last + 1);
    let bytes = text.split_inclusive('\n').take(lines).map(str::len).sum();
    let File { bytes, sha256 } = File::of(text.get(..bytes).unwrap_or_default().as_bytes());
    Part { lines: lines as u64, bytes, sha256 }
}

/// The folders of an attempt's runs.
fn runs(attempt: &Attempt) -> BTreeMap<String, Option<String>> {
    let begun = attempt.runs.iter().filter_map(|run| Some((run.bundle.clone()?, None)));
    let mut runs: BTreeMap<_, _> = begun.collect();
    let results = attempt.runs.iter().filter_map(|run| run.ended.as_ref()).map(|(it, _)| it);
    for result in results {
        let of_runs = result.runs().map(|run| (&run.bundle, &run.manifest_sha256));
        let segments = result.hold.iter().flat_map(|hold| &hold.segments);
        for (bundle, manifest) in
            of_runs.chain(segments.map(|one| (&one.bundle, &one.manifest_sha256)))
        {
            runs.insert(bundle.clone(), manifest.clone());
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::StepResult;
    use crate::history::History;
    use crate::testing::Script;

    /// Two attempts, the journal of which the lines are those of `Script`.
    fn two() -> (String, Journal, History) {
        let mut script = Script::new();
        let well = |_: &str, result: StepResult| Some(result);
        for stage in ["0", "1"] {
            let attempt = script.attempt(stage, |_| {}, well);
            script.end(attempt, Decision::Go);
        }
        let (mut text, mut journal) = (String::new(), Journal::default());
        for attempt in &script.history.attempts {
            let (ended, stamp) = attempt.ended.as_ref().expect("it was decided");
            for entry in [
                Entry::Begun(Box::new(attempt.begun.clone())),
                Entry::Ended(Box::new(ended.clone())),
            ] {
                text.push_str(&journal.append(stamp.clone(), entry).expect("serialises"));
            }
        }
        (text, journal, script.history)
    }

    fn first() -> (String, Manifest) {
        let (text, journal, history) = two();
        let attempt = &history.attempts[0];
        let (ended, stamp) = attempt.ended.as_ref().expect("it was decided");
        let files = [("report.md".to_owned(), File::of(b"text"))].into();
        (text.clone(), Manifest::of((&journal, &text), attempt, (ended, stamp), files))
    }

    #[test]
    fn it_names_the_journal_up_to_the_decision_and_what_comes_later_is_none_of_it() {
        let (text, manifest) = first();
        assert_eq!(manifest.journal.lines, 2);
        assert!(manifest.begins(text.as_bytes()));
        let whole = usize::try_from(manifest.journal.bytes).expect("small");
        assert!(manifest.begins(&text.as_bytes()[..whole]));
        assert!(!manifest.begins(&text.as_bytes()[..whole - 1]));
        let changed = text.replacen("Ada", "Bob", 1);
        assert!(!manifest.begins(changed.as_bytes()));
    }

    #[test]
    fn it_has_a_digest_of_itself_and_every_run() {
        let (_, mut manifest) = first();
        let text = manifest.text().expect("is serialised");
        let empty = text.replacen(&manifest.manifest_sha256, "", 1);
        assert_eq!(manifest.manifest_sha256, sha256(empty.as_bytes()));
        assert_eq!(serde_json::from_str::<Manifest>(&text).expect("is read"), manifest);
        assert_eq!(manifest.runs, [("runs/one".to_owned(), Some("ab".to_owned()))].into());
        assert_eq!(manifest.text().expect("is serialised"), text, "it is made anew");
    }

    #[test]
    fn a_run_that_was_killed_is_named_without_a_digest() {
        let (_, _, mut history) = two();
        history.attempts[0].runs[0].bundle = Some("runs/killed".to_owned());
        assert_eq!(runs(&history.attempts[0]).get("runs/killed"), Some(&None));
    }
}
