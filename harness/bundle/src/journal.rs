//! Writes the journal of a run while it goes on, on a thread of its own.
//!
//! Each thread of the engine has a [`Journalled`] shard, which once a second gives away what it has
//! gathered. The way to the writer is bounded: what does not fit stays in the shard until the next
//! second, so nothing is lost and nobody waits. Every second the file is made safe on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use khala_evidence::facts::{Finding, RunFacts};
use khala_evidence::journal::{self, Begin, Entry};
use khala_evidence::record::{Micros, Record, Sink};
use khala_evidence::standing::Standing;
use khala_evidence::{Context, Shard};

use crate::Error;
use crate::clock;
use crate::names::JOURNAL;

/// Entries on their way to the writer.
const QUEUE: usize = 16;
/// How often the file is made safe on disk.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Clients in an entry.
const CLIENTS_AN_ENTRY: usize = 1_000;
/// How often a shard gives away what it has gathered, in seconds, by how full the journal is.
const PACES: [(f64, u64); 4] = [(0.5, 1), (0.75, 5), (0.9, 30), (1.0, 300)];

/// A pace at which nothing is given before the end of the run, in seconds.
const NEVER_S: u64 = 1_000_000;

/// The same for a journal that takes no more.
const FAILED_S: u64 = NEVER_S + 1;

/// A journal being written.
pub struct Journal {
    path: PathBuf,
    context: Arc<Context>,
    sender: SyncSender<Entry>,
    /// Seconds between two entries of a shard.
    pace_s: Arc<AtomicU64>,
    writer: JoinHandle<Option<Unwritten>>,
    standing: Arc<Mutex<Standing>>,
    sinks: u16,
}

/// What did not go into the journal, because the disk was full or worse.
#[derive(Debug)]
pub struct Unwritten {
    /// Why, with the file.
    pub why: String,
    /// What would have been the journal's next entries, in order.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// Begins the journal of the bundle `dir`; `events` is made safe on disk together with it.
    /// Beyond `size_max` bytes shards give away what they gathered ever less often.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(
        dir: &Path,
        begin: Begin,
        context: Arc<Context>,
        events: File,
        size_max: u64,
    ) -> Result<Self, Error> {
        let path = dir.join(JOURNAL);
        let cannot = || Error::write(&path);
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(cannot())?;
        let mut head = journal::HEAD.to_vec();
        head.extend(journal::frame(&Entry::Begin(begin)).map_err(cannot())?);
        file.write_all(&head).and_then(|()| file.sync_data()).map_err(cannot())?;
        let (sender, receiver) = sync_channel(QUEUE);
        let pace_s = Arc::new(AtomicU64::new(1));
        let standing = Arc::<Mutex<Standing>>::default();
        let writer = Writer {
            standing: Arc::clone(&standing),
            file,
            events,
            written: head.len() as u64,
            size_max,
            pace_s: Arc::clone(&pace_s),
        };
        let writer = std::thread::Builder::new()
            .name("khala-journal".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(Error::NoThread)?;
        Ok(Self { path, context, sender, pace_s, writer, standing, sinks: 0 })
    }

    /// How the run stands, kept up to date by the writer.
    pub fn standing(&self) -> Arc<Mutex<Standing>> {
        Arc::clone(&self.standing)
    }

    /// A shard for one more thread.
    pub fn sink(&mut self) -> Journalled {
        let thread = self.sinks;
        self.sinks += 1;
        Journalled {
            thread,
            shard: Shard::new(Arc::clone(&self.context)),
            sender: self.sender.clone(),
            pace_s: Arc::clone(&self.pace_s),
            due: 1_000_000,
        }
    }

    /// Writes what the shards still hold and how the run went, and ends the journal. What could not be
    /// written comes back.
    ///
    /// # Errors
    /// When the writer ended with a bug.
    pub fn finish(
        self,
        shards: Vec<Journalled>,
        mut facts: RunFacts,
    ) -> Result<Option<Unwritten>, Error> {
        let pace_s = self.pace_s.load(Ordering::Relaxed);
        if pace_s > 1 && pace_s != FAILED_S {
            let message = format!(
                "the journal came near its size limit, so that in the end it was written every {pace_s} s: \
                 no sample is missing, the intervals of latency.hlog are longer"
            );
            facts.findings.push(Finding::at_end("journal_thinned", message, 1));
        }
        let second = second_of(facts.duration_us);
        // A writer hangs up only by a bug.
        let give = |entry| self.sender.send(entry).is_ok();
        for Journalled { thread, mut shard, .. } in shards {
            let flow = Box::new(shard.take());
            give(Entry::Flow { thread, second, flow });
            let mut clients = shard.into_clients().into_iter();
            loop {
                let some: std::collections::BTreeMap<_, _> =
                    clients.by_ref().take(CLIENTS_AN_ENTRY).collect();
                if some.is_empty() || !give(Entry::Clients { clients: some }) {
                    break;
                }
            }
        }
        give(Entry::End(Box::new(facts)));
        drop(self.sender);
        let unwritten = self.writer.join().map_err(|_| Error::Bug("journal"))?;
        let path = self.path.display();
        Ok(unwritten.map(|Unwritten { why, entries }| Unwritten {
            why: format!("cannot write {path}: {why}"),
            entries,
        }))
    }
}

