//! A bundle while its run goes on: one folder of evidence, opened before the first connection.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use khala_evidence::event::Event;
use khala_evidence::facts::{Finding, RunFacts};
use khala_evidence::journal::Begin;
use khala_plan::{Plan, Schedule};
use khala_wire::metrics::FanoutMetrics;
use rustix::fs::Access;
use rustix::io::Errno;

use crate::Error;
use crate::evidence::Leftover;
use crate::files::{self, Lock};
use crate::journal::Unwritten;
use crate::keeper::Keeper;
use crate::logs::{LogSink, Logs, Wanted};
use crate::names::{EVENTS, FOLDERS, JOURNAL, SCENARIO, SCHEDULE};
use crate::recording::write;

/// Lines that `events.ndjson` may hold; what comes after is counted.
const EVENTS_MAX: u64 = 100_000;
/// Room that is kept for `events.ndjson` from the start, in bytes, however full the disk becomes.
const EVENTS_KEPT: u64 = 128 << 10;
/// Snapshots of the target's metrics that are kept; what comes after is left out.
const SNAPSHOTS_MAX: u32 = 1_000;

/// The folder, and what is kept in it while the run goes on. It is locked until this is dropped.
pub struct Writer {
    dir: PathBuf,
    /// `events.ndjson`, to be made safe on disk.
    events: File,
    /// Until all is kept.
    keeper: Option<Keeper>,
    written: u64,
    events_dropped: u64,
    snapshots: u32,
    findings: Vec<Finding>,
    _lock: Lock,
}

impl Writer {
    /// Makes `<out_dir>/<UTC>-<scenario>-<id>/`.
    ///
    /// # Errors
    /// [`Error::Within`] when `out_dir` is in a bundle, [`Error::File`] when the folder cannot be made or
    /// written to.
    pub fn create(out_dir: &Path, utc: &str, scenario: &str, id: &str) -> Result<Self, Error> {
        if let Some(other) = within(out_dir)? {
            return Err(Error::Within { dir: out_dir.to_owned(), other });
        }
        let stamp: String = utc.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
        let dir = out_dir.join(format!("{stamp}Z-{scenario}-{id}"));
        fs::create_dir_all(out_dir)
            .and_then(|()| fs::create_dir(&dir))
            .map_err(Error::make(&dir))?;
        Self::begin(dir.clone()).inspect_err(|_| {
            // It is ours, and holds nothing.
            let _ = fs::remove_dir_all(&dir);
        })
    }

    fn begin(dir: PathBuf) -> Result<Self, Error> {
        for folder in FOLDERS {
            fs::create_dir(dir.join(folder)).map_err(Error::make(&dir))?;
        }
        let lock = Lock::take(&dir)?;
        let path = dir.join(EVENTS);
        let events = File::create_new(&path).map_err(Error::make(&path))?;
        let kept = events.try_clone().map_err(Error::make(&path))?;
        let keeper = Some(Keeper::begin(&dir, BufWriter::new(kept))?);
        Ok(Self {
            dir,
            events,
            keeper,
            written: 0,
            events_dropped: 0,
            snapshots: 0,
            findings: Vec::new(),
            _lock: lock,
        })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes the sources that stand at the start, the plan and its schedule, sees whether there is room for
    /// the others, and begins the logs into which the run's threads record.
    ///
    /// # Errors
    /// [`Error::NoRoom`] when the disk is too full, [`Error::File`] when something cannot be written.
    pub fn logs(
        &self,
        plan: &Plan,
        schedule: &Schedule,
        begin: Begin,
        wanted: Wanted,
    ) -> Result<Logs, Error> {
        let resolved = khala_plan::resolved::to_toml(plan);
        let unrolled = schedule.to_ndjson(plan);
        let needed = needed_bytes(plan, schedule, unrolled.len());
        if let Some(room) = files::room(&self.dir).filter(|room| *room < needed) {
            return Err(Error::NoRoom { dir: self.dir.clone(), room, needed });
        }
        files::write(&self.dir, SCENARIO, resolved.as_bytes())?;
        files::write(&self.dir, SCHEDULE, unrolled.as_bytes())?;
        let path = self.dir.join(EVENTS);
        files::reserve(&self.events, EVENTS_KEPT).map_err(Error::write(&path))?;
        let events = self.events.try_clone().map_err(Error::make(&path))?;
        Logs::begin(&self.dir, (plan, schedule), begin, events, wanted)
    }

    /// Appends a line to `events.ndjson`, without waiting for the disk. A failure is told by
    /// [`Writer::finish`]: a run does not end because a disk is full, but it does not end well either.
    pub fn event(&mut self, event: &Event) {
        let Some(keeper) = &mut self.keeper else { return };
        if self.written >= EVENTS_MAX {
            self.events_dropped += 1;
            return;
        }
        self.written += 1;
        // An event is made of strings and numbers.
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            keeper.event(line);
        }
    }

    /// Keeps a snapshot of the target's metrics as `metrics/<label>.json`, without waiting for the disk. A
    /// failure is kept like an event's.
    pub fn metrics(&mut self, label: &str, metrics: &FanoutMetrics) {
        let Some(keeper) = &mut self.keeper else { return };
        self.snapshots += 1;
        if self.snapshots > SNAPSHOTS_MAX && !["after", "left"].contains(&label) {
            return;
        }
        if let Ok(json) = serde_json::to_vec_pretty(metrics) {
            keeper.snapshot(format!("{label}.json"), json);
        }
    }

