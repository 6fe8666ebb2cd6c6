//! What a stage writes down.

use std::collections::BTreeMap;

use khala_evidence::builds::SocketBuilds;
use khala_evidence::command::CommandRun;
use khala_evidence::judge::{Decision, Verdict};
use khala_plan::rollout::Waiver;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::builds::Seen;
use crate::decide::Decided;
use crate::evidence::{RunSummary, Whole};
use crate::journal::Head;
use crate::untested::Untested;
use crate::windows::Windows;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// An attempt of a stage began.
    Begun(Box<Begun>),
    /// One that had been interrupted is taken up again.
    Resumed {
        /// Which.
        attempt: u32,
        /// Who decides from here on.
        owner: String,
    },
    /// A step began.
    StepBegun {
        /// Of which attempt.
        attempt: u32,
        /// Its name.
        step: String,
        /// The how-manieth try of it, from 1.
        run: u32,
    },
    /// A step's run writes its evidence here.
    StepBundle {
        /// Of which attempt.
        attempt: u32,
        /// Its name.
        step: String,
        /// The how-manieth try.
        run: u32,
        /// The folder.
        bundle: String,
    },
    /// A step ended.
    StepEnded {
        /// Of which attempt.
        attempt: u32,
        /// Its name.
        step: String,
        /// The how-manieth try.
        run: u32,
        /// What came of it.
        result: Box<StepResult>,
    },
    /// The attempt was decided.
    Ended(Box<Ended>),
}

impl Entry {
    /// Number of the attempt that it is of.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Begun(begun) => begun.attempt,
            Self::Ended(ended) => ended.attempt,
            Self::Resumed { attempt, .. }
            | Self::StepBegun { attempt, .. }
            | Self::StepBundle { attempt, .. }
            | Self::StepEnded { attempt, .. } => *attempt,
        }
    }
}

/// An attempt of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Begun {
    /// Number of the attempt in the journal, from 1.
    pub attempt: u32,
    /// Id of the stage.
    pub stage: String,
    /// The build that was to be there; `None` where nobody said.
    pub build: Option<String>,
    /// Who decides.
    pub owner: String,
    /// Version of the tool.
    pub tool_version: String,
    /// The commit that the tool was built from.
    pub tool_commit: Option<String>,
    /// Name of the rollout.
    pub rollout: String,
    /// SHA-256 of the rollout file, in hex.
    pub rollout_sha256: String,
    /// What is tested: `the embedded runtime`, or the target as it was named.
    pub target: String,
    /// Whether that is the embedded runtime.
    pub embedded: bool,
    /// SHA-256 of how the target is reached, in hex: its URL, control service, path of the socket, proxy, headers and
    /// parameters. Two attempts on one target have the same.
    #[serde(default)]
    pub target_sha256: String,
    /// SHA-256 of all that is asked, in hex: the rollout as it was read, with its variables filled in, every scenario
    /// as it was resolved, and the files that say what is allowed and accepted. An attempt is resumed with the same.
    #[serde(default)]
    pub asks_sha256: String,
    /// The files that say what the stage asks (scenarios, what they include, accepted deviations, the matrix), named
    /// from beside the rollout file, with their SHA-256 in hex.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What the stage before would be if it were begun now; `None` of the first stage.
    #[serde(default)]
    pub before: Option<Before>,
    /// Defects that the embedded runtime was started with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<String>,
    /// Overrides of every scenario by the command line, without secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    /// Flags by which more was allowed than without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Length of the hold, in seconds; 0 without one.
    pub hold_s: u64,
    /// What the rollout file says that it is, where `--hold` made it another: then the attempt is a rehearsal.
    pub hold_planned_s: Option<u64>,
    /// Why the stage goes on without a GO of the one before, if somebody said so.
    pub without_predecessor: Option<String>,
    /// The rollout file, by which the decision can be drawn again; it stands in the journal, and in no report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub asked_by: Option<RolloutFile>,
    /// The rollout file, as it was named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rollout_file: String,
    /// The folder of reports and of the journal, as it was named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage_dir: String,
    /// The variables of the environment that the rollout file reads and that were set; `None` in place of a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Option<String>>,
    /// The variables that secrets of the target and of the scenarios are read from, where they were set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Waivers that were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waived>,
    /// The command line, without secrets.
    pub command: Vec<String>,
}

/// A rollout file as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutFile {
    /// Its text.
    pub text: String,
    /// The variables of the environment that it reads and that were set, without secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl Begun {
    /// Whether it is no attempt of the stage as the rollout file has it, on a canary: with another hold, overrides,
    /// defects, or on the embedded runtime.
    #[must_use]
    pub fn is_rehearsal(&self) -> bool {
        self.embedded
            || self.hold_planned_s.is_some()
            || !self.set.is_empty()
            || !self.defects.is_empty()
    }
}

