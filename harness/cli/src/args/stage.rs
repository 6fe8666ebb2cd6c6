//! Arguments of `stage`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use khala_reference::defect::DefectSpec;

use super::{RUNS, STAGES, SealWith, defect, duration};

/// What its exit codes mean.
pub(super) const CODES: &str = "Exit codes: 0 GO · 99 NO-GO · 95 HOLD · 100 the stage could not begin, a file that a flag names \
among the reasons · 104 the rollout file, a scenario or a file of waivers is invalid · 105 interrupted, to be taken up with --resume · 2 usage · 1 internal";

/// `stage`
#[derive(Debug, ClapArgs)]
pub struct Stage {
    /// Id of the stage in the rollout file, such as 1 or 3-25.
    pub stage: String,
    /// Who decides: the name stands in the go/no-go statement.
    #[arg(long, value_name = "NAME", value_parser = owner)]
    pub owner: String,
    /// Rollout file (TOML).
    #[arg(long, value_name = "FILE", default_value = "scenarios/rollout.toml")]
    pub rollout: PathBuf,
    /// Folder of the reports and the journal.
    #[arg(long, value_name = "DIR", default_value = STAGES)]
    pub stage_dir: PathBuf,
    /// Folder in which runs make the folders of their evidence.
    #[arg(long, value_name = "DIR", default_value = RUNS)]
    pub out_dir: PathBuf,
    /// Rehearse: hold for so long in place of what the rollout file says. A GO of a rehearsal opens rehearsals alone.
    #[arg(long, value_name = "TIME", value_parser = hold)]
    pub hold: Option<Duration>,
    /// Target profile (TOML), a name beside the rollout file, or a URL, in place of the rollout file's.
    #[arg(long, value_name = "NAME|FILE|URL")]
    pub target: Option<String>,
    /// The build that is rolled out, as the target says it, in place of the rollout file's.
    #[arg(long, value_name = "BUILD")]
    pub build: Option<String>,
    /// Override a key of every scenario that is run, as `run --set` does.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Allow file: which other hosts than this machine may be spoken to, and how much.
    #[arg(long, value_name = "FILE", env = "KHALA_HARNESS_ALLOW")]
    pub allow: Option<PathBuf>,
    /// Publish to a target by URL that others use.
    #[arg(long)]
    pub allow_shared_writes: bool,
    /// Run the commands of preconditions and scenarios: read the rollout file first.
    #[arg(long)]
    pub allow_hooks: bool,
    /// End as soon as this file is there, with the evidence written and nothing decided; --resume takes the stage up again.
    #[arg(long, value_name = "FILE")]
    pub stop_file: Option<PathBuf>,
    /// File of waivers (TOML): who takes on which WARN, why, and until when.
    #[arg(long, value_name = "FILE")]
    pub waivers: Option<PathBuf>,
    /// Go on without a GO of the stage before; the reason stands in the report.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub without_predecessor: Option<String>,
    /// Take the last attempt of this stage up again, which was interrupted.
    #[arg(long)]
    pub resume: bool,
    /// Start the embedded runtime with a defect, as `run --defect` does.
    #[arg(long, value_name = "DEFECT", value_parser = defect)]
    pub defect: Vec<DefectSpec>,
    /// POST the decision to this URL as JSON. Another host than this machine needs an entry of the allow file; what
    /// becomes of it changes no exit code.
    #[arg(long, value_name = "URL", env = "KHALA_HARNESS_WEBHOOK", hide_env_values = true)]
    pub webhook: Option<String>,
    /// What seals the attempt.
    #[command(flatten)]
    pub seal: SealWith,
    /// Print the report as JSON; its path goes to standard error.
    #[arg(long)]
    pub json: bool,
}

/// A name or a reason has to say something.
fn telling(text: &str, what: &str) -> Result<String, String> {
    let text = text.trim();
    let plain = !text.is_empty() && !text.chars().any(char::is_control) && text.len() <= 500;
    if plain {
        Ok(text.to_owned())
    } else {
        Err(format!("write {what} in a line of up to 500 bytes"))
    }
}

fn owner(text: &str) -> Result<String, String> {
    telling(text, "the owner's name")
}

fn reason(text: &str) -> Result<String, String> {
    telling(text, "the reason")
}

/// A hold of whole seconds, at least one.
fn hold(text: &str) -> Result<Duration, String> {
    let hold = duration(text)?;
    if hold.as_secs() == 0 { Err("a hold is at least 1s".to_owned()) } else { Ok(hold) }
}
