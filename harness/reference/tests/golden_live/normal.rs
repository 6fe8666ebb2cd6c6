//! What may differ between a recording and a replay, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use khala_wire::canonical::payload_hash;
use serde_json::Value;

/// Fields whose value is a time of the run. A `payload_hash` over such a payload differs with it;
/// it is checked against the payload instead of against the recording.
const VOLATILE: [&str; 8] = [
    "last_heartbeat_at",
    "latest_event_at",
    "occurredAt",
    "occurred_at",
    "projected_at",
    "revoked_at",
    "started_at",
    "updated_at",
];

/// A frame or an answer in which times are blanked. Also says whether any was.
pub fn normal(mut value: Value) -> (Value, bool) {
    let blanked = blank(&mut value);
    (value, blanked)
}

fn blank(value: &mut Value) -> bool {
    match value {
        Value::Array(list) => {
            let mut any = false;
            for entry in list {
                any |= blank(entry);
            }
            any
        }
        Value::Object(map) => {
            let hashed = map.get("payload").map(payload_hash);
            let mut any = false;
            for (key, entry) in map.iter_mut() {
                if VOLATILE.contains(&key.as_str()) && !entry.is_null() {
                    *entry = Value::from("<time>");
                    any = true;
                } else if key == "payload_bytes" {
                    let decoded = STANDARD.decode(entry.as_str().expect("text")).expect("base64");
                    *entry = serde_json::from_slice(&decoded).expect("JSON");
                    any |= blank(entry);
                } else {
                    any |= blank(entry);
                }
            }
            if any && let Some(hash) = map.get_mut("payload_hash") {
                assert_eq!(hash.as_str(), hashed.as_deref(), "the hash fits its payload");
                *hash = Value::from("<hash>");
            }
            any
        }
        _ => false,
    }
}

/// Compares two frames: as text when no time is in them, else as JSON with times blanked.
pub fn assert_same_frame(expected: &str, found: &str, at: &str) {
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let (expected_value, volatile) = normal(parse(expected));
    let (found_value, _) = normal(parse(found));
    assert_eq!(
        serde_json::to_string_pretty(&found_value).expect("JSON"),
        serde_json::to_string_pretty(&expected_value).expect("JSON"),
        "{at}"
    );
    // Serializer V1 writes objects, whose order of keys is nobody's promise.
    if !volatile && expected.starts_with('[') {
        assert_eq!(found, expected, "{at}: same JSON, other bytes");
    }
}
