//! Names of the files in a bundle.

use khala_evidence::render;

/// The journal: what the run gathered, written as it happened.
pub const JOURNAL: &str = "journal/run.journal";
/// Every record of the run, where it was asked for.
pub const RECORDING: &str = "recording/run.recording";
/// The name of a recording of version 1 of its format.
pub const RECORDING_1: &str = "history/run.history";
/// The scenario with every default filled in: the plan of a bundle.
pub const SCENARIO: &str = "scenario.resolved.toml";
/// The plan unrolled.
pub const SCHEDULE: &str = "schedule.ndjson";
/// What happened to the run as a whole.
pub const EVENTS: &str = "events.ndjson";
/// The folder of the snapshots of the target's metrics.
pub const METRICS: &str = "metrics";
/// The folders that each run makes, whether or not anything comes to lie in them.
pub const FOLDERS: [&str; 2] = [METRICS, "journal"];
/// The histograms by second.
pub const HLOG: &str = "latency.hlog";
/// The report.
pub const RUN_JSON: &str = "run.json";
/// Every file with its digest, and one of itself; it lists neither itself nor what seals it.
pub const MANIFEST: &str = "manifest.json";
/// The signature of the manifest, in minisign's format, where the run was given a key.
pub const SIGNATURE: &str = "manifest.json.minisig";
/// The run as an in-toto statement, where it was asked for.
pub const STATEMENT: &str = "statement.json";
/// The signature of the statement.
pub const STATEMENT_SIGNATURE: &str = "statement.json.minisig";
/// The folder into which `report` writes what it makes of sources that are not what the run wrote.
pub const ALTERED: &str = "altered";

/// Whether a file is what `report` made of sources that are not what the run wrote: no part of the evidence.
#[must_use]
pub fn is_of_altered(path: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, name)| folder == ALTERED && is_derived(name))
}

/// Whether a file vouches for the manifest, which therefore cannot list it.
#[must_use]
pub fn is_seal(path: &str) -> bool {
    [SIGNATURE, STATEMENT, STATEMENT_SIGNATURE].contains(&path)
}

/// Whether a file is made from the others.
#[must_use]
pub fn is_derived(path: &str) -> bool {
    path == HLOG || render::ALL.iter().any(|renderer| renderer.file_name() == path)
}

/// Whether a file is what others are made from, or a log of its own.
#[must_use]
pub fn is_source(path: &str) -> bool {
    let folders = ["journal/", "metrics/", "recording/", "history/"];
    [EVENTS, SCENARIO, SCHEDULE].contains(&path) || folders.iter().any(|f| path.starts_with(f))
}