    /// Ends all of the growing files: what the sinks still hold is written, and `facts`, to which is added
    /// what is missing. What could not be written comes back, to be judged with the rest.
    ///
    /// # Errors
    /// [`Error::Bug`] when the journal's thread panicked.
    pub fn finish(
        &mut self,
        logs: Logs,
        sinks: Vec<LogSink>,
        mut facts: RunFacts,
    ) -> Result<Leftover, Error> {
        let mut left = Leftover::default();
        facts.unkept.extend(self.end().err().map(|error| error.unkept(&self.dir)));
        facts.events_dropped = self.events_dropped;
        facts.findings.append(&mut self.findings);
        let (journal, recording) = logs.into_parts();
        let shards = write::finish(recording, sinks, &mut facts);
        if let Some(Unwritten { why, entries }) = journal.finish(shards, facts)? {
            left.why.push(why);
            left.entries = entries;
        }
        Ok(left)
    }

    /// Removes the bundle of a run that did not begin: an empty one would only mislead. Whoever still writes
    /// to it is waited for; what it says no longer matters.
    pub fn abandon(mut self) {
        let _ = self.end();
        let _ = fs::remove_dir_all(&self.dir);
    }

    /// Ends `events.ndjson` and the snapshots; the first failure of any append.
    fn end(&mut self) -> Result<(), Error> {
        let Some(keeper) = self.keeper.take() else { return Ok(()) };
        let snapshots = keeper.snapshots_dropped;
        self.events_dropped += keeper.events_dropped;
        let kept = keeper.finish();
        files::give_back(&self.events);
        let kept = kept?;
        let mut find = |name: &str, message: &str, count: u64| {
            if count > 0 {
                self.findings.push(Finding::at_end(name, message.to_owned(), count));
            }
        };
        let no_descriptor = "snapshots of the target's metrics could not be kept: the harness had no \
                             file descriptor left";
        find("metrics_not_kept", no_descriptor, kept.unkept);
        let slow = "snapshots of the target's metrics could not be kept: the disk did not keep up";
        find("metrics_not_kept", slow, snapshots);
        let dropped =
            "lines of events.ndjson are missing: it was full, or the disk did not keep up";
        find("events_not_kept", dropped, self.events_dropped);
        self.events.sync_all().map_err(Error::write(&self.dir.join(EVENTS)))
    }
}

/// Bytes that a plan's bundle takes at the least, and those that are free in a folder; none where nobody can say.
#[must_use]
pub fn room_for(plan: &Plan, schedule: &Schedule, dir: &Path) -> (u64, Option<u64>) {
    (needed_bytes(plan, schedule, schedule.to_ndjson(plan).len()), files::room(dir))
}

/// What a kernel makes up as it is read, `/proc` and `/sys`: nobody makes anything there, whoever may write.
const MADE_UP: [rustix::fs::FsWord; 2] = [rustix::fs::PROC_SUPER_MAGIC, 0x6265_6572];

/// Whether a plan's bundle can be made in a folder, which need not be there yet, as far as that is known without making
/// anything.
///
/// # Errors
/// [`Error::Within`] when the folder is in a bundle, [`Error::File`] when it cannot be made or written to,
/// [`Error::NoRoom`] when the disk is too full.
pub fn can_keep(out_dir: &Path, plan: &Plan, schedule: &Schedule) -> Result<(), Error> {
    if let Some(other) = within(out_dir)? {
        return Err(Error::Within { dir: out_dir.to_owned(), other });
    }
    let whole = std::path::absolute(out_dir).map_err(Error::file("find", out_dir))?;
    // A link that leads nowhere is there, too.
    let there = whole.ancestors().find(|dir| dir.symlink_metadata().is_ok()).unwrap_or(&whole);
    let about = there.metadata().map_err(Error::make(out_dir))?;
    let writable = match about.is_dir() {
        true => rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK),
        false => Err(Errno::NOTDIR),
    };
    let writable = writable.and_then(|()| match rustix::fs::statfs(there) {
        Ok(about) if MADE_UP.contains(&about.f_type) => Err(Errno::PERM),
        _ => Ok(()),
    });
    writable.map_err(|why| Error::make(out_dir)(why.into()))?;
    match room_for(plan, schedule, there) {
        (needed, Some(room)) if room < needed => {
            Err(Error::NoRoom { dir: out_dir.to_owned(), room, needed })
        }
        _ => Ok(()),
    }
}

/// What a bundle takes whatever happens, in bytes: the schedule and what the run says of it, by clients
/// and by seconds. Violations, metrics and the rest come on top, so that this is the least.
fn needed_bytes(plan: &Plan, schedule: &Schedule, written: usize) -> u64 {
    const WHATEVER: u64 = 1 << 20;
    const A_CLIENT: u64 = 1 << 10;
    const A_SECOND: u64 = 4 << 10;
    let seconds = schedule.phases.last().map_or(0, |last| last.end_us / 1_000_000);
    WHATEVER + 2 * written as u64 + u64::from(plan.fleet.clients) * A_CLIENT + seconds * A_SECOND
}

/// The bundle in which a folder lies, or would lie once it is made.
fn within(dir: &Path) -> Result<Option<PathBuf>, Error> {
    let whole = std::path::absolute(dir).map_err(Error::file("find", dir))?;
    // Links and `..` resolved; what is not there yet lies in what is.
    let there = whole.ancestors().find_map(|dir| dir.canonicalize().ok()).unwrap_or(whole);
    Ok(there.ancestors().find(|dir| dir.join(JOURNAL).is_file()).map(Path::to_owned))
}
