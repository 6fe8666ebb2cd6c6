//! A rollout: the stages of a runbook, what each of them asks, and how long it is held.
//!
//! [`load`] reads a rollout file as strictly as a scenario, with every mistake at once and underlined.

use std::time::Duration;

pub use crate::read::rollout::{load, waivers};

/// A rollout, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Its name.
    pub name: String,
    /// For how long a GO of a stage opens the next one.
    pub fresh: Duration,
    /// Whether a run is ended early once something failed in it.
    pub abort_on_fail: bool,
    /// How long it goes on then, so that the evidence shows what came of it.
    pub grace: Duration,
    /// Whom to call, and where blockers are filed, in words.
    pub escalation: Option<String>,
    /// What can be asked before load is sent.
    pub preconditions: Vec<Precondition>,
    /// The stages, in order: each needs a GO of the one before.
    pub stages: Vec<Stage>,
}

impl Rollout {
    /// The stage with this id.
    #[must_use]
    pub fn stage(&self, id: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// The stage before the one with this id.
    #[must_use]
    pub fn before(&self, id: &str) -> Option<&Stage> {
        let at = self.stages.iter().position(|stage| stage.id == id)?;
        self.stages.get(at.checked_sub(1)?)
    }

    /// The precondition of this name.
    #[must_use]
    pub fn precondition(&self, name: &str) -> Option<&Precondition> {
        self.preconditions.iter().find(|one| one.name == name)
    }
}

/// How the canary is reached, and which build it is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Canary {
    /// A target profile, as a name or a file, or a URL, as `run --target` takes them; `None` is the embedded
    /// runtime.
    pub target: Option<String>,
    /// The header that routes to it: name and value.
    pub header: Option<(String, String)>,
    /// The build that is rolled out; `None` where nobody says.
    pub build: Option<String>,
    /// How often the target is asked for its build, each time over a connection of its own.
    pub build_samples: u32,
    /// Whether the target must show its fan-out metrics.
    pub metrics: bool,
    /// Whether a variable of the environment is part of the target, and of the header.
    pub by_variable: (bool, bool),
}

impl Canary {
    /// Whether the rollout file itself says how it is reached: no variable does.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.by_variable == (false, false)
    }
}

/// Something that must hold before load is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precondition {
    /// Its name.
    pub name: String,
    /// What is asked.
    pub check: Check,
    /// Whether it applies to a target by URL alone, and not to the embedded runtime.
    pub by_url: bool,
    /// How long it may take.
    pub within: Duration,
}

/// What a precondition asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The runtime keeps the contract, sentence by sentence.
    Conform {
        /// Patterns of the cases; all of them where there is none.
        only: Vec<String>,
        /// Whether the cases may write.
        writes: bool,
        /// A file of accepted deviations.
        known: Option<String>,
        /// The longest time-out of the runtime's that is waited for.
        wait_max: Duration,
    },
    /// The control service mints a token, and the token opens a socket.
    Token,
    /// The revisions to which traffic goes back are known.
    Rollback {
        /// Of the control service; empty where nobody says.
        control: String,
        /// Of the runtime; empty where nobody says.
        runtime: String,
        /// How traffic is routed back to them, for reports to tell; nothing runs it.
        how: Option<String>,
    },
    /// The surfaces' topics are those of a Markdown table, and those that the runtime grants.
    Surfaces {
        /// The Markdown file.
        matrix: String,
    },
    /// A command ends with 0.
    Command {
        /// Program and arguments.
        words: Vec<String>,
        /// What of the runbook it shows: names of [`COVERED`].
        covers: Vec<String>,
    },
}

/// What a runbook asks for that nothing but a command of its owner's can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// As rollout files write it.
    pub name: &'static str,
    /// Section of the runbook.
    pub section: &'static str,
    /// What is to be so.
    pub what: &'static str,
    /// What shows it.
    pub by: &'static str,
    /// Whether it is asked before the rollout alone, and not by every stage.
    pub first_stage: bool,
}

