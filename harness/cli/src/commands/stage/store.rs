//! The stage folder: the journal, appended to and made safe before anything counts, and the reports.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use khala_bundle::{Error, Lock, Spare};
use khala_stage::entry::{Ended, Entry};
use khala_stage::folder::{self, ENDS, Found, LATEST, SEALS};
use khala_stage::history::{Attempt, History};
use khala_stage::journal::{Head, Journal, sha256};
use khala_stage::render;
use khala_stage::report::StageReport;
use khala_stage::stamp::Stamp;

use super::kept::Kept;
use super::space::{self, Folder};
use super::{clock, witness};
use crate::exit::{Exit, Failure};
use crate::output;

/// Name of the journal in the stage folder.
pub const JOURNAL: &str = "journal.ndjson";
/// Name of what says up to where it was written.
pub const HEAD: &str = "journal.head";

/// The folder, held until this is dropped.
pub struct Store {
    dir: PathBuf,
    file: File,
    journal: Journal,
    /// What is known of the rollout.
    pub history: History,
    /// Room for what has to be written when the disk is full.
    spare: Option<Spare>,
    /// What the disk said when that room was needed.
    full: Option<Error>,
    /// Where the runs go.
    runs: Option<PathBuf>,
    /// Whether it was said that nothing can be told there.
    untold: bool,
    _lock: Lock,
}

impl Store {
    /// Opens the folder, and makes it where it is not there.
    ///
    /// # Errors
    /// HOLD where its journal does not hold together, or lacks what lies beside it tells of; else when it cannot be read
    /// or written, or another stage is under way in it.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let refused = |error: Error| space::refused(&error, Folder::Stages);
        let of = |what, path: &Path| {
            let path = path.to_owned();
            move |source| refused(Error::File { what, path, source })
        };
        let shown = dir.display();
        std::fs::create_dir_all(dir).map_err(of("make", dir))?;
        let lock = Lock::take(dir).map_err(|error| match error {
            Error::StillWritten(_) => {
                let what = format!("another stage is under way in {shown}: wait for its end");
                Failure::new(Exit::Setup, what)
            }
            error => refused(error),
        })?;
        let path = dir.join(JOURNAL);
        let mut file = khala_bundle::open_own(&path).map_err(refused)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(of("read", &path))?;
        let damaged = |why: String| {
            Failure::new(
                Exit::Hold,
                format!(
                    "HOLD: {} {why}; no stage is a GO by it: put it back as it was, or begin a rollout anew with another \
                     --stage-dir",
                    path.display()
                ),
            )
        };
        let journal =
            Journal::read(&text).map_err(|error| damaged(format!("is damaged: {error}")))?;
        journal.follows(head(dir).map_err(&damaged)?.as_ref()).map_err(&damaged)?;
        let history =
            History::of(&journal).map_err(|error| damaged(format!("is damaged: {error}")))?;
        if let Some(why) = folder::unaccounted(&history, &found(dir)?) {
            return Err(Failure::new(Exit::Hold, format!("HOLD: {shown}: {why}")));
        }
        // What a process that was killed did not write to its end.
        file.set_len(journal.whole as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(of("write", &path))?;
        let dir = dir.to_owned();
        Ok(Self {
            dir,
            file,
            journal,
            history,
            spare: None,
            full: None,
            runs: None,
            untold: false,
            _lock: lock,
        })
    }

    /// Names the folder of the runs, where it is told, too, up to where the journal is written.
    ///
    /// # Errors
    /// HOLD where it was written further than it goes.
    pub fn with_runs_in(&mut self, runs: &Path) -> Result<(), Failure> {
        self.runs = Some(runs.to_owned());
        witness::refuse(&self.dir.join(JOURNAL), (&self.journal, &self.history), Some(runs))
    }

    /// Holds room for what has to be written when the disk is full.
    ///
    /// # Errors
    /// When there is none.
    pub fn hold_room(&mut self) -> Result<(), Failure> {
        self.spare = Some(space::spare(&self.dir)?);
        Ok(())
    }

    /// What the disk said, where it is full: nothing more is to be begun.
    pub fn full(&self) -> Option<&Error> {
        self.full.as_ref()
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
        // What is known is what will be read again: of a number with a fraction that need not be the same to the last bit,
        // and a report has to be.
        let again = serde_json::to_string(&entry).and_then(|text| serde_json::from_str(&text));
        let again: Entry = again.context("the journal of the stage")?;
        self.history
            .take(&stamp, &again)
            .map_err(|why| anyhow::anyhow!("the journal of the stage {why}"))?;
        let line = self.journal.append(stamp.clone(), entry).context("the journal of the stage")?;
        let head = serde_json::to_vec(&self.journal.head()).context("the head of the journal")?;
        self.in_spare_room(|store| store.put(&line, &head)).map_err(|error| space::lost(&error))?;
        let lines = (&self.journal, &self.history);
        if let Err(error) = witness::tell(&self.dir, lines, self.runs.as_deref())
            && !std::mem::replace(&mut self.untold, true)
        {
            // The journal has it. What is told elsewhere is older, and says less.
            output::say(&format!(
                "warning: {error}: there it is not told that the journal goes on"
            ));
        }
        Ok(stamp)
    }

