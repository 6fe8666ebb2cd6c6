//! `manifest.json`: every file of a bundle with its SHA-256, and what made it where.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::Context as _;
use aws_lc_rs::digest;
use khala_evidence::journal::{Begin, Host};
use khala_evidence::report::RunReport;
use serde::{Deserialize, Serialize};

use crate::bundle;

/// The manifest's name; it does not list itself.
pub const NAME: &str = "manifest.json";
/// Version of the format.
const FORMAT_VERSION: u32 = 1;

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format_version: u32,
    /// Version of the tool that ran the scenario.
    pub tool_version: String,
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
    /// The files, by path in the bundle.
    pub files: BTreeMap<String, Entry>,
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

/// Writes the manifest of a bundle in which everything else is written.
///
/// # Errors
/// When a file cannot be read, or the manifest not written.
pub fn write(dir: &Path, begin: &Begin, report: &RunReport) -> anyhow::Result<()> {
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        tool_version: begin.tool_version.clone(),
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
        files: files(dir)?,
    };
    let mut json = serde_json::to_vec_pretty(&manifest).context("cannot write the manifest")?;
    json.push(b'\n');
    bundle::write(dir, NAME, &json)
}

/// Every file of a bundle but the manifest itself and hidden ones, with what it holds now.
///
/// # Errors
/// When one cannot be read.
pub fn files(dir: &Path) -> anyhow::Result<BTreeMap<String, Entry>> {
    let mut found = BTreeMap::new();
    walk(dir, "", &mut found)?;
    Ok(found)
}

fn walk(dir: &Path, prefix: &str, found: &mut BTreeMap<String, Entry>) -> anyhow::Result<()> {
    let context = || format!("cannot read {}", dir.display());
    for entry in fs::read_dir(dir).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if name.starts_with('.') || path == NAME {
            continue;
        }
        if entry.file_type().with_context(context)?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found)?;
        } else {
            let content = content(&entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            found.insert(path, content);
        }
    }
    Ok(())
}

fn content(path: &Path) -> io::Result<Entry> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher { context: digest::Context::new(&digest::SHA256), bytes: 0 };
    io::copy(&mut file, &mut hasher)?;
    let sha256 = hasher.context.finish();
    let hex = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Entry { bytes: hasher.bytes, sha256: hex })
}

struct Hasher {
    context: digest::Context,
    bytes: u64,
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
