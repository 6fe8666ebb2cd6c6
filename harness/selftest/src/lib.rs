//! `selftest`: the harness tried by itself.
//!
//! `--matrix` runs every defect of the reference runtime, each of which must be caught by the rule or
//! gate that the catalogue names and by nothing that does not follow from it. `--clean` runs every
//! scenario and fault on a runtime that keeps the contract, of which nothing may be said. `--wire` puts a
//! proxy that deviates before such a runtime. `--page` tells what all of them came to. `--ceiling` looks for what the generator can carry. All run this same program as a child process and judge by the
//! bundle that it leaves: there is no second way to a report, and nothing here looks into a run.

#![expect(clippy::disallowed_methods, reason = "it measures what stands beside the engine")]

mod args;
mod bundle;
mod case;
mod cases;
mod ceiling;
mod child;
mod clean;
mod clean_page;
mod clean_result;
mod exams;
mod judging;
mod matrix;
mod matrix_page;
pub mod null;
mod pool;
mod select;
mod texts;
mod wire;

pub use args::Args;
pub use texts::shipped;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use khala_console::exit::{Exit, Failure};
use khala_console::{exit, output, signals};

/// Does what is asked; arguments that ask for nothing are refused before.
pub fn run(selftest: &Args) -> Result<Exit, Failure> {
    match selftest.clean {
        _ if selftest.ceiling => ceiling::run(selftest),
        _ if selftest.wire => wire::run(selftest),
        _ if !selftest.page.is_empty() => exams::run(&selftest.page),
        Some(seeds) => clean::run(selftest, seeds),
        None => matrix::run(selftest),
    }
}

/// Whether all that there is was asked for, and not a part of it.
fn is_whole(selftest: &Args) -> bool {
    selftest.only.is_empty() && selftest.part.is_none()
}

/// Which build of this program runs, by the first digits of its file's SHA-256; nothing where it cannot be
/// read any more.
fn build() -> Option<String> {
    let digest = khala_bundle::sha256(&std::env::current_exe().ok()?).ok()?;
    digest.get(..12).map(str::to_owned)
}

/// Where a selftest works, in a folder of its own, and where it puts its results.
struct Folder {
    out_dir: PathBuf,
    work: PathBuf,
    /// Whether runs that went as they should stay, too.
    keep: bool,
    record: bool,
    /// Of every run that does not want one of its own.
    seed: Option<u64>,
}

impl Folder {
    /// Makes it, with the scenarios in it.
    fn make(selftest: &Args, what: &str, started_at: &str) -> anyhow::Result<Self> {
        let stamp: String = started_at.chars().filter(char::is_ascii_alphanumeric).collect();
        let out_dir = selftest.out_dir.clone();
        let work = out_dir.join(format!("{stamp}-{what}-{}", std::process::id()));
        let Args { keep, record, seed, .. } = *selftest;
        let folder = Self { out_dir, work, keep: keep || record, record, seed };
        std::fs::create_dir_all(folder.scenarios())
            .with_context(|| format!("cannot make {}", folder.work.display()))?;
        texts::unpack(&folder.scenarios())?;
        Ok(folder)
    }

    fn scenarios(&self) -> PathBuf {
        self.work.join("scenarios")
    }

    /// Where a run's bundle goes, and what it says.
    fn of_run(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// A run without a defect.
    fn order(&self, how: &case::How, of_run: PathBuf) -> child::Order {
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
    fn conclude(
        &self,
        what: &str,
        page: &str,
        json: &impl serde::Serialize,
    ) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(json).context("a rendering failed")?;
        text.push('\n');
        khala_bundle::write(&self.out_dir, &format!("{what}.json"), text.as_bytes())?;
        khala_bundle::write(&self.out_dir, &format!("{what}.md"), page.as_bytes())?;
        discard(&self.scenarios());
        // Only when nothing is left in it.
        let _ = std::fs::remove_dir(&self.work);
        output::verdict(format!("{page}\n{}\n", self.out_dir.display()).as_bytes());
        Ok(())
    }
}

/// Removes what a run left that went as it should.
fn discard(folder: &Path) {
    // What stays behind is in nobody's way.
    let _ = std::fs::remove_dir_all(folder);
}

/// Runs all of the jobs; gives the token that says whether they were interrupted.
fn run_jobs<W: pool::Work>(
    jobs: Vec<pool::Job<W>>,
    at_once: usize,
    done: impl FnMut(usize, child::Ended),
) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let interrupted = runtime.block_on(async {
        let interrupt: CancellationToken = signals::token().context("cannot handle signals")?;
        pool::run(jobs, at_once, &interrupt, done).await;
        anyhow::Ok(interrupt.is_cancelled())
    })?;
    Ok(interrupted)
}
