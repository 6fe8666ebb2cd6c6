//! The folder that runs lie in, as a whole: which of them is the latest, and an index of all.
//!
//! `latest` is a link to the run that was *begun* last, made before its first connection. While that run goes on,
//! and where it was killed, no `run.json` is at its end: whoever reads a decision there gets none, and never that
//! of the run before.

use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::bundle::is_bundle;
use crate::manifest::{self, Manifest};
use crate::{Error, clock, files};

/// The link to the run that was begun last.
pub const LATEST: &str = "latest";
/// The index, for programs.
pub const INDEX: &str = "index.json";
/// The index, for people.
pub const INDEX_PAGE: &str = "index.md";
/// Held by who writes the index.
const LOCK: &str = ".index.lock";
/// Version of the index.
const FORMAT_VERSION: u32 = 1;
/// How long another process may take to write the index.
const LOCKED_AT_MOST: Duration = Duration::from_secs(5);
/// Between two looks whether it has done so.
const STEP: Duration = Duration::from_millis(10);

#[derive(Serialize)]
struct Index {
    format_version: u32,
    /// The latest first.
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    /// Its folder, in the folder of runs.
    dir: String,
    /// What its manifest says; `None` where it has none that is as it was written: it goes on, was killed, or was
    /// changed.
    #[serde(flatten)]
    told: Option<Told>,
    /// `null` in the same case.
    decision: Option<String>,
}

#[derive(Serialize)]
struct Told {
    run_id: String,
    scenario: String,
    seed: u64,
    /// UTC, RFC 3339.
    started_at: String,
    target: manifest::Target,
    tool_version: String,
    /// Defects that the target was started with.
    defects: Vec<String>,
    /// The clients that took part, where not all did.
    only_clients: Vec<u32>,
}

impl Told {
    /// Why the decision says nothing of a target as it is, in a clause; empty where it does.
    fn aside(&self) -> String {
        let defects = match self.defects.as_slice() {
            [] => None,
            [one] => Some(format!("with the defect {one}")),
            several => Some(format!("with the defects {}", several.join(", "))),
        };
        let alone = match self.only_clients.as_slice() {
            [] => None,
            [one] => Some(format!("client {one} alone")),
            several => Some(format!("{} clients alone", several.len())),
        };
        let all: Vec<_> = defects.into_iter().chain(alone).collect();
        if all.is_empty() { String::new() } else { format!(" ({})", all.join("; ")) }
    }
}

/// Points `latest` beside a bundle at it.
///
/// # Errors
/// [`Error::File`] when the link cannot be made, or something else is in its place.
pub fn point_latest(bundle: &Path) -> Result<(), Error> {
    let (Some(folder), Some(name)) = (bundle.parent(), bundle.file_name()) else { return Ok(()) };
    let link = folder.join(LATEST);
    let is_other = fs::symlink_metadata(&link).is_ok_and(|there| !there.is_symlink());
    if is_other {
        let why = io::Error::other("it is no link");
        return Err(Error::make(&link)(why));
    }
    // Beside it first: there is no moment at which it is another one's, or half of one.
    let part = folder.join(format!(".{LATEST}.{}", name.to_string_lossy()));
    let made = symlink(name, &part).and_then(|()| fs::rename(&part, &link));
    if made.is_err() {
        let _ = fs::remove_file(&part);
    }
    made.map_err(Error::make(&link))
}

/// Removes `latest` of a folder of runs where it leads to nothing.
pub fn drop_dangling_latest(runs_dir: &Path) {
    let link = runs_dir.join(LATEST);
    if fs::symlink_metadata(&link).is_ok_and(|there| there.is_symlink()) && !link.exists() {
        let _ = fs::remove_file(&link);
    }
}

/// Writes the index of the folder `runs_dir`, of what lies in it now.
///
/// # Errors
/// [`Error::NoRuns`] when the folder cannot be read, [`Error::File`] when the index cannot be written, such as while
/// another process writes it for longer than five seconds.
pub fn write_index(runs_dir: &Path) -> Result<(), Error> {
    write_within(runs_dir, LOCKED_AT_MOST)
}

/// The same, waiting no longer than that for whoever writes it.
fn write_within(runs_dir: &Path, wait: Duration) -> Result<(), Error> {
    // Whoever comes later has seen what came before; who waits in vain leaves it, for two would write one file.
    let _lock = lock(runs_dir, wait)?;
    let index = Index { format_version: FORMAT_VERSION, runs: runs(runs_dir)? };
    let json = serde_json::to_vec_pretty(&index)
        .map_err(|error| Error::write(&runs_dir.join(INDEX))(error.into()))?;
    files::write(runs_dir, INDEX, &[&json[..], b"\n"].concat())?;
    files::write(runs_dir, INDEX_PAGE, page(&index).as_bytes())
}

