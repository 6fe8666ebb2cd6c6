//! The snapshot of a topic, as the reference runtime serves it (contract, section 5b).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Path of a topic's snapshot.
#[must_use]
pub fn snapshot_path(topic: &str) -> String {
    format!("/internal/v1/khala/topics/{topic}/snapshot")
}

/// One document of a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Key of the document.
    pub doc_key: String,
    /// Its version at the snapshot's watermark.
    pub doc_version: u64,
    /// The document.
    pub payload: Box<RawValue>,
    /// Base64 of SHA-256 over the payload's canonical JSON.
    pub payload_hash: String,
}

/// The state of a topic at `head_watermark`; a client resumes after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The documents.
    pub documents: Vec<Document>,
    /// `openagents.sync.snapshot.v1`
    pub format: String,
    /// The watermark the state belongs to.
    pub head_watermark: u64,
    /// 1.
    pub schema_version: u32,
    /// The topic.
    pub topic: String,
}
