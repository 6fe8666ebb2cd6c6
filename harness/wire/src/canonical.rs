//! Canonical JSON (keys sorted, no spaces), `payload_hash`, and the content digest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::hs256::sha256;

/// Canonical JSON of a document: object keys sorted, no white space.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    // serde_json's map is sorted by key as long as nobody turns on `preserve_order`; the golden
    // test would notice.
    value.to_string()
}

/// `payload_hash`: base64 of SHA-256 over the canonical JSON of the payload.
#[must_use]
pub fn payload_hash(value: &Value) -> String {
    payload_hash_of_canonical(&canonical_json(value))
}

/// [`payload_hash`] of text that is canonical already.
#[must_use]
pub fn payload_hash_of_canonical(text: &str) -> String {
    STANDARD.encode(sha256(text.as_bytes()))
}

/// Whether `hash` is the payload hash of the JSON in `text`, canonical or not.
///
/// The text is hashed as it stands first, which is right for a runtime that sends canonical JSON
/// and costs no tree; only a mismatch is looked at more closely.
#[must_use]
pub fn payload_hash_matches(text: &str, hash: &str) -> bool {
    payload_hash_of_canonical(text) == hash
        || serde_json::from_str(text).is_ok_and(|value: Value| payload_hash(&value) == hash)
}

/// 64-bit digest of some bytes (XXH3), to tell contents apart cheaply. Not for security.
#[must_use]
pub fn digest64(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_matches_in_any_key_order() {
        let value: Value = serde_json::from_str(r#"{"b": 1, "a": [true, null]}"#).expect("json");
        assert_eq!(canonical_json(&value), r#"{"a":[true,null],"b":1}"#);
        let hash = payload_hash(&value);
        assert!(payload_hash_matches(r#"{ "b":1, "a":[true,null] }"#, &hash));
        assert!(!payload_hash_matches(r#"{"b":2,"a":[true,null]}"#, &hash));
    }
}