    /// Writes something, where the disk is full in the room that was held for it.
    fn in_spare_room(&mut self, put: impl Fn(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        match put(self) {
            Err(error) if error.is_no_room() && self.spare.take().is_some() => {
                self.full = Some(error);
                put(self)
            }
            put => put,
        }
    }

    /// Puts the last line and its head on disk; what a try before this one left of it is overwritten.
    fn put(&mut self, line: &str, head: &[u8]) -> Result<(), Error> {
        let cannot = |name: &str| {
            let path = self.dir.join(name);
            move |source| Error::File { what: "write", path, source }
        };
        let begins = (self.journal.whole - line.len()) as u64;
        self.file
            .set_len(begins)
            .and_then(|()| self.file.seek(SeekFrom::Start(begins)))
            .and_then(|_| self.file.write_all(line.as_bytes()))
            .and_then(|()| self.file.sync_data())
            .map_err(cannot(JOURNAL))?;
        khala_bundle::write(&self.dir, HEAD, head)?;
        // Else a machine that goes down may forget the head, and remember the lines.
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(cannot(HEAD))
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// An attempt.
    pub fn attempt(&self, number: u32) -> &Attempt {
        &self.history.attempts[number as usize - 1]
    }

    /// The samples of the build that an attempt's hold is told.
    pub fn kept(&self, attempt: u32) -> Kept {
        Kept::of(&self.dir, self.attempt(attempt))
    }

    /// A name for the report of an attempt that ends now, which no other has and no file: `<date>-stage-N`.
    pub fn name(&self, stage: &str, now: &Stamp) -> String {
        let date = now.at.get(..10).unwrap_or(&now.at);
        let plain = format!("{date}-stage-{stage}");
        let taken = |name: &str| {
            let mut ended = self.history.decided();
            let there = |end: &&str| self.file_of(name, end).symlink_metadata().is_ok();
            ended.any(|(ended, _)| ended.report == name) || ENDS.iter().chain(&SEALS).any(there)
        };
        let others = (2..).map(|number| format!("{plain}-{number}"));
        std::iter::once(plain.clone()).chain(others).find(|name| !taken(name)).unwrap_or(plain)
    }

    /// Whether the files of a report are there, and, of the last one, the copy of the name that stays.
    pub fn has(&self, ended: &Ended) -> bool {
        let last = self.history.decided().next_back();
        let is_last = last.is_some_and(|(last, _)| last.attempt == ended.attempt);
        let latest = || {
            std::fs::read(self.dir.join(LATEST)).is_ok_and(|it| sha256(&it) == ended.report_sha256)
        };
        ENDS.iter().all(|end| self.file_of(&ended.report, end).is_file()) && (!is_last || latest())
    }

    fn file_of(&self, name: &str, end: &str) -> PathBuf {
        self.dir.join(format!("{name}.{end}"))
    }

    /// Writes a report in each of its forms; `json` is its last.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn publish(
        &mut self,
        report: &StageReport,
        ended: &Ended,
        json: &str,
    ) -> Result<(), Error> {
        self.in_spare_room(|store| store.put_report(report, ended, json))
    }

    fn put_report(&self, report: &StageReport, ended: &Ended, json: &str) -> Result<(), Error> {
        let put = |name: &str, text: &str| khala_bundle::write(&self.dir, name, text.as_bytes());
        let name = &ended.report;
        put(&format!("{name}.md"), &render::markdown(report))?;
        put(&format!("{name}.html"), &render::html(report))?;
        // Last: that it is there says that an attempt was decided.
        put(&format!("{name}.json"), json)?;
        let last = self.history.decided().next_back();
        if last.is_some_and(|(last, _)| last.attempt == ended.attempt) {
            put(LATEST, json)?;
        }
        Ok(())
    }
}

/// What is wrong with the report of an attempt that was decided.
pub fn check_report(dir: &Path, name: &str, written: &str) -> Option<String> {
    let path = dir.join(format!("{name}.json"));
    match std::fs::read(&path) {
        Ok(there) if sha256(&there) == written => None,
        Ok(_) => Some(format!("{} is not what was written", path.display())),
        Err(error) => Some(format!("{}, its report: {error}", path.display())),
    }
}

/// Up to where the journal was written; `None` where nothing says so.
fn head(dir: &Path) -> Result<Option<Head>, String> {
    match std::fs::read(dir.join(HEAD)) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| format!("has a {HEAD} beside it that cannot be read: {error}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("has a {HEAD} beside it that cannot be read: {error}")),
    }
}

/// The files of a folder that may tell of an attempt.
pub fn found(dir: &Path) -> Result<Vec<Found>, Failure> {
    let listed = std::fs::read_dir(dir).map_err(|error| {
        let what = format!("cannot list {}: {error}; have this user read it", dir.display());
        Failure::new(Exit::Setup, what)
    })?;
    let names = listed.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| Found::may_tell(name)).collect();
    names.sort_unstable();
    let found = names.into_iter().map(|name| {
        // One that cannot be read is there all the same.
        let content = std::fs::read(dir.join(&name)).unwrap_or_default();
        Found::of(name, &content)
    });
    Ok(found.collect())
}
