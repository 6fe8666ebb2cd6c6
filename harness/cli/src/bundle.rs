//! The bundle of a run: one folder of evidence, opened before the first connection.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use khala_engine::observe::Event;
use khala_evidence::facts::Finding;
use khala_wire::metrics::FanoutMetrics;

use crate::evidence::EVENTS;
use crate::journal;
use crate::keeper::Keeper;

/// Lines that `events.ndjson` may hold; what comes after is counted.
const EVENTS_MAX: u64 = 100_000;
/// Snapshots of the target's metrics that are kept; what comes after is left out.
const METRICS_MAX: u32 = 1_000;
/// Held by the process that writes a bundle: nobody else may report on it or remove it.
const LOCK: &str = ".writing";

/// The folder, and what is kept in it while the run goes on.
pub struct Bundle {
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

impl Bundle {
    /// Makes `<out_dir>/<UTC>-<scenario>-<id>/`.
    ///
    /// # Errors
    /// When it cannot be made or written to.
    pub fn create(out_dir: &Path, utc: &str, scenario: &str, id: &str) -> anyhow::Result<Self> {
        if let Some(other) = within(out_dir)? {
            let (out_dir, other) = (out_dir.display(), other.display());
            anyhow::bail!("{out_dir} is in the evidence of another run, {other}");
        }
        let stamp: String = utc.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
        let dir = out_dir.join(format!("{stamp}Z-{scenario}-{id}"));
        fs::create_dir_all(out_dir)
            .and_then(|()| fs::create_dir(&dir))
            .with_context(|| format!("cannot make {}", dir.display()))?;
        Self::begin(dir.clone()).inspect_err(|_| {
            // It is ours, and holds nothing.
            let _ = fs::remove_dir_all(&dir);
        })
    }

    fn begin(dir: PathBuf) -> anyhow::Result<Self> {
        for folder in ["metrics", "journal"] {
            fs::create_dir(dir.join(folder))
                .with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let lock = Lock::take(&dir)?.context("another process has made the same bundle")?;
        let path = dir.join(EVENTS);
        let events =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let kept = events.try_clone().with_context(|| format!("cannot make {}", path.display()))?;
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
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of events, for whoever makes it safe on disk.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn events_file(&self) -> anyhow::Result<File> {
        self.events.try_clone().context("cannot share events.ndjson")
    }

    /// Appends a line to `events.ndjson`, without waiting for the disk. A failure is told by
    /// [`Bundle::finish`]: a run does not end because a disk is full, but it does not end well either.
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

    /// Keeps a snapshot of the target's metrics under `metrics/`, without waiting for the disk. A failure
    /// is kept like an event's.
    pub fn metrics(&mut self, label: &str, metrics: &FanoutMetrics) {
        let Some(keeper) = &mut self.keeper else { return };
        self.snapshots += 1;
        if self.snapshots > METRICS_MAX && label != "after" {
            return;
        }
        if let Ok(json) = serde_json::to_vec_pretty(metrics) {
            keeper.snapshot(format!("{label}.json"), json);
        }
    }

    /// Lines of `events.ndjson` that are missing.
    pub fn dropped(&self) -> u64 {
        self.events_dropped
    }

    /// What is missing of the files that grow, once they are finished.
    pub fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Ends the growing files.
    ///
    /// # Errors
    /// The first failure of any append.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let Some(keeper) = self.keeper.take() else { return Ok(()) };
        let snapshots = keeper.snapshots_dropped;
        self.events_dropped += keeper.events_dropped;
        let kept = keeper.finish()?;
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
        let path = self.dir.join(EVENTS);
        self.events.sync_all().with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The bundle in which a folder lies, or would lie once it is made.
fn within(dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    let whole = std::path::absolute(dir).context("cannot find the folder")?;
    // Links and `..` resolved; what is not there yet lies in what is.
    let there = whole.ancestors().find_map(|dir| dir.canonicalize().ok()).unwrap_or(whole);
    Ok(there.ancestors().find(|dir| dir.join(journal::PATH).is_file()).map(Path::to_owned))
}

/// A bundle that this process writes to.
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of a bundle; `None` when another process holds it.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn take(dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = dir.join(LOCK);
        let context = || format!("cannot write to {}", dir.display());
        let file = File::create(&path).with_context(context)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path, _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error).with_context(context),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A lock file that stays behind locks nothing.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes a whole file: beside it first, then renamed, so that no reader sees half of it.
///
/// # Errors
/// When it cannot be written.
pub fn write(dir: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let mut file = part(dir, name)?;
    let written = file
        .write_all(content)
        .with_context(|| format!("cannot write {}", dir.join(name).display()))
        .and_then(|()| settle(dir, name, &file));
    if written.is_err() {
        discard_part(dir, name);
    }
    written
}

/// Removes a file that was begun with [`part`] and cannot be ended: it takes room that others need.
pub fn discard_part(dir: &Path, name: &str) {
    let _ = fs::remove_file(part_path(dir, name));
}

/// Bytes that can still be written into a folder; none where nobody can say.
pub fn room(dir: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(dir).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

fn part_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.part"))
}

/// Begins a file that [`settle`] puts in its place.
///
/// # Errors
/// When it cannot be made.
pub fn part(dir: &Path, name: &str) -> anyhow::Result<File> {
    File::create(part_path(dir, name))
        .with_context(|| format!("cannot write {}", dir.join(name).display()))
}

/// Puts a file that was begun with [`part`] in its place.
///
/// # Errors
/// When that fails.
pub fn settle(dir: &Path, name: &str, file: &File) -> anyhow::Result<()> {
    let path = dir.join(name);
    file.sync_all()
        .and_then(|()| fs::rename(part_path(dir, name), &path))
        .with_context(|| format!("cannot write {}", path.display()))
}
