//! Arguments as they are typed. Help, completions and the man pages come from here alone.

mod sealing;
mod stage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use khala_engine::environment;
use khala_reference::defect::{CATALOGUE, DefectSpec, ParseDefectError};
use khala_selftest::null::{Freeze, Latency};
use khala_wire::topic::{KNOWN, TopicId};

pub use self::sealing::{DocsGate, Seal, SealWith};
pub use self::stage::Stage;

/// What `--version` says: the version, and the commit that was built.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("KHALA_COMMIT"), ")");

/// The commit that was built, where the build knew it.
pub fn commit() -> Option<&'static str> {
    Some(env!("KHALA_COMMIT")).filter(|commit| *commit != NOT_KNOWN)
}

/// What the build says where it does not know its commit.
const NOT_KNOWN: &str = "not known";

/// Load and chaos harness for Khala, a WebSocket sync runtime.
///
/// Drives thousands of simulated clients from a scenario file, makes reconnect storms on purpose,
/// and turns what the clients saw into GO, NO-GO or HOLD, with evidence.
#[derive(Debug, Parser)]
#[command(name = "khala-harness", version = VERSION, after_help = EXIT_CODES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// The arguments of this process.
    ///
    /// # Errors
    /// When they are wrong, or ask for help.
    pub fn of_command_line() -> Result<Self, clap::Error> {
        let mut command = without_empty_variables(Self::command());
        let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }
}

/// A command whose arguments are given by no variable that is empty; clap would take that for an empty value.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let heeded = |argument: clap::Arg| match argument.get_env() {
        Some(name) if environment::is_empty(name) => argument.env(None::<&'static str>),
        _ => argument,
    };
    command.mut_args(heeded).mut_subcommands(without_empty_variables)
}

/// What `reference` reads of its environment.
const REFERENCE_READS: &str = "\
Environment, each with the other side's key of a scenario by URL:
  RUNTIME_SYNC_TOKEN_SIGNING_KEY    key of sync tokens (auth.secret); khala-reference-development-sync-key where it is not set
  RUNTIME_SYNC_TOKEN_ISSUER         their `iss` (auth.issuer)
  RUNTIME_SYNC_TOKEN_AUDIENCE       their `aud` (auth.audience)
  KHALA_REFERENCE_SESSION_KEY       key of session access tokens, by the same name; khala-reference-development-session-key where it is not set
  KHALA_REFERENCE_SIGNATURE_SECRET  secret of commands (target.command_secret); not set, they need no signature
  RUNTIME_ADMIN_TOKEN               bearer of operators (target.admin_token); not set, everybody is one";
const EXIT_CODES: &str = "Exit codes: 0 GO · 99 NO-GO · 95 HOLD · 100 target or set-up · \
104 invalid scenario · 105 interrupted, evidence written · 2 usage · 1 internal";

