//! `verify`: whether a bundle is still what the run wrote, and whether its verdict follows from it; whether a folder of
//! stages is still what they wrote.

use std::fs::TryLockError;
use std::path::Path;

use anyhow::Context as _;
use khala_bundle::seal::PublicKey;
use khala_bundle::{Error, Verified};

use super::stage;
use crate::exit::{Exit, Failure};
use crate::{args, output};

/// Locked while a bundle is written.
const LOCK: &str = ".writing";
/// Written last.
const MANIFEST: &str = "manifest.json";

/// Verifies a bundle.
pub fn run(verify: &args::Verify) -> Result<Exit, Failure> {
    let key = verify.public_key.as_deref().map(public_key).transpose()?;
    let of_stages = stage::is_folder(&verify.dir) || stage::is_manifest(&verify.dir);
    let (found, what) = match of_stages {
        true => (stage::verify(&verify.dir, key.as_ref())?, OF_STAGES),
        false => {
            not_still_written(&verify.dir)?;
            (khala_bundle::verify(&verify.dir, key.as_ref())?, OF_A_RUN)
        }
    };
    let text = if verify.json {
        serde_json::to_string(&found).context("cannot print what was found")? + "\n"
    } else {
        rendered(&found, what)
    };
    output::verdict(text.as_bytes());
    Ok(if found.problems.is_empty() { Exit::Go } else { Exit::Hold })
}

/// Refuses a bundle that has no manifest yet since its run is still going on. Nothing is written, so the lock is asked
/// for as it is and not taken.
fn not_still_written(dir: &Path) -> Result<(), Failure> {
    let lock = dir.join(LOCK);
    let is_file = || std::fs::symlink_metadata(&lock).is_ok_and(|about| about.is_file());
    if dir.join(MANIFEST).exists() || !is_file() {
        return Ok(());
    }
    match std::fs::File::open(&lock).map(|file| file.try_lock_shared()) {
        Ok(Err(TryLockError::WouldBlock)) => Err(Error::StillWritten(dir.to_owned()).into()),
        _ => Ok(()),
    }
}

/// A public key: the name of a file of one, or the key itself.
fn public_key(given: &str) -> Result<PublicKey, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Setup, format!("--public-key {given}: {why}"))
    };
    match khala_plan::text(std::fs::File::open(given)) {
        Ok(text) => PublicKey::parse(&text).map_err(|error| wrong(&error)),
        Err(unread) => PublicKey::parse(given)
            .map_err(|error| wrong(&format!("no file of that name ({unread}), and {error}"))),
    }
}

/// What is verified, and what is said of its decision.
type What = (&'static str, &'static str);
const OF_A_RUN: What = ("bundle", "the verdict follows from the sources");
const OF_STAGES: What = ("folder", "the last decision, as the journal has it");

fn rendered(found: &Verified, (what, of_decision): What) -> String {
    let Verified { unchanged, problems, notes, decision } = found;
    let decision = decision.as_deref().unwrap_or("none");
    let ending = match problems.len() {
        0 => format!("{of_decision}: {decision}"),
        1 => format!("1 problem: do not rely on this {what}"),
        some => format!("{some} problems: do not rely on this {what}"),
    };
    let lines: String = problems.iter().chain(notes).map(|line| format!("{line}\n")).collect();
    format!("{lines}{unchanged} files are as they were written; {ending}\n")
}
