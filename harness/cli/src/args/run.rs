//! Arguments of `run` and `check`: which scenario, and what a run of it is begun with.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use khala_reference::defect::DefectSpec;

use super::{RUNS, SEED_MAX, SealWith, SummaryFlag, defect};

/// Which scenario, and what to change in it.
#[derive(Debug, ClapArgs)]
pub struct Scenario {
    /// Scenario file (TOML); `-` is standard input.
    pub file: PathBuf,
    /// Apply a `[profile.NAME]` of the scenario.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Override any key, as in `fleet.clients=200` or `phase.storm.duration=10s`; may be given several times,
    /// and goes before the profile. `khala-harness schema --reference` tells every key.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Target profile (TOML) to lay over the scenario; a name is `targets/NAME.toml` beside the scenario, and
    /// a URL a target by URL and nothing else.
    #[arg(long, value_name = "NAME|FILE|URL")]
    pub target: Option<String>,
    /// Allow file: which other hosts than this machine may be spoken to, and how much.
    #[arg(long, value_name = "FILE", env = "KHALA_HARNESS_ALLOW")]
    pub allow: Option<PathBuf>,
    /// Seed of the run's random draws, in place of the scenario's: equal seeds give equal plans.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    pub seed: Option<u64>,
    /// Let only this client take part, as it would in the whole fleet; may be given several times.
    #[arg(long, value_name = "N")]
    pub only_client: Vec<u32>,
    /// Start the embedded runtime with a defect: `NAME[,probability][,after=N]`, the probability from 0 to 1,
    /// N the occasions that it lets pass first; may be given several times. `list defects` names them.
    ///
    /// A defect shows where it has an occasion to act: harness/reference/DEFECTS.md names the scenario for
    /// each, and `khala-harness selftest --matrix --only NAME` runs it.
    #[arg(long, value_name = "DEFECT", value_parser = defect)]
    pub defect: Vec<DefectSpec>,
    /// Threads that the clients are dealt out over, in place of the scenario's `generator.worker_threads`.
    #[arg(long, value_name = "N")]
    pub worker_threads: Option<u32>,
}

/// What a run is begun with, and refused for: `check` takes the same, to say what `run` would.
#[derive(Debug, ClapArgs)]
pub struct Start {
    /// Folder in which the run makes the folder of its evidence, the bundle.
    #[arg(long, value_name = "DIR", default_value = RUNS)]
    pub out_dir: PathBuf,
    /// Publish to a target by URL that others use (without `target.exclusive = true`): they will see the
    /// run's events.
    #[arg(long)]
    pub allow_shared_writes: bool,
    /// Run the scenario's commands, its hooks and those that tell secrets: read what `check` prints first.
    #[arg(long)]
    pub allow_hooks: bool,
    /// End, with the evidence written, as soon as this file is there.
    #[arg(long, value_name = "FILE")]
    pub stop_file: Option<PathBuf>,
    /// POST the decision to this URL as JSON. Another host than this machine needs an entry of the allow file; what
    /// becomes of it changes no exit code.
    #[arg(long, value_name = "URL", env = "KHALA_HARNESS_WEBHOOK", hide_env_values = true)]
    pub webhook: Option<String>,
    /// What seals the bundle.
    #[command(flatten)]
    pub seal: SealWith,
    /// Show the run while it goes on, as a page and as `/metrics`; its address, with a token, is printed. Port 0
    /// takes a free one. `KHALA_HARNESS_DASHBOARD_TOKEN` gives the token, which is not printed then.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:0")]
    pub dashboard: Option<SocketAddr>,
    /// Listen for `--dashboard` on an address that other machines can reach: there is no TLS, and whoever has the
    /// token can end the run.
    #[arg(long, requires = "dashboard")]
    pub dashboard_allow_remote: bool,
}

/// `run`
#[derive(Debug, ClapArgs)]
pub struct Run {
    /// The scenario.
    #[command(flatten)]
    pub scenario: Scenario,
    /// What it is begun with.
    #[command(flatten)]
    pub start: Start,
    /// Tell what would be sent where, and send nothing; end as the run would where it would be refused.
    #[arg(long)]
    pub dry_run: bool,
    /// Print run.json instead of the summary; the bundle's path goes to standard error. With --repeat print what
    /// differed as JSON.
    #[arg(long)]
    pub json: bool,
    /// Say nothing while the run goes on, and of its end the decision and the bundle's path alone.
    #[arg(long, short)]
    pub quiet: bool,
    /// Run it so many times, one after the other, and tell what differed; the worst decision is the exit code's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: Option<u32>,
    /// End with 0 whatever the decision, which is in run.json; without a decision with the usual codes. For systems that
    /// take any other code for a run that failed.
    #[arg(long)]
    pub exit_zero: bool,
    #[command(flatten)]
    pub shown: SummaryFlag,
    /// Size that the bundle's journal should stay below, in B, KiB or MiB, as in 64MiB; near it, it is written
    /// less often. At least 64KiB.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = bundle_max)]
    pub bundle_max: u64,
    /// Keep every record of the run in the bundle, for `scripts/second-opinion` to judge again.
    #[arg(long, alias = "record-history")]
    pub record: bool,
    /// End, with the evidence written, when the parent dies.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `check`
#[derive(Debug, ClapArgs)]
pub struct Check {
    /// The scenario.
    #[command(flatten)]
    pub scenario: Scenario,
    /// What a run of it would be begun with.
    #[command(flatten)]
    pub start: Start,
    /// File with `[[gate]]` tables in place of the scenario's own, as `score` judges by them, such as
    /// scenarios/gates/runbook.toml.
    #[arg(long, value_name = "FILE")]
    pub gates: Option<PathBuf>,
    /// Print the plan as JSON, the warnings included; of an invalid scenario, what is wrong with it.
    #[arg(long)]
    pub json: bool,
    /// End with 95 where a run could say nothing of the target: an objective that counts cannot reach a verdict,
    /// or has one whatever the target does.
    #[arg(long)]
    pub strict: bool,
}

/// Least limit of a journal, in bytes: with less, not even a small run's first seconds would be in it.
const BUNDLE_MAX_FLOOR: u64 = 64 * 1024;

fn bundle_max(text: &str) -> Result<u64, String> {
    let bytes = khala_plan::units::bytes(text).map_err(|error| error.to_string())?;
    if bytes < BUNDLE_MAX_FLOOR {
        return Err(
            "it is at least 64KiB: with less, a run that is killed would leave nothing".into()
        );
    }
    Ok(bytes)
}
