//! The folders of a stage, where they cannot be written to: what, where, and what to do. Before anything is sent where that
//! can be known; later what was written stands, and nothing is decided by what was not.

use std::io::{self, ErrorKind};
use std::path::Path;

use khala_bundle::{Error, Spare, room_for, try_out};
use khala_plan::{Plan, Schedule};

use crate::exit::{Exit, Failure};

/// Room that is held in the folder of stages for what a stage still has to say when the disk is full: the last lines of
/// its journal, and the report in each of its forms.
const SPARE: u64 = 2 << 20;
/// Bytes that are tried in the folder of the runs: on some file systems they are memory for that moment.
const TRIED: u64 = 16 << 20;

/// A folder that a stage writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// Of the journal and the reports.
    Stages,
    /// Of the runs.
    Runs,
}

/// Holds that room.
///
/// # Errors
/// When there is none.
pub fn spare(stage_dir: &Path) -> Result<Spare, Failure> {
    Spare::take(stage_dir, SPARE).map_err(|error| refused(&error, Folder::Stages))
}

/// Refuses a stage whose runs have no room for their evidence, or no folder that can be written to. `plans` are theirs.
///
/// # Errors
/// With what stands against it.
pub fn for_runs<'a>(
    out_dir: &Path,
    plans: impl IntoIterator<Item = &'a Plan>,
) -> Result<(), Failure> {
    // What is not there yet will lie in what is.
    let here = out_dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    let (mut needed, mut room) = (0, None);
    for plan in plans {
        let (of_it, there) = room_for(plan, &Schedule::of(plan), here);
        (needed, room) = (needed + of_it, there);
    }
    let dir = out_dir.to_owned();
    match room.filter(|room| *room < needed) {
        Some(room) => Err(Error::NoRoom { dir, room, needed }),
        // Whether somebody else's leave is missing, or a quota stands against it, shows by trying alone.
        None => try_out(out_dir, needed.min(TRIED)),
    }
    .map_err(|error| refused(&error, Folder::Runs))
}

/// What keeps a stage from being begun.
pub fn refused(error: &Error, folder: Folder) -> Failure {
    let help = match (folder, error.is_no_room()) {
        // It says itself what to do.
        _ if matches!(error, Error::Link { .. }) => return Failure::new(Exit::Setup, error),
        (Folder::Stages, true) => "make room there (another --stage-dir knows no GO of before)",
        (Folder::Stages, false) => {
            "let this user write there, or name another folder with --stage-dir, which knows no GO of before"
        }
        (Folder::Runs, true) => {
            "make room there, or name a folder where there is some with --out-dir"
        }
        (Folder::Runs, false) => "name a folder that can be written to with --out-dir",
    };
    Failure::new(Exit::Setup, format!("{error}; nothing was begun: {help}"))
}

/// What could not be written down of a stage that is under way.
pub fn lost(error: &Error) -> Failure {
    Failure::new(Exit::Setup, format!("{error}; {}", go_on(error)))
}

/// The same of a failure by the system, at a path.
pub fn lost_at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| lost(&Error::File { what: "write", path, source })
}

/// How a stage goes on that could not write something down.
fn go_on(error: &Error) -> String {
    format!(
        "nothing more is sent, and nothing is decided: {}, then the same command with --resume takes the stage up where \
         it was",
        mend(error)
    )
}

/// What to do with a folder that takes nothing any more.
pub fn mend(error: &Error) -> &'static str {
    match error.kind() {
        _ if error.is_no_room() => "make room there",
        Some(ErrorKind::NotFound | ErrorKind::NotADirectory) => "put the folder back as it was",
        _ => "let this user write there again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(of: i32) -> Error {
        let source = io::Error::from_raw_os_error(of);
        Error::File { what: "write", path: "stages/journal.ndjson".into(), source }
    }

    #[test]
    fn each_way_in_which_a_folder_takes_nothing_ends_with_100_and_what_to_do() {
        let [no_space, quota, read_only, denied, gone, failing] = [28, 122, 30, 13, 2, 5];
        for (code, before, later) in [
            (no_space, "make room there", "make room there"),
            (quota, "make room there", "make room there"),
            (read_only, "--stage-dir", "let this user write"),
            (denied, "--stage-dir", "let this user write"),
            (gone, "--stage-dir", "put the folder back"),
            (failing, "--stage-dir", "let this user write"),
        ] {
            let error = error(code);
            for (failure, help) in
                [(refused(&error, Folder::Stages), before), (lost(&error), later)]
            {
                let told = failure.message;
                assert_eq!(failure.exit, Exit::Setup, "{told}");
                assert!(told.contains("stages/journal.ndjson: ") && told.contains(help), "{told}");
            }
            assert!(refused(&error, Folder::Runs).message.contains("--out-dir"));
            assert!(lost(&error).message.contains("--resume"));
        }
    }
}
