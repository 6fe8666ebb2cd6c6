//! The journal: what survives a restart, one JSON record a line.
//!
//! A record is written before its command is answered, in one write, so that a kill loses nothing
//! that was acknowledged (a power cut may: nothing is synced). A line that a kill tore is dropped
//! when the journal is read again. It grows while the server runs and is rewritten at each start.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use khala_wire::command::RunEvent;
use khala_wire::payload::Update;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::worker::Worker;
use crate::sync::lock;

/// Takes records, one at a time.
pub type Write<'w> = dyn FnMut(&RecordRef<'_>) -> io::Result<()> + 'w;

const FILE: &str = "journal.ndjson";
const REWRITTEN: &str = "journal.ndjson.new";

/// A record to write.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordRef<'a> {
    /// An update entered its topic.
    Update { at_ms: i64, update: &'a Update },
    /// A document whose update has been pruned.
    Document { update: &'a Update },
    /// A topic retains nothing up to this watermark.
    Floor { topic: &'a str, floor: u64 },
    /// A worker as it now is.
    Worker { worker: &'a Worker },
    /// A run was created.
    Run {
        id: &'a str,
        worker_id: Option<&'a str>,
        metadata: &'a BTreeMap<String, Value>,
        at: &'a str,
    },
    /// A run grew.
    RunEvent { id: &'a str, event: &'a RunEvent, key: Option<&'a str>, at: &'a str },
}

/// [`RecordRef`], read back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Update { at_ms: i64, update: Update },
    Document { update: Update },
    Floor { topic: String, floor: u64 },
    Worker { worker: Worker },
    Run { id: String, worker_id: Option<String>, metadata: BTreeMap<String, Value>, at: String },
    RunEvent { id: String, event: RunEvent, key: Option<String>, at: String },
}

/// Where records go; nowhere until it is begun, and for ever without a data directory.
#[derive(Debug, Default)]
pub struct Journal {
    file: Mutex<Option<File>>,
    failed: AtomicBool,
}

impl Journal {
    /// Writes a record.
    pub fn write(&self, record: &RecordRef<'_>) {
        let mut file = lock(&self.file);
        let Some(open) = file.as_mut() else { return };
        if let Err(error) = line(record).and_then(|line| open.write_all(&line)) {
            tracing::error!(%error, "the journal cannot be written; a restart will lose data");
            self.failed.store(true, Ordering::Relaxed);
            // A half-written line would join the next one: no more is written.
            *file = None;
        }
    }

    /// Whether a write has failed.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Replaces the directory's journal by these records, and goes on from there.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn begin(
        &self,
        dir: &Path,
        records: impl FnOnce(&mut Write<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let rewritten = dir.join(REWRITTEN);
        // What stands there, half of one or a link, is not written to.
        match fs::remove_file(&rewritten) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = BufWriter::new(File::create_new(&rewritten)?);
        records(&mut |record| out.write_all(&line(record)?))?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&rewritten, dir.join(FILE))?;
        let file = OpenOptions::new().append(true).open(dir.join(FILE))?;
        *lock(&self.file) = Some(file);
        Ok(())
    }
}

fn line(record: &RecordRef<'_>) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

/// The journal of a directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory or the file.
    #[error("cannot use the data directory {}: {source}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line that is not the last is not a record.
    #[error("line {number} of {} is not a record: {source}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        number: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads a directory's journal, making the directory if there is none.
///
/// # Errors
/// When it cannot be read, or a line other than the last is not a record.
pub fn load(dir: &Path, mut take: impl FnMut(Record)) -> Result<(), JournalError> {
    let failed = |source| JournalError::Io { dir: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    let path = dir.join(FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        number += 1;
        if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            tracing::warn!(number, "the journal's last line is torn and dropped");
            return Ok(());
        }
        match serde_json::from_slice(&line) {
            Ok(record) => take(record),
            Err(source) => return Err(JournalError::Corrupt { file: path, number, source }),
        }
    }
}
