//! Arguments of those who read what a run left: `report`, `score`, `verify`, `explain`, `prune`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{RUNS, STAGES};

/// `report`
#[derive(Debug, ClapArgs)]
pub struct Report {
    /// Folder of the run (its bundle); all in it but the sources is made again.
    pub dir: PathBuf,
    /// Print run.json instead of the summary.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub shown: SummaryFlag,
    /// Write the page of the run, report.html, to this file as well.
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    /// Folder of another run, whose recovery is drawn beside this one's into that page: with jitter and without, before
    /// a change and after it.
    #[arg(long, value_name = "DIR", requires = "page")]
    pub beside: Option<PathBuf>,
}

/// `score`
#[derive(Debug, ClapArgs)]
pub struct Score {
    /// Folder of the run (its bundle); nothing in it is changed.
    pub dir: PathBuf,
    /// File with `[[gate]]` tables, such as scenarios/gates/runbook.toml.
    #[arg(long, value_name = "FILE")]
    pub gates: PathBuf,
    /// Print the report as JSON instead of the summary.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub shown: SummaryFlag,
}

/// How much is printed of a run.
#[derive(Debug, ClapArgs)]
pub struct SummaryFlag {
    /// How much of the summary is printed: ten lines, or all of it.
    #[arg(long, value_enum, value_name = "HOW", default_value = "short", env = "KHALA_SUMMARY")]
    pub summary: Summary,
}

/// How much of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Summary {
    /// Ten lines.
    Short,
    /// All of it.
    Full,
}

/// `verify`
#[derive(Debug, ClapArgs)]
pub struct Verify {
    /// Folder of the run (its bundle), or of the stages, or the manifest of one attempt in it; nothing in it is changed. Of
    /// stages each decision is drawn again; run it from where the stages were run, so that their bundles are found.
    pub dir: PathBuf,
    /// It, and of stages every attempt, must be signed by this key: a file in minisign's format, or the key itself.
    #[arg(long, value_name = "FILE|KEY")]
    pub public_key: Option<String>,
    /// Print what was found as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `explain`
#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// Folder of the run (its bundle); nothing in it is changed.
    pub dir: PathBuf,
    /// Number of the client, as violations name it.
    #[arg(required_unless_present = "violation")]
    pub client: Option<u32>,
    /// Tell of this violation alone, by its number in `violations.ndjson`; without a client, of the first that
    /// it befell.
    #[arg(long, value_name = "N")]
    pub violation: Option<usize>,
    /// Print the story as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `prune`
#[derive(Debug, ClapArgs)]
pub struct Prune {
    /// How many runs to keep: the latest ones.
    #[arg(long, value_name = "N")]
    pub keep: usize,
    /// Folder of the runs' bundles, as `run --out-dir` wrote them.
    #[arg(long, value_name = "DIR", default_value = RUNS)]
    pub runs_dir: PathBuf,
    /// Folder with reports of rollout stages, in which people name runs by their folders: those are kept. It need
    /// not be there.
    #[arg(long, value_name = "DIR", default_value = STAGES)]
    pub stage_dir: PathBuf,
    /// Only say what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print what was kept and removed as JSON.
    #[arg(long)]
    pub json: bool,
}
