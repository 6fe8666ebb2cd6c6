//! `manifest.json`: every file of a bundle with its SHA-256, and what made it where.
//!
//! The first manifest is final for the sources: making a report again changes what it says of the
//! renderings alone. Where something was made otherwise than it was, the manifest says when, and what.

mod own_digest;

pub use own_digest::fits as has_own_digest;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use khala_evidence::journal::{Begin, Host};
use khala_evidence::judge::Decision;
use khala_evidence::report::RunReport;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files::{LOCK, PART};
use crate::names::{
    FOLDERS, MANIFEST, RUN_JSON, SCENARIO, SIGNATURE, is_derived, is_of_altered, is_seal, is_source,
};
use crate::{Error, files, utc_now};

/// Version of the format of bundles. In version 1 `run.json` held samples, seconds and stories too, and
/// recordings were called histories; until version 2 the manifest had no digest of itself. They are read all
/// the same.
const FORMAT_VERSION: u32 = own_digest::SINCE;

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format_version: u32,
    /// SHA-256, in hex, of the manifest's text as it is with this value empty; absent before version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
    /// Version of the tool that ran the scenario.
    pub tool_version: String,
    /// The commit that the tool was built from, where the build knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_commit: Option<String>,
    /// Id of the run.
    pub run_id: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Root of all randomness.
    pub seed: u64,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// Where it ran.
    pub host: Host,
    /// What it ran against.
    pub target: Target,
    /// GO, NO-GO or HOLD.
    pub decision: String,
    /// Defects that the target was started with: the decision is of a runtime that is broken on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<String>,
    /// The clients that took part where the others were left out: the decision is of these alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_clients: Vec<u32>,
    /// The files, by path in the bundle.
    pub files: BTreeMap<String, Entry>,
    /// When `report` made the manifest, UTC, RFC 3339: the run itself left none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_afterwards: Option<String>,
    /// Whether it was made so beside a report that was there already: the run had left one, and it was gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// Each time that something was made otherwise than it was before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remade: Vec<Remade>,
}

/// What a run ran against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Base URL.
    pub url: String,
    /// `reference` or `url`.
    pub kind: String,
    /// The build, as the target says it; `null` where nothing says it.
    pub build: Option<String>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

/// Something was made otherwise than it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remade {
    /// UTC, RFC 3339.
    pub at: String,
    /// Version of the tool that did it.
    pub tool_version: String,
    /// The files that were not what is made now: sources that were changed, renderings that are others.
    pub differed: Vec<String>,
    /// Renderings that the manifest had and that were no longer there: they are made anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vanished: Vec<String>,
    /// What the bundle said before.
    pub decision_before: Option<String>,
    /// What it says now.
    pub decision: String,
}

/// Who makes a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The run, of what it has just written.
    Run,
    /// `report`, of what it found.
    Report,
}

/// What a bundle said before it is made again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    manifest: Option<Manifest>,
    decision: Option<String>,
    /// Of a bundle without a manifest: SHA-256 of the plan that its report is of.
    scenario_sha256: Option<String>,
    files: BTreeMap<String, Entry>,
}

