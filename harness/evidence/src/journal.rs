//! The journal: what a run gathered, written as it happens, from which everything else is made.
//!
//! A file of [frames](crate::framing), each an [`Entry`] as JSON. No file is opened here: callers bring
//! readers and take bytes.

use std::collections::BTreeMap;
use std::io::{self, Read};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::RunFacts;
use crate::framing::{self, FrameError, Frames};
use crate::shard::Flow;
use crate::shard::client::Client;

/// What a journal begins with: what it is, and the version of its format.
pub const HEAD: &[u8] = b"khala-journal 1\n";

/// One entry. (Not tagged from inside: serde would read the keys of its maps as strings.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first: which run this is.
    Begin(Begin),
    /// What a thread gathered since its entry before.
    Flow {
        /// Which thread.
        thread: u16,
        /// Second of the run in which it was taken.
        second: u32,
        /// What was gathered.
        flow: Box<Flow>,
    },
    /// The state of some clients when they left the run.
    Clients {
        /// By number.
        #[serde(with = "crate::pairs")]
        clients: BTreeMap<u32, Client>,
    },
    /// The last: how the run went.
    End(Box<RunFacts>),
    /// The last of a journal that could not be written on while its run went on: what came later is in no file.
    Cut {
        /// Why, in a clause.
        why: String,
    },
}

/// Which run a journal is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Version of the tool that ran it.
    pub tool_version: String,
    /// The commit that the tool was built from, where the build knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_commit: Option<String>,
    /// Id of the run.
    pub run_id: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// The profile, which the resolved scenario cannot name.
    pub profile: Option<String>,
    /// Where it ran.
    pub host: Host,
    /// The command line, without secrets.
    #[serde(default)]
    pub command: Vec<String>,
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Operating system and kernel.
    pub system: String,
    /// Cores that the process may use.
    pub cores: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
}

/// An entry as a frame.
///
/// # Errors
/// When the entry cannot be serialised, which is a bug.
pub fn frame(entry: &Entry) -> io::Result<Vec<u8>> {
    framing::frame(&serde_json::to_vec(entry)?)
}

/// The entries of a journal, one after another; ends after the first error.
#[derive(Debug)]
pub struct Entries<R>(Frames<R>);

impl<R: Read> Entries<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// When it is no journal.
    pub fn of(reader: R) -> Result<Self, FrameError> {
        Frames::of(reader, HEAD).map(Self)
    }
}

impl<R: Read> Iterator for Entries<R> {
    type Item = Result<Entry, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_as(|json| serde_json::from_slice(json).map_err(|error| error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUNS: [&str; 3] = ["first", "second", "third"];

    fn begin(run_id: &str) -> Entry {
        Entry::Begin(Begin {
            tool_version: "0.0.0".to_owned(),
            tool_commit: None,
            run_id: run_id.to_owned(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            profile: None,
            host: Host::default(),
            command: Vec::new(),
        })
    }

    /// A journal of three entries, and where each begins and the last ends.
    fn journal() -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (HEAD.to_vec(), vec![HEAD.len()]);
        for run in RUNS {
            bytes.extend(frame(&begin(run)).expect("frames"));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn read(bytes: &[u8]) -> (Vec<Entry>, Option<FrameError>) {
        let mut entries = Vec::new();
        for entry in Entries::of(bytes).expect("a journal") {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(error) => return (entries, Some(error)),
            }
        }
        (entries, None)
    }

    #[test]
    fn what_was_written_is_read() {
        let (entries, error) = read(&journal().0);
        assert_eq!(entries, RUNS.map(begin));
        assert!(error.is_none());
    }

    #[test]
    fn something_else_is_no_journal() {
        for bytes in [&b""[..], b"khala-reports 2\n", b"khala-journal x\n", b"{}"] {
            assert!(matches!(Entries::of(bytes), Err(FrameError::WrongHead)));
        }
        for (head, version) in [(b"khala-journal 2\n", 2), (b"khala-journal 12", 12)] {
            let error = Entries::of(&head[..]).expect_err("another version");
            let said = format!("it is of version {version}, and this build reads version 1");
            assert_eq!(error.to_string(), said);
        }
    }

    proptest! {
        #[test]
        fn a_journal_cut_anywhere_gives_what_was_whole_and_says_so(
            cut in any::<prop::sample::Index>(),
        ) {
            let (whole, ends) = journal();
            let cut = HEAD.len() + cut.index(whole.len() - HEAD.len() + 1);
            let (entries, error) = read(&whole[..cut]);
            prop_assert_eq!(entries.len(), ends.iter().filter(|&&end| end <= cut).count() - 1);
            prop_assert_eq!(error.is_none(), ends.contains(&cut));
        }

        #[test]
        fn a_flipped_bit_is_noticed_and_never_read_as_something_else(
            place in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let (whole, _) = journal();
            let mut bytes = whole.clone();
            let place = HEAD.len() + place.index(bytes.len() - HEAD.len());
            bytes[place] ^= 1 << bit;
            let (entries, error) = read(&bytes);
            prop_assert!(error.is_some());
            prop_assert!(entries.iter().zip(&read(&whole).0).all(|(read, written)| read == written));
        }
    }
}
