//! What keeps a bundle from being written or read, each in one sentence.

use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be done with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is no bundle, or not a whole one.
    #[error("{}: {why}; name the folder of a run, as `run` prints it", dir.display())]
    NotABundle {
        /// The folder.
        dir: PathBuf,
        /// Why not, in a clause.
        why: String,
    },
    /// The folder is a bundle, and something in it is missing or cannot be read.
    #[error(
        "{}: {why}; the folder is that of a run, and not whole any more: take a copy of it from where it \
         was kept", dir.display()
    )]
    Incomplete {
        /// The folder.
        dir: PathBuf,
        /// What, and why, in a clause that begins with the file.
        why: String,
    },
    /// The bundle is of a version of the format that this build does not read.
    #[error(
        "{}: {file} is of version {found} of the format, and this build of khala-harness reads version \
         {known}: {}", dir.display(), use_instead(*found, *known)
    )]
    Version {
        /// The folder.
        dir: PathBuf,
        /// The file that says so.
        file: &'static str,
        /// Its version.
        found: u64,
        /// The latest version that is read.
        known: u64,
    },
    /// The bundle has no manifest that can be read.
    #[error("{}: manifest.json {why}", dir.display())]
    Manifest {
        /// The folder.
        dir: PathBuf,
        /// Why not, in a clause.
        why: String,
    },
    /// The bundle's recording is missing, or not whole.
    #[error("{}: its recording cannot be judged: {why}", dir.display())]
    Recording {
        /// The folder.
        dir: PathBuf,
        /// Why not, in a clause.
        why: String,
    },
    /// The bundle's plan, or the gates it is to be judged by, cannot be read: the whole of what is wrong,
    /// as it is printed.
    #[error("{0}")]
    Plan(String),
    /// A file of gates cannot be read.
    #[error("{}: {why}", file.display())]
    Gates {
        /// The file.
        file: PathBuf,
        /// Why not, and what to do.
        why: String,
    },
    /// Another process is still writing the bundle.
    #[error("{}: the run is still going on; wait for its end", .0.display())]
    StillWritten(PathBuf),
    /// There is no such folder of runs.
    #[error("{}: {source}; name the folder of the runs", dir.display())]
    NoRuns {
        /// The folder.
        dir: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A run's folder would lie in another run's bundle.
    #[error("{} is in the evidence of another run, {}", dir.display(), other.display())]
    Within {
        /// Where the runs were to go.
        dir: PathBuf,
        /// The other bundle.
        other: PathBuf,
    },
    /// A link stands where a bundle is written to.
    #[error("{} is a symbolic link to {}, and nothing is written through one: remove it", path.display(), to.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// The file system is too full for what a run writes at the least.
    #[error(
        "{} has room for {} KiB, and the evidence needs at least {} KiB",
        dir.display(), room / 1024, needed / 1024
    )]
    NoRoom {
        /// The bundle.
        dir: PathBuf,
        /// Bytes that can be written.
        room: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// A file or folder could not be made, written, read or removed.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// `make`, `write`, `read` or `remove`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be signed.
    #[error("cannot sign {}: {why}", path.display())]
    Unsigned {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// What the observer was told is still on its way to the disk.
    #[error("events.ndjson and the snapshots of metrics could not be written within {seconds} s")]
    Slow {
        /// How long that was waited for.
        seconds: u64,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    NoThread(io::Error),
    /// A thread of this crate panicked.
    #[error("the {0}'s thread ended with a bug")]
    Bug(&'static str),
    /// A rendering failed.
    #[error("a rendering failed: {0}")]
    Render(#[from] khala_evidence::render::RenderError),
}

/// Which build reads it, with a verb: nobody reads what became of a format that is no more.
fn use_instead(found: u64, known: u64) -> &'static str {
    match found > known {
        true => "use the build that wrote it, or a later one",
        false => "use the build that wrote it",
    }
}

impl Error {
    /// Whether there is no room for it.
    #[must_use]
    pub fn is_no_room(&self) -> bool {
        match self {
            Self::NoRoom { .. } => true,
            Self::File { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// What the system says, where it said something.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::File { source, .. } | Self::NoRuns { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// What could not be kept in the bundle `dir`, for a reader who knows which one it is of: why comes first, so that it
    /// stands where a sentence is cut.
    pub(crate) fn unkept(&self, dir: &Path) -> String {
        let Self::File { what, path, source } = self else { return self.to_string() };
        let path = path.strip_prefix(dir).unwrap_or(path);
        format!("{} (cannot {what} {})", plain(source), path.display())
    }

    pub(crate) fn not_a_bundle(dir: &Path, why: impl std::fmt::Display) -> Self {
        Self::NotABundle { dir: dir.to_owned(), why: why.to_string() }
    }

    pub(crate) fn incomplete(dir: &Path, why: impl std::fmt::Display) -> Self {
        Self::Incomplete { dir: dir.to_owned(), why: why.to_string() }
    }

    /// What is wrong with a bundle, for a reader who knows which one it is of: without its folder.
    pub(crate) fn of_the_bundle(self) -> String {
        match self {
            Self::NotABundle { why, .. }
            | Self::Incomplete { why, .. }
            | Self::Recording { why, .. } => why,
            Self::Manifest { why, .. } => format!("manifest.json {why}"),
            Self::Version { ref dir, .. } => {
                let said = self.to_string();
                said.strip_prefix(&format!("{}: ", dir.display())).unwrap_or(&said).to_owned()
            }
            other => other.to_string(),
        }
    }

    pub(crate) fn make(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::file("make", path)
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::file("write", path)
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::file("read", path)
    }

    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

/// What the system says of a failure, without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    let said = error.to_string();
    match said.rsplit_once(" (os error ") {
        Some((said, number)) if number.ends_with(')') => said.to_owned(),
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_kept_begins_with_the_reason() {
        let dir = Path::new("/a/long/path/to/runs/20260101T000000Z-smoke-0a1b2c3d");
        let full = || io::Error::from_raw_os_error(28);
        let error = Error::write(&dir.join("metrics/after.json"))(full());
        assert_eq!(error.unkept(dir), "No space left on device (cannot write metrics/after.json)");
        let others = [Error::write(dir)(io::Error::from_raw_os_error(13)), Error::Bug("journal")];
        assert!(error.is_no_room() && others.iter().all(|other| !other.is_no_room()));
    }
}
