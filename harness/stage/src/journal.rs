//! The journal of a rollout: a line of JSON for each thing that happened, only ever appended to.
//!
//! Each line has its number and the digest of the line before it, so that none can be taken out, changed or
//! put in between unnoticed. What is missing at the end shows by the [`Head`] that lies beside it, and by the reports
//! that are there ([`crate::folder`]). The last line of a process that was killed may be torn: a line counts from its
//! newline on.
//!
//! What a hold is told of the target's build is such a chain too ([`crate::samples`]).

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::entry::Entry;
use crate::stamp::Stamp;

/// Version of the format.
pub const FORMAT: u32 = 1;
/// What the first line has in place of a digest.
const FIRST: &str = "";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line<E = Entry> {
    /// [`FORMAT`]
    pub format: u32,
    /// Its number, from 1.
    pub seq: u64,
    /// SHA-256 of the line before, in hex.
    pub prev: String,
    /// When.
    pub stamp: Stamp,
    /// What.
    pub entry: E,
}

/// Up to where a journal was written, kept in a file of its own: it is written after each line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// How many lines.
    pub lines: u64,
    /// SHA-256 of the last of them, in hex.
    pub sha256: String,
}

/// A journal that does not hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {why}")]
pub struct Damaged {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// The journal of a rollout, read.
pub type Journal = Chain<Entry>;

/// Lines of which each has the digest of the one before, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain<E> {
    /// Its lines.
    pub lines: Vec<Line<E>>,
    /// Bytes of its whole lines: what comes after them was never written to its end.
    pub whole: usize,
    last: String,
}

impl<E> Default for Chain<E> {
    fn default() -> Self {
        Self::after(FIRST)
    }
}

impl<E> Chain<E> {
    /// One without lines, whose first will have `first` in place of a digest.
    #[must_use]
    pub fn after(first: &str) -> Self {
        Self { lines: Vec::new(), whole: 0, last: first.to_owned() }
    }
}

impl<E: Serialize + DeserializeOwned> Chain<E> {
    /// Reads a journal.
    ///
    /// # Errors
    /// The first line that is not what was written.
    pub fn read(text: &str) -> Result<Self, Damaged> {
        Self::read_after(FIRST, text)
    }

    /// Reads lines of which the first has `first` in place of a digest.
    ///
    /// # Errors
    /// The first line that is not what was written.
    pub fn read_after(first: &str, text: &str) -> Result<Self, Damaged> {
        let mut journal = Self::after(first);
        for (line, seq) in text.split_inclusive('\n').zip(1_u64..) {
            let Some(whole) = line.strip_suffix('\n') else { break };
            let damaged = |why: &str| Damaged { line: seq, why: why.to_owned() };
            let read: Line<E> = serde_json::from_str(whole)
                .map_err(|error| damaged(&format!("cannot be read: {error}")))?;
            if read.format != FORMAT {
                let found = read.format;
                return Err(damaged(&format!(
                    "is of version {found} of the format, and this build reads version {FORMAT}"
                )));
            }
            if read.seq != seq || read.prev != journal.last {
                return Err(damaged(
                    "does not follow the one before: lines were taken out or changed",
                ));
            }
            journal.last = sha256(whole.as_bytes());
            journal.whole += line.len();
            journal.lines.push(read);
        }
        Ok(journal)
    }

    /// Up to where it was written.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { lines: self.lines.len() as u64, sha256: self.last.clone() }
    }

    /// What it is known by, however long it becomes: the digest of its first line. `None` without lines.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match &self.lines[..] {
            [] => None,
            [_] => Some(&self.last),
            [_, second, ..] => Some(&second.prev),
        }
    }

    /// Whether it has the line up to which a head was written, however much follows.
    #[must_use]
    pub fn has(&self, head: &Head) -> bool {
        // The digest of a line is what the next one begins with.
        match usize::try_from(head.lines).ok().and_then(|at| self.lines.get(at)) {
            Some(next) => next.prev == head.sha256,
            None => self.lines.len() as u64 == head.lines && self.last == head.sha256,
        }
    }

    /// Whether it is the journal of which a head was kept. A process that was killed may have written one line more.
    ///
    /// # Errors
    /// What is missing, or was put there, in a clause.
    pub fn follows(&self, head: Option<&Head>) -> Result<(), String> {
        let now = self.lines.len() as u64;
        let Some(head) = head else {
            return match now {
                0 | 1 => Ok(()),
                _ => {
                    Err("has lines, and nothing beside it says up to where it was written"
                        .to_owned())
                }
            };
        };
        if now < head.lines {
            return Err(format!("has {now} lines, and {} were written", head.lines));
        }
        if now > head.lines + 1 || !self.has(head) {
            return Err(format!("is not what was written up to line {}", head.lines));
        }
        Ok(())
    }

    /// Appends an entry; gives the line to be written, with its newline.
    ///
    /// # Errors
    /// When it cannot be serialised, which is a bug.
    pub fn append(&mut self, stamp: Stamp, entry: E) -> serde_json::Result<String> {
        let prev = self.last.clone();
        let seq = self.lines.len() as u64 + 1;
        let line = Line { format: FORMAT, seq, prev, stamp, entry };
        let mut text = serde_json::to_string(&line)?;
        self.last = sha256(text.as_bytes());
        text.push('\n');
        self.whole += text.len();
        self.lines.push(line);
        Ok(text)
    }
}

