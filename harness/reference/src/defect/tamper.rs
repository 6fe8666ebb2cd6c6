//! Alterations of updates. Pure: from one update to another.

use khala_wire::canonical::{canonical_json, payload_hash_of_canonical};
use khala_wire::payload::Update;
use serde_json::Value;
use serde_json::value::RawValue;

/// Key that an altered payload carries.
pub const ALTERED_KEY: &str = "khala_reference_altered";

/// Key that an invented payload carries when there is no mark to alter.
pub const INVENTED_KEY: &str = "khala_reference_invented";

/// The update with another content and a hash that fits it. What identifies the event (document,
/// version, watermark, a publisher's mark) stays. `None` when there is no object to alter.
pub fn alter(update: &Update) -> Option<Update> {
    let mut altered = update.clone();
    let mut payload: Value = serde_json::from_str(update.payload.as_ref()?.get()).ok()?;
    // The command's own payload, where there is one: that is what a publisher compares.
    let target = match payload.get_mut("payload") {
        Some(Value::Object(inner)) => Some(inner),
        _ => payload.as_object_mut(),
    };
    target?.insert(ALTERED_KEY.to_owned(), Value::Bool(true));
    let text = canonical_json(&payload);
    altered.payload_hash = Some(payload_hash_of_canonical(&text));
    altered.payload = Some(RawValue::from_string(text).ok()?);
    Some(altered)
}

/// The update with the content of another one, hash included, at its own place.
pub fn with_payload_of(update: &Update, other: &Update) -> Update {
    Update {
        hydration_required: other.hydration_required,
        payload: other.payload.clone(),
        payload_hash: other.payload_hash.clone(),
        ..update.clone()
    }
}

/// What an invented event's mark adds to the number that it copies: more than any plan has publishes.
const NEVER_GIVEN: u64 = 1 << 30;

/// A command's payload that nobody sent, made from one that somebody did: where it has a publisher's
/// mark, the number in it is one that was never given. `None` when there is no object to start from.
pub fn invented(payload: &RawValue) -> Option<Box<RawValue>> {
    let mut payload: Value = serde_json::from_str(payload.get()).ok()?;
    match payload.pointer_mut("/khala_harness/n") {
        Some(n) => *n = (n.as_u64()? | NEVER_GIVEN).into(),
        None => drop(payload.as_object_mut()?.insert(INVENTED_KEY.to_owned(), Value::Bool(true))),
    }
    RawValue::from_string(canonical_json(&payload)).ok()
}

#[cfg(test)]
mod tests {
    use khala_wire::canonical::payload_hash_matches;

    use super::*;
    use crate::store::Draft;

    #[test]
    fn an_invented_payload_differs_in_the_number_of_its_mark_alone() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let marked = raw(r#"{"khala_harness":{"n":7,"run":"r"},"pad":"x"}"#);
        let text = r#"{"khala_harness":{"n":1073741831,"run":"r"},"pad":"x"}"#;
        assert_eq!(invented(&marked).expect("an object").get(), text);
        let text = r#"{"i":1,"khala_reference_invented":true}"#;
        assert_eq!(invented(&raw(r#"{"i":1}"#)).expect("an object").get(), text);
        assert!(invented(&raw("[]")).is_none());
    }

    #[test]
    fn the_content_changes_the_hash_fits_and_the_identity_stays() {
        let payload = serde_json::json!({"payload": {"khala_harness": {"n": 7}}, "seq": 3});
        let update = Draft::of("k".into(), 3, &payload).expect("json").at("t", 9);
        let altered = alter(&update).expect("an object");
        let text = altered.payload.as_ref().expect("inline").get();
        assert!(text.contains(r#""khala_harness":{"n":7},"khala_reference_altered":true"#));
        assert!(payload_hash_matches(text, altered.payload_hash.as_ref().expect("hashed")));
        assert_ne!(altered.payload_hash, update.payload_hash);
        assert_eq!((altered.watermark, altered.doc_version), (9, 3));
    }
}