/// What the stage before would be if it were begun together with an attempt: its GO counts as far as it was the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Before {
    /// SHA-256 of how its target is reached, in hex, where the rollout file itself says so of both stages and no
    /// `--target` was given: then they may be reached differently.
    pub target_sha256: Option<String>,
    /// The files that say what it asks, with their SHA-256 in hex.
    pub files: BTreeMap<String, String>,
}

/// A waiver as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waived {
    /// The gate.
    pub gate: String,
    /// The metric; `None` is every one.
    pub metric: Option<String>,
    /// Who takes it on.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub expires: String,
}

impl From<Waiver> for Waived {
    fn from(waiver: Waiver) -> Self {
        let Waiver { gate, metric, owner, reason, expires } = waiver;
        Self { gate, metric, owner, reason, expires }
    }
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// PASS, WARN, INCONCLUSIVE (the stage is a HOLD), FAIL (a NO-GO), or not applicable.
    pub verdict: Verdict,
    /// What was seen, in a sentence.
    pub what: String,
    /// What to do, where something has to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Further lines, for whoever looks closer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// What it did not test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untested: Vec<Untested>,
    /// Of a step that failed: what was to hold and did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
    /// The command that was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandRun>,
    /// The run that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<RunSummary>>,
    /// Other runs of the step: the other parts of a hold, tries of a scenario that were interrupted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<RunSummary>,
    /// Builds that the target said it is, and how often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub builds: BTreeMap<String, u64>,
    /// Requests for the build whose answer told none.
    #[serde(default)]
    pub builds_unknown: u64,
    /// Requests for the build that failed, by why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub builds_failed: BTreeMap<String, u64>,
    /// Revisions to go back to: of the control service, of the runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revisions: Option<(String, String)>,
    /// Of the hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Box<HoldResult>>,
}

/// What a step that failed was to show, in the words of an issue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// What failed, in a few words.
    pub title: String,
    /// What must hold, with the bound.
    pub claim: String,
    /// What was measured.
    pub measured: String,
}

impl StepResult {
    /// A result of which there is only this to say.
    #[must_use]
    pub fn of(verdict: Verdict, what: impl Into<String>) -> Self {
        Self {
            verdict,
            what: what.into(),
            next: None,
            lines: Vec::new(),
            untested: Vec::new(),
            failed: None,
            command: None,
            run: None,
            others: Vec::new(),
            builds: BTreeMap::new(),
            builds_unknown: 0,
            builds_failed: BTreeMap::new(),
            revisions: None,
            hold: None,
        }
    }

    /// What came of asking for the build.
    #[must_use]
    pub fn seen_builds(&self) -> Seen {
        Seen {
            told: self.builds.clone(),
            untold: self.builds_unknown,
            failed: self.builds_failed.clone(),
        }
    }

    /// The same, with what came of asking for the build.
    #[must_use]
    pub fn with_builds(mut self, seen: Seen) -> Self {
        let Seen { told, untold, failed } = seen;
        (self.builds, self.builds_unknown, self.builds_failed) = (told, untold, failed);
        self
    }

    /// Every run of the step, in order but for the one that decides, which is last.
    pub fn runs(&self) -> impl Iterator<Item = &RunSummary> {
        self.others.iter().chain(self.run.as_deref())
    }

    /// The same, with what to do.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// What a hold came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HoldResult {
    /// How long it was to be, in seconds.
    pub wanted_s: u64,
    /// How long it was observed, in seconds.
    pub observed_s: f64,
    /// Its runs, in order: each after the first took up what was left.
    pub segments: Vec<Segment>,
    /// The rolling windows.
    pub windows: Windows,
    /// What its runs come to together.
    #[serde(default)]
    pub whole: Whole,
    /// Up to where the samples of the build were written (`builds-N.ndjson`), and the digest of the last of them; absent
    /// of the embedded runtime, which nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Head>,
}

/// One run of a hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// Folder of the run.
    pub bundle: String,
    /// SHA-256 of its manifest, in hex; `None` of a run that was killed.
    pub manifest_sha256: Option<String>,
    /// When it began, UTC.
    pub began: String,
    /// How long it was observed, in seconds.
    pub observed_s: f64,
    /// Whether it came to its end.
    pub finished: bool,
    /// What it found by itself.
    pub decision: Decision,
    /// The build that the target said it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The builds of its sockets; absent where nobody said that answers to upgrades name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sockets: Option<SocketBuilds>,
    /// Whether it found something to warn of.
    #[serde(default)]
    pub warned: bool,
}

/// The decision on an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Which attempt.
    pub attempt: u32,
    /// The decision, with everything that the report says of it.
    pub decided: Decided,
    /// Its report, without the end of the name.
    pub report: String,
    /// SHA-256 of the report's JSON, in hex.
    pub report_sha256: String,
}
