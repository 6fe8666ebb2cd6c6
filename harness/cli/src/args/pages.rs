//! Arguments of those who print or write what is known without a run: `schema`, `list`, `init`, completions, the manual.

use std::path::PathBuf;

use clap::Args as ClapArgs;

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
    /// Write the rollout file that ships, `rollout.toml`, and all that it names: its scenarios and the matrix of surfaces,
    /// `SURFACES.md`.
    #[arg(long)]
    pub rollout: bool,
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