/// The lock of the index, had in time.
fn lock(runs_dir: &Path, wait: Duration) -> Result<File, Error> {
    let file = files::open_own(&runs_dir.join(LOCK))?;
    let index = runs_dir.join(INDEX);
    let cannot = |error| Error::write(&index)(error);
    let until = clock::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if clock::now() < until => std::thread::sleep(STEP),
            Err(TryLockError::WouldBlock) => {
                return Err(cannot(io::Error::other("another process is writing it")));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
    }
}

/// The runs of a folder, the latest first: their names begin with the time.
fn runs(dir: &Path) -> Result<Vec<Run>, Error> {
    let listed =
        fs::read_dir(dir).map_err(|source| Error::NoRuns { dir: dir.to_owned(), source })?;
    let folders = listed.flatten().filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
    let mut runs: Vec<_> = folders
        .filter(|entry| is_bundle(&entry.path()).is_ok())
        .map(|entry| {
            let manifest = manifest::read(&entry.path()).ok();
            let decision = manifest.as_ref().map(|manifest| manifest.decision.clone());
            let dir = entry.file_name().to_string_lossy().into_owned();
            Run { dir, told: manifest.map(told), decision }
        })
        .collect();
    runs.sort_unstable_by(|one, other| other.dir.cmp(&one.dir));
    Ok(runs)
}

fn told(manifest: Manifest) -> Told {
    let Manifest { run_id, scenario, seed, started_at, target, tool_version, .. } = manifest;
    let Manifest { defects, only_clients, .. } = manifest;
    Told { run_id, scenario, seed, started_at, target, tool_version, defects, only_clients }
}

fn page(index: &Index) -> String {
    let mut page = "# Runs\n\nThe latest first; made anew by each run, and by `prune`.\n\n\
                    | run | decision | scenario | seed | target |\n| --- | --- | --- | --- | --- |\n"
        .to_owned();
    for Run { dir, told, decision } in &index.runs {
        let decision = decision.as_deref().unwrap_or("none: not finished, or changed");
        let aside = told.as_ref().map(Told::aside).unwrap_or_default();
        let (scenario, seed, target) = told.as_ref().map_or_else(Default::default, |told| {
            (told.scenario.clone(), told.seed.to_string(), told.target.url.clone())
        });
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| [{dir}]({dir}/summary.md) | {decision}{aside} | {scenario} | {seed} | {target} |"
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_another_process_writes_is_left_to_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let held = lock(dir.path(), Duration::ZERO).expect("nobody has it");
        let error = write_within(dir.path(), Duration::ZERO).expect_err("it is held");
        assert!(error.to_string().contains("another process is writing it"), "{error}");
        assert!(!dir.path().join(INDEX).exists());
        drop(held);
        write_within(dir.path(), Duration::ZERO).expect("nobody has it");
        assert!(dir.path().join(INDEX).exists());
    }

    #[test]
    fn nothing_is_opened_through_a_link_in_a_folder_of_runs() {
        let dir = tempfile::tempdir().expect("a folder");
        let runs = dir.path().join("runs");
        fs::create_dir(&runs).expect("is made");
        let theirs = dir.path().join("theirs");
        fs::write(&theirs, "theirs").expect("is written");
        let written = |name: &str| {
            let link = runs.join(name);
            let _ = fs::remove_file(&link);
            symlink(&theirs, &link).expect("is linked");
            let written = write_within(&runs, Duration::ZERO);
            assert_eq!(fs::read_to_string(&theirs).expect("is there"), "theirs", "{name}");
            written
        };
        let error = written(LOCK).expect_err("it would lie elsewhere").to_string();
        assert!(error.contains(".index.lock is a symbolic link to "), "{error}");
        fs::remove_file(runs.join(LOCK)).expect("is there");
        // A file that is put in its place takes that of a link.
        for name in [INDEX, INDEX_PAGE, ".index.json.part", ".index.md.part"] {
            written(name).expect("is written");
        }
        // What nobody reads would be waited for.
        let pipe = runs.join(LOCK);
        let _ = fs::remove_file(&pipe);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs");
        assert!(made.success());
        assert!(write_within(&runs, Duration::ZERO).is_err(), "it is no file");
    }
}