impl Before {
    /// Reads it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let Ok(manifest) = read(dir) else {
            let said = fs::read(dir.join(RUN_JSON)).ok();
            let said = said.and_then(|text| serde_json::from_slice::<Said>(&text).ok());
            let (decision, of) = said.map(|said| (said.decision, said.provenance)).unzip();
            let scenario_sha256 = of.flatten().map(|of| of.scenario_sha256);
            let files = found(dir)?.files;
            return Ok(Self { manifest: None, decision, scenario_sha256, files });
        };
        let (decision, files) = (Some(manifest.decision.clone()), found(dir)?.files);
        Ok(Self { manifest: Some(manifest), decision, scenario_sha256: None, files })
    }

    /// The sources that are not what the first manifest says; without one, the plan if the report is of another.
    pub fn changed_sources(&self) -> Vec<String> {
        let Some(manifest) = &self.manifest else {
            let now = self.files.get(SCENARIO).map(|entry| &entry.sha256);
            let was = self.scenario_sha256.as_ref();
            let changed = was.is_some_and(|was| now.is_some_and(|now| was != now));
            return changed.then(|| SCENARIO.to_owned()).into_iter().collect();
        };
        let sources = |files: &BTreeMap<String, Entry>| -> BTreeMap<String, Entry> {
            let sources = files.iter().filter(|(path, _)| is_source(path));
            sources.map(owned).collect()
        };
        differing(&sources(&manifest.files), &sources(&self.files))
    }

    /// Whether nothing says what the run wrote, although there is a report of it.
    pub fn is_unvouched(&self) -> bool {
        match &self.manifest {
            Some(manifest) => manifest.replaced,
            None => self.files.contains_key(RUN_JSON),
        }
    }

    /// Whether there is a report and no manifest.
    pub fn is_report_alone(&self) -> bool {
        self.manifest.is_none() && self.decision.is_some()
    }

    /// Why what there is must not be written over where it was made of other sources than these: those named were
    /// changed, or these give the verdict `now`.
    pub fn altered(&self, changed: &[String], now: Decision) -> String {
        if !changed.is_empty() {
            return format!("the sources were changed after the run ({})", changed.join(", "));
        }
        let said = self.decision.as_deref().unwrap_or("nothing");
        format!(
            "{MANIFEST} is missing or cannot be read, and {RUN_JSON} says {said} where the sources give {now}"
        )
    }

    /// The renderings that the manifest has and that are no longer there.
    pub fn vanished(&self) -> Vec<String> {
        let known = self.manifest.iter().flat_map(|manifest| manifest.files.keys());
        let gone = known.filter(|path| is_derived(path) && !self.files.contains_key(*path));
        gone.cloned().collect()
    }

    /// What making a report again changes in the bundle beside the manifest, a sentence each: what had
    /// vanished, what was something else. `now` is what lies there when it is done.
    pub fn told(&self, now: &BTreeMap<String, Entry>, finished: bool) -> Vec<String> {
        let mut told = Vec::new();
        if self.manifest.is_none() && finished {
            told.push(format!(
                "{MANIFEST} was missing or could not be read: one is made of what is there now, and says so"
            ));
        }
        let vanished = match &self.manifest {
            Some(_) => self.vanished(),
            // A run that was killed has made none of them yet.
            None if !finished => Vec::new(),
            None => now
                .keys()
                .filter(|it| is_derived(it) && !self.files.contains_key(*it))
                .cloned()
                .collect(),
        };
        if !vanished.is_empty() {
            let (was, it) =
                if vanished.len() == 1 { ("was", "it is") } else { ("were", "they are") };
            told.push(format!("{} {was} missing: {it} made anew", vanished.join(", ")));
        }
        let others = self.files.iter().filter(|(path, _)| is_derived(path));
        let others = others.filter(|(path, was)| now.get(*path).is_some_and(|is| is != *was));
        let others: Vec<_> = others.map(|(path, _)| path.as_str()).collect();
        if !others.is_empty() {
            let (was, it) = if others.len() == 1 { ("was", "it is") } else { ("were", "they are") };
            let others = others.join(", ");
            told.push(format!("{others} {was} not what the sources give: {it} made anew"));
        }
        told
    }

    /// What the bundle said when its report was first made.
    pub fn first_decision(&self) -> Option<&str> {
        let remade = self.manifest.iter().flat_map(|manifest| &manifest.remade);
        let first = remade.map(|remade| &remade.decision_before).next();
        first.unwrap_or(&self.decision).as_deref()
    }
}

/// As much of `run.json` as another version's has, too.
#[derive(Deserialize)]
struct Said {
    decision: String,
    #[serde(default)]
    provenance: Option<SaidOf>,
}

#[derive(Deserialize)]
struct SaidOf {
    scenario_sha256: String,
}

/// Paths that only one of the two has, or that are not the same in both.
fn differing(one: &BTreeMap<String, Entry>, other: &BTreeMap<String, Entry>) -> Vec<String> {
    let mut paths: Vec<_> = one.keys().chain(other.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.retain(|path| one.get(*path) != other.get(*path));
    paths.into_iter().cloned().collect()
}

/// Reads the manifest of a bundle: one that is what was written.
///
/// # Errors
/// Why not, in a clause.
pub(crate) fn read(dir: &Path) -> Result<Manifest, String> {
    match read_any(dir)? {
        (manifest, None) => Ok(manifest),
        (_, Some(why)) => Err(why),
    }
}

/// Reads the manifest of a bundle, and why it is not what was written, in a clause, if it is not.
///
/// # Errors
/// Why it cannot be read, in a clause.
pub(crate) fn read_any(dir: &Path) -> Result<(Manifest, Option<String>), String> {
    let text = fs::read(dir.join(MANIFEST)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            "is missing: `khala-harness report` makes one, but it vouches only for what is there by \
             then"
                .to_owned()
        }
        _ => format!("cannot be read: {error}"),
    })?;
    let manifest = serde_json::from_slice(&text)
        .map_err(|error| format!("is not what was written, for it cannot be read: {error}"))?;
    let doubt = own_digest::doubt(&text, &manifest);
    Ok((manifest, doubt))
}

