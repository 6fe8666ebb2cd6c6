//! What lies in the folder of stages, against what the journal knows. Whatever says that an attempt was, was: a file
//! of one that the journal does not know, or that is not what the journal says, means that the journal or the file
//! was changed, and nothing is a GO by either.

use crate::history::History;
use crate::report::StageReport;

/// The latest report, by a name that stays.
pub const LATEST: &str = "stage.json";
/// Ends of the names of a report's files.
pub const ENDS: [&str; 3] = ["md", "html", "json"];

/// Ends of the names of what seals an attempt: its manifest, and the statement of it.
pub const SEALS: [&str; 2] = ["manifest.json", "statement.json"];

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// SHA-256 of it, in hex.
    pub sha256: String,
    /// The attempt that it is the report of, if it reads as one.
    pub attempt: Option<u32>,
}

impl Found {
    /// A file by its name and what it holds.
    #[must_use]
    pub fn of(name: String, content: &[u8]) -> Self {
        let report = serde_json::from_slice::<StageReport>(content).ok();
        let sha256 = crate::journal::sha256(content);
        Self { name, sha256, attempt: report.map(|report| report.begun.attempt) }
    }

    /// Whether such a file is looked at: by its name it is of a report, or it may be one.
    #[must_use]
    pub fn may_tell(name: &str) -> bool {
        let end = name.rsplit_once('.').map(|(_, end)| end);
        let hidden = name.starts_with('.');
        !hidden && end.is_some_and(|end| end == "json" || ENDS.contains(&end) && is_report(name))
    }
}

/// Whether a file is called as a report is: `<date>-stage-N`.
fn is_report(name: &str) -> bool {
    let date = "0000-00-00";
    let is_date = |text: &str| {
        let mut pairs = text.chars().zip(date.chars());
        pairs.all(|(c, like)| if like == '0' { c.is_ascii_digit() } else { c == like })
    };
    let begins = name.get(..date.len()).is_some_and(is_date);
    begins && name.get(date.len()..).is_some_and(|rest| rest.starts_with("-stage-"))
}

/// The first file that the journal does not account for: what it is, and what to do.
#[must_use]
pub fn unaccounted(history: &History, found: &[Found]) -> Option<String> {
    found.iter().find_map(|file| one(history, file))
}

fn one(history: &History, file: &Found) -> Option<String> {
    let Found { name, sha256, attempt } = file;
    let (stem, end) = SEALS
        .iter()
        .find_map(|end| Some((name.strip_suffix(end)?.strip_suffix('.')?, "sealed")))
        .or_else(|| name.rsplit_once('.'))
        .unwrap_or((name.as_str(), ""));
    let known = history.decided().find(|(ended, _)| ended.report == stem);
    let is_copy = history.decided().any(|(ended, _)| ended.report_sha256 == *sha256);
    match known {
        Some((ended, _)) if end == "json" => (ended.report_sha256 != *sha256).then(|| {
            format!(
                "{name}, the report of attempt {}, is not what was written (SHA-256 {}…): put it back as it was, or remove \
                 it, and it is written again from the journal",
                ended.attempt,
                short(&ended.report_sha256)
            )
        }),
        // What people read is made of the JSON; what seals it is held against its signature.
        Some(_) => None,
        None if is_copy => None,
        None if name == LATEST => Some(format!(
            "{name} is of no attempt that the journal knows: put the journal back as it was when it was written; if the \
             file itself was changed, remove it, and it is written again"
        )),
        None if is_report(name) || attempt.is_some() => Some(format!(
            "{name} tells of an attempt{} that the journal does not know: put the journal back as it was when it was \
             written, or begin a rollout anew with another --stage-dir",
            attempt.map_or_else(String::new, |number| format!(" ({number})"))
        )),
        None => None,
    }
}

fn short(sha256: &str) -> &str {
    sha256.get(..8).unwrap_or(sha256)
}

#[cfg(test)]
mod tests {
    use khala_evidence::judge::Decision;

    use super::*;
    use crate::testing::Script;

    const WELL: fn(&str, crate::entry::StepResult) -> Option<crate::entry::StepResult> =
        |_, result| Some(result);

    fn history() -> History {
        let mut script = Script::new();
        let first = script.attempt("0", |_| {}, WELL);
        script.end(first, Decision::Go);
        script.history
    }

    fn file(name: &str, sha256: &str) -> Found {
        Found { name: name.to_owned(), sha256: sha256.to_owned(), attempt: None }
    }

    #[test]
    fn what_the_journal_knows_is_accounted_for() {
        let known = [
            file("2027-01-15-stage-0.json", "sha-1"),
            file("2027-01-15-stage-0.md", "any"),
            file("2027-01-15-stage-0.manifest.json", "any"),
            file("2027-01-15-stage-0.statement.json", "any"),
            file(LATEST, "sha-1"),
            file("a-copy.json", "sha-1"),
            file("notes.json", "any"),
        ];
        let mut history = history();
        let (ended, _) = history.attempts[0].ended.as_mut().expect("it was decided");
        ended.report = "2027-01-15-stage-0".to_owned();
        assert_eq!(unaccounted(&history, &known), None);
        assert_eq!(unaccounted(&History::default(), &[file("notes.json", "any")]), None);
    }

    #[test]
    fn a_file_that_was_changed_or_that_no_line_knows_is_told_with_what_to_do() {
        let mut history = history();
        let (ended, _) = history.attempts[0].ended.as_mut().expect("it was decided");
        ended.report = "2027-01-15-stage-0".to_owned();
        let told = |history: &History, file: Found| unaccounted(history, &[file]).expect("told");
        let changed = told(&history, file("2027-01-15-stage-0.json", "other"));
        assert!(changed.contains("is not what was written") && changed.contains("remove it"));
        assert!(told(&history, file(LATEST, "other")).contains("of no attempt"));
        // One that is broken, and one that is there without any journal.
        for name in [
            "2027-01-16-stage-0.json",
            "2027-01-16-stage-0.md",
            "2027-01-15-stage-0-2.html",
            "2027-01-16-stage-0.manifest.json",
            "2027-01-15-stage-0.manifest.manifest.json",
        ] {
            let unknown = told(&history, file(name, "other"));
            assert!(unknown.contains(name) && unknown.contains("--stage-dir"), "{unknown}");
        }
        assert!(told(&History::default(), file(LATEST, "sha-1")).contains("put the journal back"));
        let renamed = Found { attempt: Some(3), ..file("renamed.json", "other") };
        assert!(told(&history, renamed).contains("an attempt (3)"));
    }

    #[test]
    fn files_of_others_are_not_looked_at() {
        for (name, looked_at) in [
            ("2027-01-15-stage-0.md", true),
            ("2027-01-15-stage-3-25-2.html", true),
            ("stage.json", true),
            ("other.json", true),
            ("README.md", false),
            ("2027-01-15-notes.md", false),
            (".2027-01-15-stage-0.json.part", false),
            ("journal.ndjson", false),
        ] {
            assert_eq!(Found::may_tell(name), looked_at, "{name}");
        }
    }
}