fn second_of(at: Micros) -> u32 {
    u32::try_from(at / 1_000_000).unwrap_or(u32::MAX)
}

/// A shard that gives away what it gathered, once a second.
pub struct Journalled {
    thread: u16,
    shard: Shard,
    sender: SyncSender<Entry>,
    pace_s: Arc<AtomicU64>,
    due: Micros,
}

impl Sink for Journalled {
    fn record(&mut self, record: Record) {
        // What comes often on every thread, whatever its clients do.
        let now = match &record {
            Record::SchedulerLag { at, .. } => Some(*at),
            Record::Window { answered, .. } => Some(*answered),
            Record::Probe(probe) => Some(probe.at),
            _ => None,
        };
        self.shard.record(record);
        if let Some(now) = now.filter(|now| *now >= self.due) {
            self.give(now);
        }
    }
}

impl Journalled {
    fn give(&mut self, now: Micros) {
        let pace = self.pace_s.load(Ordering::Relaxed) * 1_000_000;
        self.due = (now / pace + 1) * pace;
        // What was gathered belongs to the second that has just ended.
        let second = second_of(now.saturating_sub(1_000_000));
        let flow = Box::new(self.shard.take());
        match self.sender.try_send(Entry::Flow { thread: self.thread, second, flow }) {
            Ok(()) => {}
            Err(TrySendError::Full(entry) | TrySendError::Disconnected(entry)) => {
                if let Entry::Flow { flow, .. } = entry {
                    self.shard.add(*flow);
                }
            }
        }
    }
}

struct Writer {
    standing: Arc<Mutex<Standing>>,
    file: File,
    events: File,
    written: u64,
    size_max: u64,
    pace_s: Arc<AtomicU64>,
}

impl Writer {
    /// Writes what comes until nothing more does; from the first failure on it is kept instead.
    fn run(mut self, entries: &Receiver<Entry>) -> Option<Unwritten> {
        let mut sync_due = clock::now() + SYNC_EVERY;
        loop {
            match entries.recv_timeout(sync_due.saturating_duration_since(clock::now())) {
                Ok(entry) => {
                    // Nothing follows. A thread that is lost may hold on to its way here for ever.
                    let last = matches!(entry, Entry::End(_));
                    if let Err(error) = self.write(&entry) {
                        return Some(self.keep(&error, Some(entry), entries));
                    }
                    if last {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if clock::now() >= sync_due {
                if let Err(error) = self.sync() {
                    return Some(self.keep(&error, None, entries));
                }
                sync_due = clock::now() + SYNC_EVERY;
            }
        }
        self.sync().err().map(|error| self.keep(&error, None, entries))
    }

    /// Leaves what is whole in the file, and keeps the rest. Shards give nothing more until the end, so
    /// that it is what they hold anyway.
    fn keep(&self, error: &io::Error, first: Option<Entry>, rest: &Receiver<Entry>) -> Unwritten {
        self.pace_s.store(FAILED_S, Ordering::Relaxed);
        // Half an entry would be taken for a run that was killed; where it stays, the rest is read all the
        // same.
        let _ = self.file.set_len(self.written);
        let mut entries: Vec<Entry> = first.into_iter().collect();
        // A thread that is lost may hold on to its way here for ever.
        while !matches!(entries.last(), Some(Entry::End(_)))
            && let Ok(entry) = rest.recv()
        {
            entries.push(entry);
        }
        Unwritten { why: error.to_string(), entries }
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        if let Entry::Flow { flow, .. } = entry {
            // Nothing that is done under the lock can panic.
            self.standing.lock().unwrap_or_else(PoisonError::into_inner).add(flow);
        }
        let frame = journal::frame(entry)?;
        self.file.write_all(&frame)?;
        self.written += frame.len() as u64;
        self.pace_s.store(pace(self.written, self.size_max), Ordering::Relaxed);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.events.sync_data()
    }
}

/// Seconds between two entries of a shard, for a journal of this size.
fn pace(written: u64, size_max: u64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "a share of a size")]
    let full = written as f64 / size_max.max(1) as f64;
    let pace = PACES.iter().find(|(until, _)| full < *until);
    // Beyond its limit the journal gets what is left at the end of the run.
    pace.map_or(NEVER_S, |(_, seconds)| *seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuller_the_journal_the_longer_the_pace() {
        let paces = [0, 49, 50, 76, 95, 100, 1_000].map(|written| pace(written, 100));
        assert_eq!(paces, [1, 1, 5, 30, 300, 1_000_000, 1_000_000]);
        assert_eq!(pace(0, 0), 1);
    }
}
