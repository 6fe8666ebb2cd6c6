//! The bundle of a run: one folder of evidence, opened before the first connection.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use khala_engine::observe::Event;
use khala_wire::metrics::FanoutMetrics;

/// Lines that `events.ndjson` may hold; what comes after is counted.
const EVENTS_MAX: u64 = 100_000;

/// The folder, and the file that grows while the run goes on.
pub struct Bundle {
    dir: PathBuf,
    events: BufWriter<File>,
    written: u64,
    dropped: u64,
    failed: Option<std::io::Error>,
}

impl Bundle {
    /// Makes `<out_dir>/<UTC>-<scenario>-<id>/`.
    ///
    /// # Errors
    /// When it cannot be made or written to.
    pub fn create(out_dir: &Path, utc: &str, scenario: &str, id: &str) -> anyhow::Result<Self> {
        let stamp: String = utc.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
        let dir = out_dir.join(format!("{stamp}Z-{scenario}-{id}"));
        fs::create_dir_all(dir.join("metrics"))
            .with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join("events.ndjson");
        let file =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { dir, events: BufWriter::new(file), written: 0, dropped: 0, failed: None })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends a line to `events.ndjson`. A failure is kept for [`Bundle::finish`]: a run does not
    /// end because a disk is full, but it does not end well either.
    pub fn event(&mut self, event: &Event) {
        if self.written >= EVENTS_MAX {
            self.dropped += 1;
            return;
        }
        self.written += 1;
        let result = serde_json::to_writer(&mut self.events, event)
            .map_err(std::io::Error::from)
            .and_then(|()| self.events.write_all(b"\n"))
            .and_then(|()| self.events.flush());
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
    }

    /// Keeps a snapshot of the target's metrics under `metrics/`. A failure is kept like an event's.
    pub fn metrics(&mut self, label: &str, metrics: &FanoutMetrics) {
        let path = self.dir.join("metrics").join(format!("{label}.json"));
        let result = serde_json::to_vec_pretty(metrics)
            .map_err(std::io::Error::from)
            .and_then(|json| fs::write(path, json));
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
    }

    /// Lines that the bound kept out.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Writes a whole file: beside it first, then renamed, so that no reader sees half of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        let part = self.dir.join(format!(".{name}.part"));
        let context = || format!("cannot write {}", path.display());
        let mut file = File::create(&part).with_context(context)?;
        file.write_all(content).and_then(|()| file.sync_all()).with_context(context)?;
        fs::rename(&part, &path).with_context(context)
    }

    /// Ends the growing file.
    ///
    /// # Errors
    /// The first failure of any append.
    pub fn finish(mut self) -> anyhow::Result<PathBuf> {
        let path = self.dir.join("events.ndjson");
        if let Some(error) = self.failed.take() {
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
        let file = self.events.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(self.dir)
    }
}
