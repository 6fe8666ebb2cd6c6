//! Canonical JSON (keys sorted, no spaces), `payload_hash`, and the content digest.

mod number;

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
/// The contract fixes the order of keys and that there are no spaces, and not how a number is written: a
/// hash fits if it is right for the numbers as they were sent, as serde writes them, or as JavaScript
/// does.
///
/// The text is hashed as it stands first, which is right for a runtime that sends canonical JSON
/// and costs no tree; only a mismatch is looked at more closely.
#[must_use]
pub fn payload_hash_matches(text: &str, hash: &str) -> bool {
    payload_hash_of_canonical(text) == hash
        || serde_json::from_str(text).is_ok_and(|value: Value| payload_hash(&value) == hash)
        || number::Form::ALL.into_iter().any(|form| {
            number::canonical(text, form).is_some_and(|it| payload_hash_of_canonical(&it) == hash)
        })
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

    #[test]
    fn hash_matches_however_the_runtime_writes_its_numbers() {
        let sent = r#"{ "b": 1.0, "a": {"y": 1.0e-7, "x": [1e3, -0, 1.50]}, "c": 123456789012345678901234567890 }"#;
        let right = [
            // As sent, as Elixir writes them.
            r#"{"a":{"x":[1e3,-0,1.50],"y":1.0e-7},"b":1.0,"c":123456789012345678901234567890}"#,
            // As JavaScript does.
            r#"{"a":{"x":[1000,0,1.5],"y":1e-7},"b":1,"c":1.2345678901234568e+29}"#,
        ];
        for canonical in right {
            assert!(
                payload_hash_matches(sent, &payload_hash_of_canonical(canonical)),
                "{canonical}"
            );
        }
        let wrong = [
            r#"{"a":{"x":[1e3,-0,1.51],"y":1.0e-7},"b":1.0,"c":123456789012345678901234567890}"#,
            r#"{"a":{"x":[1000,0,1.5],"y":1e-7},"b":2,"c":1.2345678901234568e+29}"#,
        ];
        for canonical in wrong {
            assert!(
                !payload_hash_matches(sent, &payload_hash_of_canonical(canonical)),
                "{canonical}"
            );
        }
    }
}