const CHECK_CODES: &str = "Exit codes: 0 it can be run · 95 with --strict, a run would say nothing of the \
target · 100 target or set-up · 104 invalid scenario · 2 usage · 1 internal";
const VERIFY_CODES: &str = "Exit codes: 0 as it was written · 95 something is wrong with it · 100 no run there \
· 2 usage · 1 internal";
const DOCS_CODES: &str = "Exit codes: 0 all is as it should be · 99 something is not · 95 nothing was checked · 100 no folder \
there · 2 usage · 1 internal";
const CONFORM_CODES: &str = "Exit codes: 0 no deviation · 99 a deviation that is not accepted, or an accepted one that is no \
more · 95 nothing was decided, or a case could not be carried out · 100 no runtime there, or nothing that opens it · \
104 a setting or the list of accepted deviations is invalid · 105 interrupted · 2 usage · 1 internal";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a scenario and judge it.
    #[command(after_help = EXIT_CODES)]
    Run(Run),
    /// Make a run's report again from its sources; of a run that was killed, what it left.
    #[command(after_help = EXIT_CODES)]
    Report(Report),
    /// Judge a run by other gates, without running it again.
    #[command(after_help = EXIT_CODES)]
    Score(Score),
    /// Check a run's files against their digests, and its verdict against its sources.
    #[command(after_help = VERIFY_CODES)]
    Verify(Verify),
    /// Sign a bundle, or tell it as an in-toto statement, after the run.
    #[command(after_help = VERIFY_CODES)]
    Seal(Seal),
    /// Check a repository's docs: dead links, pages and examples out of date, the matrix of surfaces.
    ///
    /// Nothing is fetched: links to other hosts are not followed.
    #[command(after_help = DOCS_CODES)]
    DocsGate(DocsGate),
    /// Tell what befell one client of a run, with its last frames.
    Explain(Explain),
    /// Remove old runs, but for the latest and those that a report of a rollout stage names.
    Prune(Prune),
    /// Run a stage of a rollout, decide it, and write its report.
    ///
    /// The stages are those of a rollout file; each needs a GO of the one before. Everything is written down in
    /// `journal.ndjson` of the stage folder before it counts.
    #[command(after_help = stage::CODES)]
    Stage(Stage),
    /// Check a scenario and print the resolved plan; nothing is sent to the target.
    #[command(after_help = CHECK_CODES)]
    Check(Check),
    /// Ask a runtime for what the contract says of it, a sentence at a time.
    ///
    /// Keys and secrets are those of a scenario with `kind = "url"`: harness/TARGETS.md names them.
    #[command(after_help = CONFORM_CODES)]
    Conform(Conform),
    /// Start the reference runtime alone.
    #[command(after_help = REFERENCE_READS)]
    Reference(Reference),
    /// Judge the harness itself: against every defect, and against a runtime that has none.
    Selftest(khala_selftest::Args),
    /// Start the null server, by which the harness itself is measured.
    ///
    /// It takes commands as a runtime does, hands each event to each client after a delay drawn from a
    /// known distribution, and tells at `GET /null/record` what it did.
    #[command(hide = true)]
    NullServer(NullServer),
    /// Write a first scenario to start from, explained line by line, or one of those that ship.
    Init(Init),
    /// Try once what a run needs of a target and of this machine, and say what came and what to do.
    ///
    /// Exit code 0 when a run can begin, 100 when not.
    Doctor(Doctor),
    /// List what there is to choose from, a line each, or tell all of one by its name.
    List(List),
    /// Print what a gate may claim, and how claims are judged (Markdown).
    Metrics,
    /// Print what a scenario may say: its JSON Schema, or every key as a page.
    ///
    /// Editors with TOML support check and complete a scenario whose first line is
    /// `#:schema ./scenario.schema.json`, and a gate file with the schema that `--gates` prints.
    Schema(Schema),
    /// Print a completion script for a shell.
    Completions(Completions),
    /// Print the manual page, or write one for each command.
    Man(Man),
}

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
    /// Tell what would be sent where, and send nothing.
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

/// `doctor`
#[derive(Debug, ClapArgs)]
pub struct Doctor {
    /// Scenario (TOML) whose needs are looked at; left out, the smoke run's.
    pub file: Option<PathBuf>,
    /// Apply a `[profile.NAME]` of the scenario.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Target profile (TOML), a name beside the scenario, or a URL.
    #[arg(long, value_name = "NAME|FILE|URL")]
    pub target: Option<String>,
    /// Override any key, as in `target.socket_path="/socket/websocket"`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Allow file: which other hosts than this machine may be spoken to, and how much.
    #[arg(long, value_name = "FILE", env = "KHALA_HARNESS_ALLOW")]
    pub allow: Option<PathBuf>,
    /// Try a round trip too: a worker, its first event, the worker's end.
    #[arg(long)]
    pub allow_writes: bool,
    /// Wait for its time-outs too: heartbeats, idle channels, idle sockets (a minute and a half).
    #[arg(long)]
    pub time_outs: bool,
    /// Let commands tell the secrets of which the profile says so.
    #[arg(long)]
    pub allow_hooks: bool,
    /// Write what the target is said to be as a target profile.
    #[arg(long, value_name = "FILE")]
    pub write_profile: Option<PathBuf>,
}

