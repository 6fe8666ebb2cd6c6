//! Arguments as they are typed. Help, completions and the man pages come from here alone.

mod bundle;
mod pages;
mod run;
mod sealing;
mod servers;
mod stage;
mod target;

use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use khala_engine::environment;
use khala_reference::defect::{CATALOGUE, DefectSpec, ParseDefectError};

pub use self::bundle::{Explain, Prune, Report, Score, Summary, SummaryFlag, Verify};
pub use self::pages::{Completions, Init, List, Listed, Man, Schema};
pub use self::run::{Check, Run, Scenario, Start};
pub use self::sealing::{DocsGate, Seal, SealWith};
pub use self::servers::{NullServer, Reference};
pub use self::stage::Stage;
pub use self::target::{Allowed, Conform, Doctor};

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
const VERIFY_CODES: &str = "Exit codes: 0 as it was written · 95 something is wrong with it · 100 no run, or no \
public key, there · 2 usage · 1 internal";
const DOCS_CODES: &str = "Exit codes: 0 all is as it should be · 99 something is not · 95 nothing was checked · 100 no folder, or \
no matrix of surfaces, there · 2 usage · 1 internal";
const CONFORM_CODES: &str = "Exit codes: 0 no deviation · 99 a deviation that is not accepted, or an accepted one that is no \
more · 95 nothing was decided, or a case could not be carried out · 100 no runtime there, nothing that opens it, or no \
list of accepted deviations there · 104 a setting or that list is invalid · 105 interrupted · 2 usage · 1 internal";

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

/// Where runs keep their evidence unless told otherwise.
pub const RUNS: &str = "reports/runs";

/// Where stages keep their reports unless told otherwise.
pub const STAGES: &str = "reports/stages";

/// Stands for the smoke run where a file is named; no path has a NUL.
pub const BUILT_IN: &str = "\0smoke";

/// Largest seed, as in a scenario: TOML holds no larger integer.
const SEED_MAX: u64 = i64::MAX.unsigned_abs();

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

fn duration(text: &str) -> Result<Duration, String> {
    khala_plan::units::duration(text).map_err(|error| error.to_string())
}
