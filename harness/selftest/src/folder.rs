//! The folder of an exam: where its runs leave their bundles, and where its results go.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use khala_bundle::utc_now;
use khala_console::exit::Failure;
use khala_console::output;
use serde::Serialize;

use super::{Args, case, child, texts};

/// Where an exam works, in a folder of its own, and where it puts its results.
pub struct Folder {
    out_dir: PathBuf,
    work: PathBuf,
    /// The exam, by the name of its results.
    what: &'static str,
    /// When it was made: UTC, RFC 3339.
    pub started_at: String,
    /// Whether runs that went as they should stay, too.
    pub keep: bool,
    record: bool,
    /// Of every run that does not want one of its own.
    seed: Option<u64>,
}

impl Folder {
    /// Makes it, with the scenarios in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(selftest: &Args, what: &'static str) -> anyhow::Result<Self> {
        let started_at = utc_now();
        let stamp: String = started_at.chars().filter(char::is_ascii_alphanumeric).collect();
        let out_dir = selftest.out_dir.clone();
        let work = out_dir.join(format!("{stamp}-{what}-{}", std::process::id()));
        let Args { keep, record, seed, .. } = *selftest;
        let keep = keep || record;
        let folder = Self { out_dir, work, what, started_at, keep, record, seed };
        std::fs::create_dir_all(folder.scenarios())
            .with_context(|| format!("cannot make {}", folder.work.display()))?;
        texts::unpack(&folder.scenarios())?;
        Ok(folder)
    }

    fn scenarios(&self) -> PathBuf {
        self.work.join("scenarios")
    }

    /// Where a run's bundle goes, and what it says.
    pub fn of_run(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// A run without a defect.
    pub fn order(&self, how: &case::How, of_run: PathBuf) -> child::Order {
        child::Order {
            scenario: texts::path(&self.scenarios(), how.scenario),
            profile: how.profile,
            set: how.set,
            defect: None,
            seed: how.seed.or(self.seed),
            record: self.record,
            folder: of_run,
            patience: child::PATIENCE,
            place: None,
        }
    }

    /// Writes the results and prints the page. Of the runs stays what was not discarded.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn conclude(&self, page: &str, json: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(json).context("a rendering failed")?;
        text.push('\n');
        khala_bundle::write(&self.out_dir, &format!("{}.json", self.what), text.as_bytes())?;
        khala_bundle::write(&self.out_dir, &format!("{}.md", self.what), page.as_bytes())?;
        discard(&self.scenarios());
        // Only when nothing is left in it.
        let _ = std::fs::remove_dir(&self.work);
        output::verdict(format!("{page}\n{}\n", self.out_dir.display()).as_bytes());
        Ok(())
    }
}

/// Removes what a run left that went as it should.
pub fn discard(folder: &Path) {
    // What stays behind is in nobody's way.
    let _ = std::fs::remove_dir_all(folder);
}