impl Doctor {
    /// The scenario that it looks at.
    pub fn scenario(&self) -> Scenario {
        Scenario {
            file: self.file.clone().unwrap_or_else(|| PathBuf::from(BUILT_IN)),
            profile: self.profile.clone(),
            set: self.set.clone(),
            target: self.target.clone(),
            allow: self.allow.clone(),
            seed: None,
            only_client: Vec::new(),
            defect: Vec::new(),
            worker_threads: None,
        }
    }
}

/// Where runs keep their evidence unless told otherwise.
pub const RUNS: &str = "reports/runs";

/// Where stages keep their reports unless told otherwise.
pub const STAGES: &str = "reports/stages";

/// Stands for the smoke run where a file is named; no path has a NUL.
pub const BUILT_IN: &str = "\0smoke";

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

/// `schema`
#[derive(Debug, ClapArgs)]
pub struct Schema {
    /// Print the schema of gate files.
    #[arg(long, group = "what")]
    pub gates: bool,
    /// Print the schema of `run.json`.
    #[arg(long, group = "what")]
    pub run: bool,
    /// Print the schema of what `check --json` prints.
    #[arg(long, group = "what")]
    pub check: bool,
    /// Print the schema of rollout files.
    #[arg(long, group = "what")]
    pub rollout: bool,
    /// Print the schema of files of waivers, as `stage --waivers` takes them.
    #[arg(long, group = "what")]
    pub waivers: bool,
    /// Print the schema of `stage.json`, the report of a rollout stage.
    #[arg(long, group = "what")]
    pub stage: bool,
    /// Print every key with its type, unit, default, range and an example (Markdown).
    #[arg(long, group = "what")]
    pub reference: bool,
}

/// `list`
#[derive(Debug, ClapArgs)]
pub struct List {
    /// Kind of things.
    pub what: Listed,
    /// Tell all there is to say of this one: of a fault its attributes with type, range, default and example.
    pub name: Option<String>,
}

impl Listed {
    /// One of them, as messages call it.
    pub fn called(self) -> &'static str {
        match self {
            Self::Surfaces => "surface",
            Self::Faults => "fault",
            Self::Metrics => "metric",
            Self::Rules => "rule",
            Self::Defects => "defect",
            Self::Scenarios => "shipped scenario",
        }
    }

    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Surfaces => "surfaces",
            Self::Faults => "faults",
            Self::Metrics => "metrics",
            Self::Rules => "rules",
            Self::Defects => "defects",
            Self::Scenarios => "scenarios",
        }
    }
}

/// What can be listed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Listed {
    /// Surfaces, with what each subscribes to.
    Surfaces,
    /// Types of fault.
    Faults,
    /// Metrics that a gate may claim.
    Metrics,
    /// Rules of the oracle.
    Rules,
    /// Defects of the reference runtime.
    Defects,
    /// Scenarios that ship.
    Scenarios,
}