/// SHA-256 in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn resumed(attempt: u32) -> Entry {
        Entry::Resumed { attempt, owner: "Ada".to_owned() }
    }

    fn journal() -> (String, Journal) {
        let (mut text, mut journal) = (String::new(), Journal::default());
        for attempt in 1..=3 {
            let line = journal.append(at(attempt), resumed(attempt as u32));
            text.push_str(&line.expect("serialises"));
        }
        (text, journal)
    }

    #[test]
    fn what_was_written_is_read() {
        let (text, journal) = journal();
        assert_eq!(Journal::read(&text), Ok(journal));
        assert_eq!(Journal::read("").expect("nothing yet").lines, []);
    }

    #[test]
    fn a_head_tells_of_lines_that_are_missing_changed_or_added() {
        let (text, whole) = journal();
        let head = whole.head();
        assert_eq!(head.lines, 3);
        let of = |lines: usize| {
            let text: String = text.split_inclusive('\n').take(lines).collect();
            Journal::read(&text).expect("it holds together")
        };
        assert_eq!(whole.follows(Some(&head)), Ok(()));
        assert_eq!(
            whole.follows(Some(&of(2).head())),
            Ok(()),
            "killed before the head was written"
        );
        assert_eq!(of(1).follows(None), Ok(()), "killed at the first line");
        assert_eq!(of(0).follows(None), Ok(()), "nothing yet");
        assert!(of(2).follows(Some(&head)).expect_err("cut").contains("has 2 lines, and 3 were"));
        assert!(of(0).follows(Some(&head)).expect_err("emptied").contains("has 0 lines"));
        assert!(whole.follows(Some(&of(1).head())).is_err(), "lines were added");
        assert!(whole.follows(None).is_err(), "the head is gone");
        let mut other = of(2);
        other.append(at(3), resumed(7)).expect("serialises");
        assert!(other.follows(Some(&head)).is_err(), "the last line is another");
    }

    #[test]
    fn a_journal_is_known_by_its_first_line_and_has_each_line_up_to_its_last() {
        let (text, whole) = journal();
        let of = |lines: usize| {
            let text: String = text.split_inclusive('\n').take(lines).collect();
            Journal::read(&text).expect("it holds together")
        };
        assert_eq!(of(0).id(), None);
        for lines in 1..=3 {
            assert_eq!(of(lines).id(), whole.id(), "{lines} lines");
            assert!(whole.has(&of(lines).head()), "{lines} lines");
        }
        assert!(!of(2).has(&whole.head()), "the last is missing");
        let mut other = of(2);
        other.append(at(3), resumed(7)).expect("serialises");
        assert!(!other.has(&whole.head()), "the last is another");
        let mut forked = of(1);
        forked.append(at(2), resumed(7)).expect("serialises");
        assert!(!whole.has(&forked.head()), "one that another follows is another");
    }

    #[test]
    fn a_torn_last_line_is_none() {
        let (text, _) = journal();
        let second = text.match_indices('\n').nth(1).expect("three lines").0 + 1;
        for cut in [second, second + 1, text.len() - 1] {
            let read = Journal::read(&text[..cut]).expect("what is whole stands");
            assert_eq!((read.lines.len(), read.whole), (2, second), "cut at {cut}");
        }
        let mut read = Journal::read(&text[..text.len() - 1]).expect("what is whole stands");
        let line = read.append(at(9), resumed(9)).expect("serialises");
        let mended = format!("{}{line}", &text[..second]);
        assert_eq!(Journal::read(&mended).expect("it goes on").lines.len(), 3);
    }

    #[test]
    fn no_line_is_taken_out_changed_or_put_between() {
        let (text, _) = journal();
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        for (changed, line) in [
            (lines[1..].concat(), 1),
            ([lines[0], lines[2]].concat(), 2),
            (text.replacen("\"attempt\":2", "\"attempt\":7", 1), 3),
            ([lines[0], lines[1], lines[1], lines[2]].concat(), 3),
            (text.replacen("\"format\":1", "\"format\":2", 1), 1),
            ([lines[0], "nonsense\n"].concat(), 2),
        ] {
            assert_eq!(Journal::read(&changed).expect_err("it is damaged").line, line);
        }
    }
}