/// All of it.
pub const COVERED: [Covered; 4] = [
    Covered {
        name: "surface-builds",
        section: "1.3",
        what: "target surface builds are deployed with WS-only subscriptions enabled",
        by: "a command that asks every surface's deployment for its build",
        first_stage: false,
    },
    Covered {
        name: "sync-tables",
        section: "3, stage 0",
        what: "the sync tables are healthy",
        by: "a command that looks at the sync tables",
        first_stage: true,
    },
    Covered {
        name: "runtime-tests",
        section: "5",
        what: "the runtime's own tests of its WebSocket pass",
        by: "`cargo test -p openagents-runtime-service server::tests::khala_topic_messages -- --nocapture`",
        first_stage: false,
    },
    Covered {
        name: "docs",
        section: "5",
        what: "the docs are consistent",
        by: "`./scripts/local-ci.sh docs`",
        first_stage: false,
    },
];

impl Check {
    /// As rollout files write it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conform { .. } => "conform",
            Self::Token => "token",
            Self::Rollback { .. } => "rollback",
            Self::Surfaces { .. } => "surfaces",
            Self::Command { .. } => "command",
        }
    }
}

/// A stage: one decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What it is called on the command line and in reports: `0`, `3-25`.
    pub id: String,
    /// What it is, in a few words.
    pub name: String,
    /// Who decides, as a role.
    pub owner: Option<String>,
    /// Clients of the hold, and of scenarios that take the stage's load.
    pub clients: u32,
    /// How the canary is reached.
    pub canary: Canary,
    /// Preconditions, by name.
    pub preconditions: Vec<String>,
    /// What is run, in order.
    pub scenarios: Vec<ScenarioRun>,
    /// What must have been judged, and passed, in at least one run of the stage: a gate, which is every objective of it,
    /// or the metric or rule of an objective.
    pub must_apply: Vec<String>,
    /// The hold, where there is one.
    pub hold: Option<Hold>,
}

/// A scenario of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioRun {
    /// What it is called in the stage, unique in it.
    pub name: String,
    /// Its file, relative to the rollout file.
    pub file: String,
    /// Its profile.
    pub profile: Option<String>,
    /// Overrides, as `run --set` takes them.
    pub set: Vec<String>,
    /// Whether it runs with the stage's clients, and not with its own.
    pub stage_load: bool,
}

/// A steady run, for as long as the stage is to be held.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// Its scenario: one phase called `hold`, without a fault.
    pub scenario: ScenarioRun,
    /// How long.
    pub length: HoldLength,
    /// The long window of burn rates.
    pub burn_long: Duration,
    /// The short window of burn rates.
    pub burn_short: Duration,
    /// How many times as fast as its limit a budget may be spent over both windows.
    pub burn_rate_max: f64,
    /// The least share of the hold that must have been observed, 0 to 1.
    pub observed_min: f64,
    /// Indicators of the windows that must have had occasions.
    pub must_apply: Vec<String>,
}

/// How long a hold is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldLength {
    /// So long, at any time of day.
    Time(Duration),
    /// From one time of day to another, Monday to Friday but for holidays.
    BusinessDay {
        /// Minutes after midnight.
        from: u16,
        /// Minutes after midnight.
        to: u16,
        /// IANA time zone.
        tz: String,
        /// Dates (ISO 8601) that are no business days.
        holidays: Vec<String>,
    },
}

impl HoldLength {
    /// How much must be held.
    #[must_use]
    pub fn duration(&self) -> Duration {
        match self {
            Self::Time(duration) => *duration,
            Self::BusinessDay { from, to, .. } => {
                Duration::from_secs(60 * u64::from(to.saturating_sub(*from)))
            }
        }
    }
}

/// Leave to go on in spite of a WARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The gate.
    pub gate: String,
    /// The metric of the objective; `None` is every one of the gate.
    pub metric: Option<String>,
    /// Who takes it on.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when: RFC 3339, or a date, the whole of which counts (UTC).
    pub expires: String,
}
