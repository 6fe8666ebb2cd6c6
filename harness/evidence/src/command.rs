//! Commands of the user's that a run carried out: what they were, how they ended, what they said.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::Micros;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum CommandEnd {
    /// By itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// By a signal that was not the harness's.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// Its time was over, and its process group was ended.
    TimedOut,
    /// The run was cut short, and its process group was ended.
    CutShort,
    /// It could not be started, or not be waited for.
    NotRun {
        /// Why.
        why: String,
    },
}

impl std::fmt::Display for CommandEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exit code {code}"),
            Self::Signalled { signal } => write!(f, "ended by signal {signal}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::CutShort => f.write_str("cut short with the run"),
            Self::NotRun { why } => write!(f, "not run: {why}"),
        }
    }
}

/// A command that was carried out, or could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRun {
    /// What it was for: `command`, `check` or `undo`.
    pub part: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// When it began, in microseconds of the run.
    pub began_us: Micros,
    /// How long it took, in microseconds.
    pub took_us: Micros,
    /// How it ended.
    pub end: CommandEnd,
    /// How often it was tried; what is told is of the last time.
    pub tries: u32,
    /// The start and the end of what it wrote to standard output, without secrets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// The same of standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

impl CommandRun {
    /// Whether it ended with exit code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.end == CommandEnd::Exited { code: 0 }
    }

    /// What it was and what came of it, on one line.
    #[must_use]
    pub fn told(&self) -> String {
        let took = std::time::Duration::from_micros(self.took_us).as_secs_f64();
        let tries =
            if self.tries > 1 { format!(", tried {} times", self.tries) } else { String::new() };
        let said = match self.last_line() {
            Some(line) => format!("; it said: {line}"),
            None => String::new(),
        };
        format!("{} {:?}: {} after {took:.1} s{tries}{said}", self.part, self.command, self.end)
    }

    /// The last line that says something, of standard error where there is one.
    fn last_line(&self) -> Option<&str> {
        let lines = self.stderr.lines().rev().chain(self.stdout.lines().rev());
        lines.map(str::trim).find(|line| !line.is_empty())
    }
}