/// `conform`
#[derive(Debug, ClapArgs)]
pub struct Conform {
    /// The runtime: its base URL, such as http://127.0.0.1:4000, or a target profile (TOML).
    #[arg(long, value_name = "NAME|FILE|URL", required_unless_present = "list")]
    pub target: Option<String>,
    /// Allow file: which other hosts than this machine may be spoken to, and how much.
    #[arg(long, value_name = "FILE", env = "KHALA_HARNESS_ALLOW")]
    pub allow_file: Option<PathBuf>,
    /// Set a key of a scenario's target, auth or fleet, as in `target.socket_path=/socket/websocket`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// What cases may do to the runtime: any of reads, writes, revokes and abuses, within what the target's profile
    /// allows (`target.allows`). Left out, what the profile allows, else reads and writes.
    ///
    /// Reads: open sockets and subscribe. Writes: create workers and publish events, which others see.
    /// Revokes: revoke sessions that they made up. Abuses: publish some 20 MB, and do not read what comes.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub allow: Option<Vec<Allowed>>,
    /// Deviations that are accepted, a line `case = "reason"` each (TOML); one that is no more ends with 99.
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// Run only the cases whose name has this in it, or fits it where it has a `*`; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub only: Vec<String>,
    /// List the cases (Markdown) and ask nobody.
    #[arg(long)]
    pub list: bool,
    /// Leave out cases that wait longer than this for a time-out of the runtime's.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub max_wait: Duration,
    /// Let commands tell the secrets of which the profile says so.
    #[arg(long)]
    pub allow_hooks: bool,
    /// End, with what was decided by then, as soon as this file is there.
    #[arg(long, value_name = "FILE")]
    pub stop_file: Option<PathBuf>,
    /// At the end, stop the runtime whose process this is with SIGTERM, and judge how its sockets end.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(2..))]
    pub stop_pid: Option<i32>,
    /// Print the cases that pass too.
    #[arg(long)]
    pub all: bool,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the report as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the report as one static page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl Conform {
    /// What names the target, for those who read its profile and the allow file.
    pub fn scenario(&self) -> Scenario {
        Scenario {
            file: PathBuf::from(BUILT_IN),
            profile: None,
            set: Vec::new(),
            target: self.target.clone(),
            allow: self.allow_file.clone(),
            seed: None,
            only_client: Vec::new(),
            defect: Vec::new(),
            worker_threads: None,
        }
    }
}

/// What cases may do to the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Allowed {
    /// Open sockets and subscribe.
    Reads,
    /// Create workers and publish events.
    Writes,
    /// Revoke sessions that they made up.
    Revokes,
    /// Publish much, and do not read what comes.
    Abuses,
}

