//! The journal: what a run gathered, written as it happens, from which everything else is made.
//!
//! A file is a head and frames. A frame is the length of its payload (4 bytes, little endian), the
//! payload's XXH3 (8 bytes, little endian), and the payload: an [`Entry`] as JSON, deflated. A run that
//! is killed leaves a file whose last frame may be torn; everything before it stands. No file is
//! opened here: callers bring readers and take bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use khala_wire::canonical::digest64;
use serde::{Deserialize, Serialize};

use crate::facts::RunFacts;
use crate::shard::Flow;
use crate::shard::client::Client;

/// What a journal begins with: what it is, and the version of its format.
pub const HEAD: &[u8] = b"khala-journal 1\n";
/// Largest payload that is read: a damaged length must not ask for more.
const PAYLOAD_MAX: usize = 1 << 28;

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
}

/// Which run a journal is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Version of the tool that ran it.
    pub tool_version: String,
    /// Id of the run.
    pub run_id: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// The profile, which the resolved scenario cannot name.
    pub profile: Option<String>,
    /// Where it ran.
    pub host: Host,
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut encoder, entry)?;
    let payload = encoder.finish()?;
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(payload.len() + 12);
    frame.write_all(&length.to_le_bytes())?;
    frame.write_all(&digest64(&payload).to_le_bytes())?;
    frame.write_all(&payload)?;
    Ok(frame)
}

/// Why a journal cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It is none, or of another version.
    #[error("it does not begin as a journal of this version does")]
    NotAJournal,
    /// The last frame was not written to its end.
    #[error("its last entry, at byte {at}, was not written to its end")]
    Torn {
        /// Where the frame begins.
        at: u64,
    },
    /// A frame is not what was written.
    #[error("the entry at byte {at} is damaged: {why}")]
    Damaged {
        /// Where the frame begins.
        at: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The reader failed.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// The entries of a journal, one after another; ends after the first error.
#[derive(Debug)]
pub struct Entries<R> {
    reader: R,
    at: u64,
    ended: bool,
}

impl<R: Read> Entries<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// When it is no journal.
    pub fn of(mut reader: R) -> Result<Self, JournalError> {
        let mut head = [0; HEAD.len()];
        if fill(&mut reader, &mut head)? < head.len() || head != HEAD {
            return Err(JournalError::NotAJournal);
        }
        Ok(Self { reader, at: HEAD.len() as u64, ended: false })
    }

    fn read(&mut self) -> Result<Option<Entry>, JournalError> {
        let at = self.at;
        let damaged =
            |why: &dyn std::fmt::Display| JournalError::Damaged { at, why: why.to_string() };
        let mut prefix = [0; 12];
        match fill(&mut self.reader, &mut prefix)? {
            0 => return Ok(None),
            12 => {}
            _ => return Err(JournalError::Torn { at }),
        }
        let (length, digest) = prefix.split_at(4);
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
        let digest = u64::from_le_bytes(digest.try_into().unwrap_or_default());
        if length > PAYLOAD_MAX {
            return Err(damaged(&"its length cannot be right"));
        }
        let mut payload = vec![0; length];
        if fill(&mut self.reader, &mut payload)? < length {
            return Err(JournalError::Torn { at });
        }
        if digest64(&payload) != digest {
            return Err(damaged(&"its checksum does not fit"));
        }
        let mut json = Vec::new();
        ZlibDecoder::new(&*payload).read_to_end(&mut json).map_err(|error| damaged(&error))?;
        let entry = serde_json::from_slice(&json).map_err(|error| damaged(&error))?;
        self.at += 12 + length as u64;
        Ok(Some(entry))
    }
}

impl<R: Read> Iterator for Entries<R> {
    type Item = Result<Entry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}

/// Reads until the buffer is full or nothing more comes; how much came.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUNS: [&str; 3] = ["first", "second", "third"];

    fn begin(run_id: &str) -> Entry {
        Entry::Begin(Begin {
            tool_version: "0.0.0".to_owned(),
            run_id: run_id.to_owned(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            profile: None,
            host: Host::default(),
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

    fn read(bytes: &[u8]) -> (Vec<Entry>, Option<JournalError>) {
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
        for bytes in [&b""[..], b"khala-journal 2\n", b"{}"] {
            assert!(matches!(Entries::of(bytes), Err(JournalError::NotAJournal)));
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
