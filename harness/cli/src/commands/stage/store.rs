//! The stage folder: the journal, appended to and made safe before anything counts, and the reports.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use khala_bundle::Lock;
use khala_evidence::judge::Decision;
use khala_stage::entry::Entry;
use khala_stage::history::{Attempt, History};
use khala_stage::journal::Journal;
use khala_stage::render;
use khala_stage::report::StageReport;
use khala_stage::stamp::Stamp;

use super::clock;
use crate::exit::{Exit, Failure};
use crate::output;

/// Name of the journal in the stage folder.
const JOURNAL: &str = "journal.ndjson";
/// The latest report, by a name that stays.
const LATEST: &str = "stage.json";

/// The folder, held until this is dropped.
pub struct Store {
    dir: PathBuf,
    file: File,
    journal: Journal,
    /// What is known of the rollout.
    pub history: History,
    _lock: Lock,
}

impl Store {
    /// Opens the folder, and makes it where it is not there.
    ///
    /// # Errors
    /// HOLD where its journal does not hold together or lacks what a report tells of; else when it cannot be read or
    /// written, or another stage is under way in it.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let setup = |what: String| Failure::new(Exit::Setup, what);
        let shown = dir.display();
        std::fs::create_dir_all(dir).map_err(|error| {
            setup(format!("cannot make {shown}: {error}; name another --stage-dir"))
        })?;
        let lock = Lock::take(dir).map_err(|error| match error {
            khala_bundle::Error::StillWritten(_) => {
                setup(format!("another stage is under way in {shown}: wait for its end"))
            }
            error => setup(error.to_string()),
        })?;
        let path = dir.join(JOURNAL);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| setup(format!("cannot write {}: {error}", path.display())))?;
        let text = std::fs::read_to_string(&path)
            .map_err(|error| setup(format!("cannot read {}: {error}", path.display())))?;
        let damaged = |why: String| {
            Failure::new(
                Exit::Hold,
                format!(
                    "HOLD: {} {why}; no stage is a GO by it: find out what became of it, or begin a rollout anew with \
                     another --stage-dir",
                    path.display()
                ),
            )
        };
        let journal =
            Journal::read(&text).map_err(|error| damaged(format!("is damaged: {error}")))?;
        let history =
            History::of(&journal).map_err(|error| damaged(format!("is damaged: {error}")))?;
        let lacks = history.lacks(&reported(dir)?);
        if let Some(first) = lacks.first() {
            let why =
                format!("lacks the end of attempt {first}, of which a report beside it tells");
            return Err(damaged(why));
        }
        // What a process that was killed did not write to its end.
        file.set_len(journal.whole as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { dir: dir.to_owned(), file, journal, history, _lock: lock })
    }

    /// Writes something down, dated now; it is safe on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, entry: Entry) -> Result<Stamp, Failure> {
        self.write_at(clock::now(), entry)
    }

    /// The same, dated.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_at(&mut self, stamp: Stamp, entry: Entry) -> Result<Stamp, Failure> {
        self.history
            .take(&stamp, &entry)
            .map_err(|why| anyhow::anyhow!("the journal of the stage {why}"))?;
        let line = self.journal.append(stamp.clone(), entry).context("the journal of the stage")?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write {}", self.dir.join(JOURNAL).display()))?;
        Ok(stamp)
    }

    /// An attempt.
    pub fn attempt(&self, number: u32) -> &Attempt {
        &self.history.attempts[number as usize - 1]
    }

    /// Where the builds that an attempt's target tells while it is held are written down.
    pub fn builds(&self, attempt: u32) -> PathBuf {
        self.dir.join(format!("builds-{attempt}.ndjson"))
    }

    /// A name for the report of an attempt that ends now, which no other has: `<date>-stage-N`.
    pub fn name(&self, stage: &str, now: &Stamp) -> String {
        let date = now.at.get(..10).unwrap_or(&now.at);
        let plain = format!("{date}-stage-{stage}");
        let taken = |name: &str| {
            let mut ended = self.history.attempts.iter().filter_map(|one| one.ended.as_ref());
            ended.any(|(ended, _)| ended.report == name)
        };
        let others = (2..).map(|number| format!("{plain}-{number}"));
        std::iter::once(plain.clone()).chain(others).find(|name| !taken(name)).unwrap_or(plain)
    }

    /// Whether the files of a report are there.
    pub fn has(&self, name: &str) -> bool {
        let there = |end: &str| self.dir.join(format!("{name}.{end}")).is_file();
        ["md", "html", "json"].into_iter().all(there)
    }

    /// Writes a report in each of its forms.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn publish(&self, report: &StageReport, name: &str, latest: bool) -> Result<(), Failure> {
        let json = render::json(report).context("a rendering failed")?;
        let put = |name: &str, text: &str| khala_bundle::write(&self.dir, name, text.as_bytes());
        put(&format!("{name}.md"), &render::markdown(report))?;
        put(&format!("{name}.html"), &render::html(report))?;
        // Last: that it is there says that an attempt was decided.
        put(&format!("{name}.json"), &json)?;
        if latest {
            put(LATEST, &json)?;
        }
        Ok(())
    }
}

/// Attempts that the reports of a folder tell of, with what they came to.
fn reported(dir: &Path) -> Result<Vec<(u32, Decision)>, Failure> {
    let listed =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut reported = Vec::new();
    for path in listed.flatten().map(|entry| entry.path()) {
        let is_report = path.extension().is_some_and(|end| end == "json");
        if !is_report || path.file_name().is_some_and(|name| name == LATEST) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        match serde_json::from_str::<StageReport>(&text) {
            Ok(report) => reported.push((report.begun.attempt, report.decision)),
            Err(error) => {
                output::say(&format!("note: {} is no report of a stage: {error}", path.display()));
            }
        }
    }
    Ok(reported)
}
