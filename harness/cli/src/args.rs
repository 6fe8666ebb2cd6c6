//! Arguments as they are typed. Help, and later completions and the man page, come from here alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use khala_reference::defect::DefectSpec;

/// Load and chaos harness for Khala, a WebSocket sync runtime.
///
/// Drives thousands of simulated clients from a scenario file, makes reconnect storms on purpose,
/// and turns what the clients saw into GO, NO-GO or HOLD, with evidence.
#[derive(Debug, Parser)]
#[command(name = "khala-harness", version, after_help = EXIT_CODES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 GO · 99 NO-GO · 95 HOLD · 100 target or set-up · \
104 invalid scenario · 105 interrupted, evidence written · 2 usage · 1 internal";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a scenario and judge it.
    Run(Run),
    /// Check a scenario and print the resolved plan; nothing is sent.
    Check(Check),
    /// Start the reference runtime alone.
    Reference(Reference),
}

/// Which scenario, and what to change in it.
#[derive(Debug, ClapArgs)]
pub struct Scenario {
    /// Scenario file (TOML).
    pub file: PathBuf,
    /// Apply a `[profile.NAME]` of the scenario.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Override any key, as in `fleet.clients=200` or `phase.storm.duration=10s`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Root of all randomness, in place of the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Start the embedded runtime with a defect: NAME[,probability][,after=N].
    #[arg(long, value_name = "DEFECT")]
    pub defect: Vec<DefectSpec>,
    /// Threads that the clients are dealt out over, in place of `generator.worker_threads`.
    #[arg(long, value_name = "N")]
    pub worker_threads: Option<u32>,
}

/// `run`
#[derive(Debug, ClapArgs)]
pub struct Run {
    /// The scenario.
    #[command(flatten)]
    pub scenario: Scenario,
    /// Folder that gets the run's bundle of evidence.
    #[arg(long, value_name = "DIR", default_value = "reports/runs")]
    pub out_dir: PathBuf,
    /// Print run.json instead of the summary; the bundle's path goes to standard error.
    #[arg(long)]
    pub json: bool,
}

/// `check`
#[derive(Debug, ClapArgs)]
pub struct Check {
    /// The scenario.
    #[command(flatten)]
    pub scenario: Scenario,
}

/// `reference`
#[derive(Debug, ClapArgs)]
pub struct Reference {
    /// Address to listen on; port 0 takes a free one. The first line on standard output says which.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Break the contract on purpose: NAME[,probability][,after=N]; may be given several times.
    #[arg(long, value_name = "DEFECT")]
    pub defect: Vec<DefectSpec>,
    /// Seed of the defects' own draws.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// End when standard input closes or the parent dies.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}