/// Refuses a bundle whose manifest is of a later version of the format: what it says would be misread.
pub(crate) fn refuse_later(dir: &Path) -> Result<(), Error> {
    let text = fs::read(dir.join(MANIFEST)).unwrap_or_default();
    match serde_json::from_slice::<Version>(&text) {
        Ok(Version { format_version: found }) if found > FORMAT_VERSION.into() => {
            let (file, known) = (MANIFEST, FORMAT_VERSION.into());
            Err(Error::Version { dir: dir.to_owned(), file, found, known })
        }
        // One that cannot be read is told where it is used.
        _ => Ok(()),
    }
}

/// As much of a manifest as that of any version has.
#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

/// Writes the manifest of a bundle in which everything else is written; gives what is worth telling of what
/// was made anew, a sentence each.
///
/// # Errors
/// When a file cannot be read, or the manifest not written.
pub(crate) fn write(
    dir: &Path,
    begin: &Begin,
    report: &RunReport,
    before: &Before,
    maker: Maker,
) -> Result<Vec<String>, Error> {
    let now = found(dir)?.files;
    let mut told = match maker {
        Maker::Run => Vec::new(),
        Maker::Report => before.told(&now, report.finished),
    };
    let mut manifest = Manifest {
        format_version: FORMAT_VERSION,
        manifest_sha256: None,
        tool_version: begin.tool_version.clone(),
        tool_commit: begin.tool_commit.clone(),
        run_id: begin.run_id.clone(),
        scenario: report.scenario.name.clone(),
        seed: report.scenario.seed,
        started_at: report.started_at.clone(),
        host: begin.host.clone(),
        target: Target {
            url: report.target.url.clone(),
            kind: report.target.kind.clone(),
            build: report.target.build.clone(),
        },
        decision: report.decision.to_string(),
        defects: report.target.defects.clone(),
        only_clients: report.fleet.only_clients.clone(),
        files: now.iter().filter(|(path, _)| !is_of_altered(path)).map(owned).collect(),
        made_afterwards: None,
        replaced: false,
        remade: Vec::new(),
    };
    if maker == Maker::Report {
        match &before.manifest {
            Some(first) => {
                let kept = first.files.iter().filter(|(path, _)| !is_derived(path));
                manifest.files = kept.map(owned).collect();
                let derived = now.iter().filter(|(path, _)| is_derived(path));
                manifest.files.extend(derived.map(owned));
                manifest.made_afterwards.clone_from(&first.made_afterwards);
                manifest.replaced = first.replaced;
                // One of before these were told stays what was signed.
                manifest.defects.clone_from(&first.defects);
                manifest.only_clients.clone_from(&first.only_clients);
                manifest.remade.clone_from(&first.remade);
            }
            None => {
                manifest.made_afterwards = Some(utc_now());
                manifest.replaced = before.is_unvouched();
            }
        }
        manifest.remade.extend(before.remade(&now, &manifest));
    }
    let json = own_digest::sealed(&mut manifest)
        .map_err(|error| Error::write(&dir.join(MANIFEST))(error.into()))?;
    let is_other = fs::read(dir.join(MANIFEST)).is_ok_and(|was| was != json);
    files::write(dir, MANIFEST, &json)?;
    if is_other && dir.join(SIGNATURE).exists() {
        told.push(format!(
            "{SIGNATURE} is of {MANIFEST} as it was: `khala-harness seal` signs what is there now"
        ));
    }
    Ok(told)
}

fn owned((path, entry): (&String, &Entry)) -> (String, Entry) {
    (path.clone(), entry.clone())
}

