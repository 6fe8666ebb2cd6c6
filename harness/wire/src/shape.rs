//! What a client may expect of a server's message: the fields that the contract gives each.
//!
//! Read as a map of names beside the typed read: a type tells what is there, and says nothing of a field
//! that may be `null` and is missing, or of one that nobody knows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The fields of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Those that it must have.
    pub required: &'static [&'static str],
    /// Those that it may have beside them.
    pub optional: &'static [&'static str],
}

/// `sync:update_batch`, and what a batch's `sync:frame` carries.
pub const UPDATE_BATCH: Shape =
    Shape { required: &["head_watermarks", "replay_complete", "updates"], optional: &[] };
/// One update of it.
pub const UPDATE: Shape = Shape {
    required: &[
        "doc_key",
        "doc_version",
        "hydration_required",
        "payload",
        "payload_hash",
        "topic",
        "watermark",
    ],
    optional: &[],
};
/// `sync:frame`.
pub const SYNC_FRAME: Shape =
    Shape { required: &["kind", "payload_bytes", "schema_version", "seq", "topic"], optional: &[] };
/// `phx_reply`.
pub const REPLY: Shape = Shape { required: &["response", "status"], optional: &[] };
/// `sync:heartbeat`.
pub const HEARTBEAT: Shape = Shape { required: &["watermarks"], optional: &[] };
/// The response to a join.
pub const JOINED: Shape =
    Shape { required: &["allowed_topics", "current_watermarks", "subscription_id"], optional: &[] };
/// The response to a subscribe.
pub const SUBSCRIBED: Shape =
    Shape { required: &["current_watermarks", "subscription_id", "topics"], optional: &[] };

/// The response to an unsubscribe.
pub const UNSUBSCRIBED: Shape = Shape { required: &["subscription_id", "topics"], optional: &[] };
/// The response to a `sync:heartbeat` of the client.
pub const BEATEN: Shape = Shape { required: &["subscription_id", "watermarks"], optional: &[] };

/// A `sync:error` that tells of a slow consumer.
pub const SLOW_CONSUMER: Shape = Shape {
    required: &["action", "code", "queue_depth", "queue_limit", "topic"],
    optional: &["full_resync_required", "message", "reconnect_after_ms"],
};

/// How an object differs from its shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Required fields that it lacks.
    pub missing: Vec<&'static str>,
    /// Fields that the contract does not know, as they stand.
    pub unknown: Vec<String>,
}

/// Names of an object's fields.
#[derive(Deserialize)]
#[serde(transparent)]
struct Names<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, IgnoredAny>);

#[derive(Deserialize)]
struct Updates<'a> {
    #[serde(borrow, default)]
    updates: Vec<Names<'a>>,
}

impl Shape {
    /// How a JSON text differs; `None` when it is no object.
    #[must_use]
    pub fn difference(&self, json: &str) -> Option<Difference> {
        serde_json::from_str(json).ok().map(|names| self.of_names(&names))
    }

    fn of_names(&self, Names(names): &Names<'_>) -> Difference {
        let known = |name: &str| self.required.contains(&name) || self.optional.contains(&name);
        Difference {
            missing: self
                .required
                .iter()
                .copied()
                .filter(|&name| !names.contains_key(name))
                .collect(),
            unknown: names
                .keys()
                .filter(|&name| !known(name))
                .map(|name| name.to_string())
                .collect(),
        }
    }
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.missing.is_empty() && self.unknown.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.missing.extend(other.missing);
        self.unknown.extend(other.unknown);
        self.missing.sort_unstable();
        self.missing.dedup();
        self.unknown.sort_unstable();
        self.unknown.dedup();
    }
}

/// How a batch and its updates differ; `None` when it is not even an object with a list of objects.
#[must_use]
pub fn batch_difference(json: &str) -> Option<Difference> {
    let mut difference = UPDATE_BATCH.difference(json)?;
    let Updates { updates } = serde_json::from_str(json).ok()?;
    updates.iter().for_each(|update| difference.add(UPDATE.of_names(update)));
    Some(difference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_unknown_are_told_apart() {
        let found = HEARTBEAT.difference(r#"{"mood":1}"#).expect("an object");
        assert_eq!((found.missing, found.unknown), (vec!["watermarks"], vec!["mood".to_owned()]));
        assert!(HEARTBEAT.difference(r#"{"watermarks":[]}"#).expect("an object").is_none());
        assert_eq!(HEARTBEAT.difference("[1]"), None);
    }

    #[test]
    fn a_null_is_there_and_an_absent_field_is_not() {
        let update = r#"{"doc_key":"k","doc_version":1,"hydration_required":true,"payload":null,"payload_hash":null,"topic":"t","watermark":1}"#;
        let batch = |update: &str| {
            format!(
                r#"{{"head_watermarks":[],"replay_complete":true,"updates":[{update},{update}]}}"#
            )
        };
        assert!(batch_difference(&batch(update)).expect("a batch").is_none());
        let without =
            batch_difference(&batch(&update.replace(r#""payload":null,"#, ""))).expect("a batch");
        assert_eq!(without.missing, ["payload"]);
        assert_eq!(batch_difference(r#"{"updates":[1]}"#), None);
    }
}
