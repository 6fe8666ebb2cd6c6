//! The samples of the build of an attempt's hold, on disk: `builds-N.ndjson` beside the journal, and `builds-N.head`, which
//! says up to where it was written.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use khala_bundle::Error;
use khala_stage::history::Attempt;
use khala_stage::journal::Head;
use khala_stage::samples::{self, Sample, Samples};
use khala_stage::steps::HOLD;

use super::{clock, space};
use crate::exit::{Exit, Failure};

/// What to do where they are not what was written.
const AGAIN: &str = "put it back as it was, or begin a new attempt, without --resume: a build that was told while the stage was \
                     held is not forgotten";

/// Where the samples of an attempt are kept.
pub struct Kept {
    dir: PathBuf,
    attempt: Attempt,
}

impl Kept {
    /// Those of an attempt, in the folder of stages.
    pub fn of(dir: &Path, attempt: &Attempt) -> Self {
        Self { dir: dir.to_owned(), attempt: attempt.clone() }
    }

    /// Names of the files of an attempt: of the samples, and of their head.
    pub fn names(attempt: u32) -> [String; 2] {
        ["ndjson", "head"].map(|end| format!("builds-{attempt}.{end}"))
    }

    fn names_of_it(&self) -> [String; 2] {
        Self::names(self.attempt.begun.attempt)
    }

    /// Whether they have to be there: they are begun before a run of the hold is.
    fn has_begun(&self) -> bool {
        let by_url = !self.attempt.begun.embedded;
        by_url && self.attempt.tries(HOLD).any(|run| run.bundle.is_some())
    }

    /// Reads them.
    ///
    /// # Errors
    /// What is missing or was changed, and what to do.
    pub fn read(&self) -> Result<Samples, String> {
        let [name, head] = self.names_of_it();
        let path = self.dir.join(&name);
        let told = |why: String| format!("{} {why}: {AGAIN}", path.display());
        let text = whole(&path).map_err(&told)?;
        let head = whole(&self.dir.join(&head)).map_err(&told)?;
        let head: Option<Head> = head
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| told(format!("has a head beside it that cannot be read: {error}")))?;
        samples::read(&self.attempt, (text.as_deref(), head.as_ref()), self.has_begun())
            .map_err(told)
    }

    /// What is wrong with them, where the hold has ended and the journal says up to where they were written.
    pub fn check(&self, written: &Head) -> Option<String> {
        match self.read() {
            Err(why) => Some(why),
            Ok(samples) if samples.head() == *written => None,
            Ok(samples) => Some(format!(
                "{} has {} samples and is not what the journal says was written, which are {}: {AGAIN}",
                self.dir.join(&self.names_of_it()[0]).display(),
                samples.lines.len(),
                written.lines
            )),
        }
    }

    /// What is wrong with them, whether the hold has ended or not.
    pub fn amiss(&self) -> Option<String> {
        if self.attempt.begun.embedded || self.attempt.tries(HOLD).next().is_none() {
            return None;
        }
        match self.attempt.result(HOLD).and_then(|result| result.hold.as_ref()) {
            None => self.read().err(),
            // A build that kept no chain of them wrote down nothing to hold them against.
            Some(hold) => hold.samples.as_ref().and_then(|written| self.check(written)),
        }
    }

    /// Goes on writing where they end; begins them where none are there. What the first try of a hold finds is of a journal
    /// that is gone.
    ///
    /// # Errors
    /// When they are not what was written, or cannot be.
    pub fn write(&self) -> Result<Writing, Failure> {
        let [name, head] = self.names_of_it();
        let path = self.dir.join(&name);
        let samples = match self.read() {
            Ok(samples) => samples,
            Err(_) if self.attempt.tries(HOLD).count() <= 1 => {
                Samples::after(&samples::first(&self.attempt))
            }
            Err(why) => return Err(Failure::new(Exit::Hold, format!("HOLD: {why}"))),
        };
        let mut file = khala_bundle::open_own(&path).map_err(|error| space::lost(&error))?;
        // What a process that was killed did not write to its end.
        file.set_len(samples.whole as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(space::lost_at(&path))?;
        let writing = Writing { dir: self.dir.clone(), head, file, samples };
        writing.settle().map_err(|error| space::lost(&error))?;
        Ok(writing)
    }
}

/// A file's text; `None` where none is there.
fn whole(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// The samples, to be appended to.
pub struct Writing {
    dir: PathBuf,
    head: String,
    file: File,
    samples: Samples,
}

impl Writing {
    /// Appends one; it is safe on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: nothing can follow it then.
    pub fn write(&mut self, sample: Sample) -> Result<(), Error> {
        let line =
            self.samples.append(clock::now(), sample).map_err(|it| self.cannot()(it.into()))?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(self.cannot())?;
        self.settle()
    }

    /// Writes down up to where they go.
    fn settle(&self) -> Result<(), Error> {
        let head =
            serde_json::to_vec(&self.samples.head()).map_err(|it| self.cannot()(it.into()))?;
        khala_bundle::write(&self.dir, &self.head, &head)?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(self.cannot())
    }

    fn cannot(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = self.dir.join(&self.head);
        move |source| Error::File { what: "write", path, source }
    }
}