/// `reference`
#[derive(Debug, ClapArgs)]
pub struct Reference {
    /// Address to listen on; port 0 takes a free one. The first line on standard output says which.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Listen on an address that other machines can reach: its keys are known, so anybody there can write to
    /// it.
    #[arg(long)]
    pub allow_remote: bool,
    /// Break the contract on purpose: `NAME[,probability][,after=N]`; may be given several times.
    #[arg(long, value_name = "DEFECT", value_parser = defect)]
    pub defect: Vec<DefectSpec>,
    /// Seed of the defects' own draws.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    pub seed: u64,
    /// Retain at most this many events of a topic.
    #[arg(long, value_name = "TOPIC=EVENTS", value_parser = topic_events)]
    pub retain: Vec<(TopicId, u64)>,
    /// Replay budget of a topic, in events behind head.
    #[arg(long, value_name = "TOPIC=EVENTS", value_parser = topic_events)]
    pub replay_budget: Vec<(TopicId, u64)>,
    /// Events that may wait for a socket.
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub queue_limit: Option<u64>,
    /// Strikes at which a socket that does not keep up is disconnected.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub max_strikes: Option<u32>,
    /// `SO_SNDBUF` of accepted sockets, in bytes: small ones make slow readers show.
    #[arg(long, value_name = "BYTES")]
    pub send_buffer: Option<usize>,
    /// End sockets when their tokens expire; without it a token is looked at when it opens a socket, as the
    /// recorded runtime does. The contract is silent on it.
    #[arg(long)]
    pub ends_expired: bool,
    /// Largest payload of a command, in bytes of JSON, whatever its topic's class; the contract's limits
    /// without it.
    #[arg(long, value_name = "BYTES")]
    pub payload_max: Option<usize>,
    /// Directory of the journal: what it holds is taken up at the start, so that topics, workers and
    /// runs survive a restart and a kill. Without it nothing survives.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// End when standard input closes or the parent dies.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `null-server`
#[derive(Debug, ClapArgs)]
pub struct NullServer {
    /// Address to listen on; port 0 takes a free one. The first line on standard output says which.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Listen on an address that other machines can reach.
    #[arg(long)]
    pub allow_remote: bool,
    /// From taking an event to handing it to a client: `200ms`, or `lognormal:MEDIAN,SIGMA` as in
    /// `lognormal:200ms,0.5`.
    #[arg(long, value_name = "LATENCY", default_value = "0ms", value_parser = latency)]
    pub latency: Latency,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    pub seed: u64,
    /// Stand still for a while, counted from the first event: `AFTER+LENGTH`, as in `5s+2s`. May be
    /// given several times, in order.
    #[arg(long, value_name = "AFTER+LENGTH", value_parser = freeze)]
    pub freeze: Vec<Freeze>,
    /// Threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// End when standard input closes or the parent dies.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `init`
#[derive(Debug, ClapArgs)]
pub struct Init {
    /// Folder that gets `scenarios/first.toml`; made if it is not there.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Write this scenario, of those that ship, and what it includes; `list scenarios` names them.
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Write this target profile, of those that ship: `local` or `staging`.
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
}

/// `completions`
#[derive(Debug, ClapArgs)]
pub struct Completions {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `man`
#[derive(Debug, ClapArgs)]
pub struct Man {
    /// Write one page for each command into this folder, and print their paths.
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
}

/// Largest seed, as in a scenario: TOML holds no larger integer.
const SEED_MAX: u64 = i64::MAX.unsigned_abs();
/// Most events of a topic, as in a scenario.
const TOPIC_EVENTS_MAX: u64 = 10_000_000;

/// A defect; one that is not known is answered with the one that was probably meant.
pub fn defect(text: &str) -> Result<DefectSpec, String> {
    text.parse().map_err(|error| match error {
        ParseDefectError::UnknownName { name } => {
            let known = CATALOGUE.iter().map(|defect| defect.name);
            match khala_plan::closest(&name, known) {
                Some(meant) => format!("no defect is called `{name}`: did you mean `{meant}`?"),
                None => ParseDefectError::UnknownName { name }.to_string(),
            }
        }
        other => other.to_string(),
    })
}

fn topic_events(text: &str) -> Result<(TopicId, u64), String> {
    let (topic, events) = text.split_once('=').ok_or("write TOPIC=EVENTS")?;
    let topic = TopicId::of(topic).ok_or_else(|| {
        let known = KNOWN.iter().map(|topic| topic.name);
        match khala_plan::closest(topic, known.clone()) {
            Some(meant) => format!("there is no topic `{topic}`: did you mean `{meant}`?"),
            None => {
                let known: Vec<_> = known.collect();
                format!("there is no topic `{topic}`; known are {}", known.join(", "))
            }
        }
    })?;
    let known = events.parse().ok().filter(|events| (1..=TOPIC_EVENTS_MAX).contains(events));
    let wrong = || format!("`{events}` is not a number of events from 1 to {TOPIC_EVENTS_MAX}");
    Ok((topic, known.ok_or_else(wrong)?))
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

fn duration(text: &str) -> Result<Duration, String> {
    khala_plan::units::duration(text).map_err(|error| error.to_string())
}

fn latency(text: &str) -> Result<Latency, String> {
    let Some(lognormal) = text.strip_prefix("lognormal:") else {
        return duration(text).map(Latency::Constant);
    };
    let (median, sigma) = lognormal.split_once(',').ok_or("write lognormal:MEDIAN,SIGMA")?;
    let median = duration(median)?;
    let sigma = sigma.parse().ok().filter(|sigma| (0.0..=Latency::SIGMA_MAX).contains(sigma));
    let sigma =
        sigma.ok_or_else(|| format!("SIGMA is a number from 0 to {}", Latency::SIGMA_MAX))?;
    Ok(Latency::LogNormal { median, sigma })
}

fn freeze(text: &str) -> Result<Freeze, String> {
    let (after, length) = text.split_once('+').ok_or("write AFTER+LENGTH, as in 5s+2s")?;
    Ok(Freeze { after: duration(after)?, length: duration(length)? })
}
