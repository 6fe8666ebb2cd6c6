//! Two JSON values, compared as whoever publishes one and gets the other would: by value, and not by how it is written.

use serde_json::Value;

use crate::peer::quote;

/// The longest text that is told in full.
const TOLD_MAX: usize = 60;

/// The first part of what was published that came otherwise, in a clause; `None` where all is there and nothing else.
#[must_use]
pub fn difference(sent: &Value, came: &Value) -> Option<String> {
    between("", sent, came)
}

fn between(at: &str, sent: &Value, came: &Value) -> Option<String> {
    let name = if at.is_empty() { "the payload" } else { at };
    match (sent, came) {
        (Value::Object(sent), Value::Object(came)) => {
            let inside = |key: &str| match at {
                "" => key.to_owned(),
                _ => format!("{at}.{key}"),
            };
            let lost = sent.iter().find_map(|(key, value)| match came.get(key) {
                Some(found) => between(&inside(key), value, found),
                None => Some(format!("`{}` did not come back", inside(key))),
            });
            let more = came.keys().find(|key| !sent.contains_key(*key));
            lost.or_else(|| {
                Some(format!("{name} came back with a key {}", quote(&Value::from(&**more?))))
            })
        }
        (Value::Array(sent), Value::Array(came)) => {
            if sent.len() != came.len() {
                return Some(format!("{name} came back with {} of {}", came.len(), sent.len()));
            }
            let mut pairs = sent.iter().zip(came).enumerate();
            pairs.find_map(|(nth, (sent, came))| between(&format!("{at}[{nth}]"), sent, came))
        }
        (Value::Number(one), Value::Number(other)) if is_same(one, other) => None,
        (Value::String(sent), Value::String(came)) if sent != came && sent.len() > TOLD_MAX => {
            Some(format!("`{name}`, a text of {} bytes, came back with {}", sent.len(), came.len()))
        }
        _ if sent == came => None,
        _ => Some(format!("`{name}` was {}, and came back as {}", quote(sent), quote(came))),
    }
}

/// Whether two numbers are one, however each is written: `1.0` and `1` are.
fn is_same(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
        return one == other;
    }
    if let (Some(one), Some(other)) = (one.as_u64(), other.as_u64()) {
        return one == other;
    }
    let (Some(one), Some(other)) = (one.as_f64(), other.as_f64()) else { return false };
    // Readers of decimals differ in the last bit.
    (one - other).abs() <= 4.0 * f64::EPSILON * one.abs().max(other.abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_part_that_came_otherwise_is_named() {
        let told = |sent: Value, came: Value| difference(&sent, &came).unwrap_or_default();
        assert_eq!(told(json!({"a": {"b": null}}), json!({"a": {}})), "`a.b` did not come back");
        assert_eq!(
            told(json!({"a": [1, {}]}), json!({"a": [1, []]})),
            "`a[1]` was `{}`, and came back as `[]`"
        );
        assert_eq!(told(json!({"a": [1, 2]}), json!({"a": [1]})), "a came back with 1 of 2");
        assert_eq!(told(json!({}), json!({"b": 1})), "the payload came back with a key `\"b\"`");
        assert_eq!(
            told(json!({"t": "x".repeat(99)}), json!({"t": "x"})),
            "`t`, a text of 99 bytes, came back with 1"
        );
        assert!(told(json!({}), Value::Null).starts_with("`the payload` was"));
    }

    #[test]
    fn a_number_is_its_value_and_not_how_it_is_written() {
        let same = |one: &str, other: &str| {
            let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
            difference(&read(one), &read(other)).is_none()
        };
        assert!(same("1", "1.0") && same("0.1", "1e-1") && same("-0.125", "-0.1250"));
        assert!(!same("2.5", "2") && !same("9007199254740993", "9007199254740992"));
        assert!(!same("18446744073709551615", "18446744073709551614"));
    }
}
