//! Writes the journal of a run while it goes on, on a thread of its own.
//!
//! Each thread of the engine has a [`Journalled`] shard, which once a second gives away what it has
//! gathered. The way to the writer is bounded: what does not fit stays in the shard until the next
//! second, so nothing is lost and nobody waits. Every second the file is made safe on disk.
//!
//! Room on the disk is taken ahead of what is written. Where there is no more to take, shards give nothing before the
//! end of the run, for which that room is meant. Where even that is too little, the journal says itself why it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
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
use rustix::io::Errno;

use crate::Error;
use crate::clock;
use crate::error::plain;
use crate::files;
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

/// The same for a journal that has the room alone that was kept for its end.
const FULL_S: u64 = NEVER_S + 2;

/// Room kept for the end of a run, in bytes: what the threads have gathered, and how it went.
const AHEAD: u64 = 512 << 10;
/// The same for each client: what is known of it.
const AHEAD_A_CLIENT: u64 = 1 << 10;
/// The same for the sentence that says why the journal ends before the run; nothing else is written there.
const LAST_WORD: u64 = 4 << 10;
/// How much more is taken at once than is needed.
const STEP: u64 = 64 << 10;

/// A journal being written.
pub struct Journal {
    context: Arc<Context>,
    sender: SyncSender<Entry>,
    /// Seconds between two entries of a shard.
    pace_s: Arc<AtomicU64>,
    writer: JoinHandle<Option<Unwritten>>,
    standing: Arc<Mutex<Standing>>,
    sinks: u16,
}

/// How large a journal may become, and what it keeps free for its end, both in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    max: u64,
    ahead: u64,
}

