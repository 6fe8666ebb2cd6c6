//! An update before it has a watermark.

use khala_wire::canonical::payload_hash_of_canonical;
use khala_wire::payload::Update;
use serde::Serialize;
use serde_json::value::RawValue;

/// An update that a log has not taken yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Key of the document.
    pub doc_key: String,
    /// Version of the document.
    pub doc_version: u64,
    /// Canonical JSON, or `None` in pointer mode.
    pub payload: Option<Box<RawValue>>,
    /// Hash over the payload.
    pub payload_hash: Option<String>,
}

impl Draft {
    /// A draft of a payload whose type serialises canonically: fields in alphabetical order.
    ///
    /// # Errors
    /// When the payload holds a value that JSON cannot.
    pub fn of<P: Serialize>(
        doc_key: String,
        doc_version: u64,
        payload: &P,
    ) -> Result<Self, serde_json::Error> {
        let payload = serde_json::value::to_raw_value(payload)?;
        let payload_hash = Some(payload_hash_of_canonical(payload.get()));
        Ok(Self { doc_key, doc_version, payload: Some(payload), payload_hash })
    }

    /// The update at its place in a topic.
    pub fn at(self, topic: &str, watermark: u64) -> Update {
        Update {
            doc_key: self.doc_key,
            doc_version: self.doc_version,
            hydration_required: self.payload.is_none(),
            payload: self.payload,
            payload_hash: self.payload_hash,
            topic: topic.to_owned(),
            watermark,
        }
    }
}
