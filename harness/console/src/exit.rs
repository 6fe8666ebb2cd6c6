//! What the exit codes mean. Scripts and rollout stages act on them: they never change meaning.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use khala_evidence::judge::Decision;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: GO, or the command did what it was asked.
    Go,
    /// 99: NO-GO, something is broken.
    NoGo,
    /// 95: HOLD, nothing follows from the run.
    Hold,
    /// 100: no target, or the run could not be set up; a file or folder that is named, such as that of a run, is
    /// not there, or cannot be written.
    Setup,
    /// 104: the scenario, a profile, a gate file or an override is invalid, or not there.
    InvalidScenario,
    /// 105: interrupted; evidence was written.
    Interrupted,
    /// 2: arguments that mean nothing, such as the name of a fault or the number of a client that there is not.
    Usage,
    /// 1: a bug, or standard output that cannot be written. A file or folder that cannot be is 100: whoever named it can
    /// mend it.
    Internal,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Go => 0,
            Self::NoGo => 99,
            Self::Hold => 95,
            Self::Setup => 100,
            Self::InvalidScenario => 104,
            Self::Interrupted => 105,
            Self::Usage => 2,
            Self::Internal => 1,
        }
    }
}

impl From<Decision> for Exit {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Go => Self::Go,
            Decision::NoGo => Self::NoGo,
            Decision::Hold => Self::Hold,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command that could not do what it was asked: one message, and the code to end with.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What, where, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure whose message is an error's.
    pub fn new(exit: Exit, error: impl std::fmt::Display) -> Self {
        Self { exit, message: format!("error: {error}") }
    }

    /// A file or folder that somebody named and that could not be made or written. `what` is `make` or `write`.
    pub fn unwritten(what: &str, path: &Path, why: &io::Error) -> Self {
        let help = instead(why.kind());
        Self::new(Exit::Setup, format!("cannot {what} {}: {why}; {help}", path.display()))
    }

    /// The message without what marks it as an error's on a terminal.
    #[must_use]
    pub fn what(&self) -> &str {
        self.message.strip_prefix("error: ").unwrap_or(&self.message)
    }
}

/// What to do about what cannot be written.
fn instead(why: io::ErrorKind) -> &'static str {
    match why {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, or name another place"
        }
        io::ErrorKind::NotFound => "make the folder that it is to be in, or name another place",
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => "name another place",
        _ => "let this user write there, or name another place",
    }
}

/// What is wrong with a bundle: with the folder that was named, with its plan or gates, or with the disk.
impl From<khala_bundle::Error> for Failure {
    fn from(error: khala_bundle::Error) -> Self {
        use khala_bundle::Error;
        match error {
            // As it is printed by `check`, with the place of each mistake.
            Error::Plan(mistakes) => Self { exit: Exit::InvalidScenario, message: mistakes },
            Error::Gates { .. } => Self::new(Exit::InvalidScenario, error),
            Error::NotABundle { .. }
            | Error::Incomplete { .. }
            | Error::Version { .. }
            | Error::StillWritten(_)
            | Error::Manifest { .. }
            | Error::Recording { .. }
            | Error::Link { .. }
            | Error::Within { .. }
            | Error::NoRuns { .. } => Self::new(Exit::Setup, error),
            Error::File { what: "read" | "find" | "list", .. } => Self::new(Exit::Setup, error),
            Error::File { .. } | Error::NoRoom { .. } => {
                let help = match error.is_no_room() {
                    true => "make room there, or take a copy of the folder to where there is some",
                    false => {
                        "let this user write to the folder, or take a copy of it to where that is so"
                    }
                };
                Self::new(Exit::Setup, format!("{error}; {help}"))
            }
            _ => Self::new(Exit::Internal, error),
        }
    }
}

/// Errors that nobody expected.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Internal, message: format!("error: {error:#}") }
    }
}

#[cfg(test)]
mod tests {
    use khala_bundle::Error;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_bundle_ends_with_the_code_of_who_can_mend_it() {
        let dir = std::path::PathBuf::from("runs/one");
        let (file, source) = (dir.clone(), std::io::Error::other("no room"));
        for (error, exit, message) in [
            (
                Error::Version { dir: dir.clone(), file: "run.json", found: 9, known: 2 },
                Exit::Setup,
                "error: runs/one: run.json is of version 9 of the format, and this build of \
                 khala-harness reads version 2: use the build that wrote it, or a later one",
            ),
            (
                Error::StillWritten(dir.clone()),
                Exit::Setup,
                "error: runs/one: the run is still going on; wait for its end",
            ),
            (
                Error::Link { path: dir.join("altered"), to: "elsewhere".into() },
                Exit::Setup,
                "error: runs/one/altered is a symbolic link to elsewhere, and nothing is written \
                 through one: remove it",
            ),
            (
                Error::Plan("error: two\n  lines".to_owned()),
                Exit::InvalidScenario,
                "error: two\n  lines",
            ),
            (
                Error::Gates { file, why: "none".to_owned() },
                Exit::InvalidScenario,
                "error: runs/one: none",
            ),
            (
                Error::File { what: "write", path: dir.clone(), source },
                Exit::Setup,
                "error: cannot write runs/one: no room; let this user write to the folder, or take a copy of it to \
                 where that is so",
            ),
            (
                Error::NoRoom { dir, room: 1024, needed: 2048 },
                Exit::Setup,
                "error: runs/one has room for 1 KiB, and the evidence needs at least 2 KiB; make room there, or take a copy \
                 of the folder to where there is some",
            ),
        ] {
            let failure = Failure::from(error);
            assert_eq!((failure.exit, failure.message.as_str()), (exit, message));
        }
    }
}