impl Sizes {
    /// Those of a run with so many clients, whose journal should stay below `max`.
    pub fn of(clients: u32, max: u64) -> Self {
        Self { max, ahead: AHEAD + u64::from(clients) * AHEAD_A_CLIENT + LAST_WORD }
    }
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
    /// Beyond the largest of `sizes` shards give away what they gathered ever less often.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(
        dir: &Path,
        begin: Begin,
        context: Arc<Context>,
        events: File,
        sizes: Sizes,
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
        let mut writer = Writer {
            standing: Arc::clone(&standing),
            file,
            events,
            written: head.len() as u64,
            sizes,
            reserve: Reserve::Taken { until: 0 },
            pace_s: Arc::clone(&pace_s),
        };
        writer.reserve().map_err(cannot())?;
        let writer = std::thread::Builder::new()
            .name("khala-journal".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(Error::NoThread)?;
        Ok(Self { context, sender, pace_s, writer, standing, sinks: 0 })
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
        if pace_s == FULL_S {
            let message = "the disk was full: from then on the journal was written at the end alone, where room had been \
                           kept for it; no sample is missing, the last interval of latency.hlog is longer";
            facts.findings.push(Finding::at_end("journal_thinned", message.to_owned(), 1));
        } else if pace_s > 1 && pace_s != FAILED_S {
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
        Ok(unwritten.map(|Unwritten { why, entries }| Unwritten {
            why: format!("{why} (cannot write {JOURNAL})"),
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

/// The room on the disk that is the journal's, up to so many bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserve {
    /// More can be taken.
    Taken { until: u64 },
    /// There is no more.
    All { until: u64 },
    /// The file system takes no room ahead: what is written has room or has none.
    None,
}

struct Writer {
    standing: Arc<Mutex<Standing>>,
    file: File,
    events: File,
    written: u64,
    sizes: Sizes,
    reserve: Reserve,
    pace_s: Arc<AtomicU64>,
}

impl Writer {
    /// Writes what comes until nothing more does; from the first failure on it is kept instead.
    fn run(mut self, entries: &Receiver<Entry>) -> Option<Unwritten> {
        let unwritten = self.write_all(entries);
        files::give_back(&self.file);
        unwritten
    }

    fn write_all(&mut self, entries: &Receiver<Entry>) -> Option<Unwritten> {
        let mut sync_due = clock::now() + SYNC_EVERY;
        loop {
            match entries.recv_timeout(sync_due.saturating_duration_since(clock::now())) {
                Ok(entry) => {
                    // Nothing follows. A thread that is lost may hold on to its way here for ever.
                    let last = matches!(entry, Entry::End(_));
                    if let Err(error) = self.write(&entry) {
                        return self.keep(&error, Some(entry), entries);
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
                    return self.keep(&error, None, entries);
                }
                sync_due = clock::now() + SYNC_EVERY;
            }
        }
        let error = self.sync().err()?;
        self.keep(&error, None, entries)
    }

    /// Leaves what is whole in the file, and keeps the rest until the end, when room may have been made for it. Shards
    /// give nothing more until then, so that it is what they hold anyway.
    fn keep(
        &mut self,
        error: &io::Error,
        first: Option<Entry>,
        rest: &Receiver<Entry>,
    ) -> Option<Unwritten> {
        self.pace_s.store(FAILED_S, Ordering::Relaxed);
        self.cut(error);
        let mut entries: Vec<Entry> = first.into_iter().collect();
        // A thread that is lost may hold on to its way here for ever.
        while !matches!(entries.last(), Some(Entry::End(_)))
            && let Ok(entry) = rest.recv()
        {
            entries.push(entry);
        }
        if self.write_rest(&entries).is_ok() {
            return None;
        }
        self.cut(error);
        Some(Unwritten { why: plain(error), entries })
    }

    /// Says at the journal's end why it ends there: half an entry would be taken for a run that was killed, none for one
    /// whose journal somebody cut. Where there is no room for that either, what is whole stays.
    fn cut(&self, error: &io::Error) {
        let why = plain(error);
        let told = journal::frame(&Entry::Cut { why }).and_then(|frame| {
            self.file.write_all_at(&frame, self.written)?;
            Ok(self.written + frame.len() as u64)
        });
        let _ = self.file.set_len(told.unwrap_or(self.written));
        let _ = self.file.sync_data();
    }

    /// Writes what was kept in place of the sentence that the journal ends there.
    fn write_rest(&mut self, entries: &[Entry]) -> io::Result<()> {
        let whole = self.written;
        self.file.seek(SeekFrom::Start(whole))?;
        let mut write = || -> io::Result<()> {
            for entry in entries {
                self.append(&journal::frame(entry)?)?;
            }
            self.sync()
        };
        write().inspect_err(|_| self.written = whole)
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        if let Entry::Flow { flow, .. } = entry {
            // Nothing that is done under the lock can panic.
            self.standing.lock().unwrap_or_else(PoisonError::into_inner).add(flow);
        }
        self.append(&journal::frame(entry)?)?;
        let pace_s = match self.reserve() {
            Ok(()) => pace(self.written, self.sizes.max),
            Err(_) => FULL_S,
        };
        self.pace_s.store(pace_s, Ordering::Relaxed);
        Ok(())
    }

    /// Writes a frame, where it leaves room for the last word.
    fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        let end = self.written + frame.len() as u64;
        if let Reserve::All { until } = self.reserve
            && end + LAST_WORD > until
        {
            return Err(Errno::NOSPC.into());
        }
        self.file.write_all(frame)?;
        self.written = end;
        Ok(())
    }

    /// Takes room ahead of what is written, for the end of the run.
    ///
    /// # Errors
    /// When there is none left.
    fn reserve(&mut self) -> io::Result<()> {
        let (Reserve::Taken { until } | Reserve::All { until }) = self.reserve else {
            return Ok(());
        };
        let wanted = self.written + self.sizes.ahead;
        if wanted <= until {
            return Ok(());
        }
        match files::reserve(&self.file, wanted + STEP) {
            Ok(true) => self.reserve = Reserve::Taken { until: wanted + STEP },
            Ok(false) => self.reserve = Reserve::None,
            Err(full) => {
                self.reserve = Reserve::All { until };
                return Err(full);
            }
        }
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
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_journal_without_room_says_itself_why_it_ends_and_what_is_left_comes_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("run.journal");
        let mut file = File::create(&path).expect("is made");
        file.write_all(journal::HEAD).expect("is written");
        let written = journal::HEAD.len() as u64;
        let clients = || Entry::Clients { clients: std::collections::BTreeMap::new() };
        let frame = journal::frame(&clients()).expect("a frame").len() as u64;
        let of = |room| Writer {
            standing: Arc::default(),
            file: file.try_clone().expect("is open"),
            events: File::create(dir.path().join("events")).expect("is made"),
            written,
            sizes: Sizes { max: 1 << 20, ahead: 0 },
            reserve: Reserve::All { until: written + room + LAST_WORD },
            pace_s: Arc::default(),
        };
        let run = |room, entries: u32| {
            let (sender, receiver) = sync_channel(QUEUE);
            (0..entries).for_each(|_| sender.send(clients()).expect("has room"));
            drop(sender);
            let unwritten = of(room).run(&receiver);
            let mut bytes = Vec::new();
            File::open(&path).expect("is there").read_to_end(&mut bytes).expect("is read");
            let entries = journal::Entries::of(&*bytes).expect("a journal");
            let entries: Result<Vec<_>, _> = entries.collect();
            (unwritten, entries.expect("all of them are whole"))
        };
        // One finds room, the other two do not.
        let (unwritten, entries) = run(frame, 3);
        let Unwritten { why, entries: rest } = unwritten.expect("there is no room");
        assert!(why.contains("No space left"), "{why}");
        assert_eq!(rest, [clients(), clients()]);
        assert_eq!(entries, [clients(), Entry::Cut { why }]);
    }

    #[test]
    fn the_fuller_the_journal_the_longer_the_pace() {
        let paces = [0, 49, 50, 76, 95, 100, 1_000].map(|written| pace(written, 100));
        assert_eq!(paces, [1, 1, 5, 30, 300, 1_000_000, 1_000_000]);
        assert_eq!(pace(0, 0), 1);
    }
}