impl Before {
    /// What is otherwise now; nothing where all is as it was, or was not there.
    fn remade(&self, now: &BTreeMap<String, Entry>, manifest: &Manifest) -> Option<Remade> {
        let mut differed = self.changed_sources();
        let derived = self.files.iter().filter(|(path, _)| is_derived(path));
        let others = derived.filter(|(path, was)| now.get(*path).is_some_and(|is| is != *was));
        differed.extend(others.map(|(path, _)| path.clone()));
        let vanished = self.vanished();
        let same = self.decision.as_ref().is_none_or(|decision| *decision == manifest.decision);
        // What was changed then, and was said already, is not said again.
        let known = manifest.remade.iter().any(|one| one.differed.starts_with(&differed));
        if same && vanished.is_empty() && (differed.is_empty() || known) {
            return None;
        }
        Some(Remade {
            at: utc_now(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            differed,
            vanished,
            decision_before: self.decision.clone(),
            decision: manifest.decision.clone(),
        })
    }
}

/// What lies in a bundle.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The files, by path in the bundle.
    pub files: BTreeMap<String, Entry>,
    /// What no manifest names and no run leaves, by path in the bundle, and what it is: what is neither file nor
    /// folder, what is hidden, a folder with nothing in it.
    pub odd: BTreeMap<String, String>,
    /// What cannot be read, by path in the bundle, and why; of a folder with all that is in it.
    pub unread: BTreeMap<String, io::Error>,
}

impl Found {
    /// Whether a path lies in what cannot be read.
    pub fn hides(&self, path: &str) -> bool {
        let within = |unread: &String| {
            path.strip_prefix(unread.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.unread.keys().any(within)
    }
}

/// Every file of a bundle but the manifest, what seals it, and hidden ones, with what it holds now: who writes it
/// has the lock in it, and files that it began. Links are not followed: what they show is not in the bundle.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn found(dir: &Path) -> Result<Found, Error> {
    let mut found = look(dir);
    match found.unread.pop_first() {
        Some((path, why)) => Err(Error::read(&dir.join(path))(why)),
        None => Ok(found),
    }
}

/// The same, with what cannot be read beside the rest.
pub(crate) fn look(dir: &Path) -> Found {
    let mut found = Found::default();
    if let Err(error) = walk(dir, "", &mut found) {
        found.unread.insert(".".to_owned(), error);
    }
    found
}

/// Walks a folder; fails where it cannot be listed itself.
fn walk(dir: &Path, prefix: &str, found: &mut Found) -> io::Result<()> {
    let mut is_empty = true;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        is_empty = false;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            let to = fs::read_link(entry.path()).unwrap_or_default();
            found.odd.insert(path, format!("a symbolic link to {}", to.display()));
        } else if let Some(what) = hidden(&path, &name) {
            found.odd.insert(path, what.to_owned());
        } else if kind.is_file() && (path == MANIFEST || is_seal(&path)) {
            continue;
        } else if kind.is_dir() {
            if let Err(error) = walk(&entry.path(), &format!("{path}/"), found) {
                found.unread.insert(path, error);
            }
        } else if kind.is_file() {
            match content(&entry.path()) {
                Ok(content) => drop(found.files.insert(path, content)),
                Err(error) => drop(found.unread.insert(path, error)),
            }
        } else {
            found.odd.insert(path, "neither a file nor a folder".to_owned());
        }
    }
    let folder = prefix.trim_end_matches('/');
    if is_empty && !folder.is_empty() && !FOLDERS.contains(&folder) {
        found.odd.insert(folder.to_owned(), "an empty folder".to_owned());
    }
    Ok(())
}

/// What is hidden by its name, and what that is.
fn hidden(path: &str, name: &str) -> Option<&'static str> {
    if path == LOCK {
        return Some("the lock of a process that writes, or was killed while it did");
    }
    let is_hidden = name.starts_with('.');
    let is_part = name.ends_with(PART);
    is_hidden.then_some(if is_part {
        "a file that was begun, and never put in its place"
    } else {
        "hidden"
    })
}

/// SHA-256 of a file, in hex.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &Path) -> io::Result<String> {
    content(path).map(|entry| entry.sha256)
}

fn content(path: &Path) -> io::Result<Entry> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher { sha256: Sha256::new(), bytes: 0 };
    io::copy(&mut file, &mut hasher)?;
    Ok(Entry { bytes: hasher.bytes, sha256: hex(&hasher.sha256.finalize()) })
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hasher {
    sha256: Sha256,
    bytes: u64,
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
