//! Writes `latency.hlog` while the journal is read: a histogram of every second is too much to hold.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use khala_evidence::hlog::Hlog;
use khala_evidence::journal::Begin;
use khala_evidence::shard::metrics::Metrics;
use khala_plan::Schedule;

use crate::files;
use crate::names::HLOG;

/// The file, until it cannot be written: what it would have held is in the journal.
pub(crate) struct HlogFile<'a> {
    log: io::Result<Hlog<'a, BufWriter<File>>>,
}

impl<'a> HlogFile<'a> {
    /// Begins it in the bundle `dir`, beside the one that may be there.
    pub fn begin(dir: &Path, begin: &Begin, schedule: &'a Schedule) -> Self {
        let log = files::part(dir, HLOG).and_then(|file| {
            Hlog::begin(BufWriter::new(file), &begin.started_at, &schedule.phases)
        });
        Self { log }
    }

    /// Takes what a thread gathered until the end of a second.
    pub fn add(&mut self, second: u32, metrics: &Metrics) {
        if let Ok(log) = &mut self.log
            && let Err(error) = log.add(second, metrics)
        {
            self.log = Err(error);
        }
    }

    /// Ends it, beside its place; [`place`] puts it there.
    pub fn finish(self) -> Written {
        self.log.and_then(Hlog::finish).and_then(|mut out| {
            out.flush()?;
            out.get_ref().sync_all()
        })
    }
}

/// Whether the file could be written.
pub(crate) type Written = io::Result<()>;

/// Puts the file that was written in the bundle `dir` in its place in the folder `to`; why not, with the file, if it
/// could not be.
pub(crate) fn place(dir: &Path, written: &Written, to: &Path) -> Option<String> {
    let why = match written {
        Ok(()) => files::settle_in(dir, HLOG, to).err()?.to_string(),
        Err(error) => error.to_string(),
    };
    files::discard_part(dir, HLOG);
    Some(format!("cannot write {}: {why}", to.join(HLOG).display()))
}
