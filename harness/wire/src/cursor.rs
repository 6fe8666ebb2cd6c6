//! Watermarks and the two forms in which a subscribe names its cursors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `{"topic","watermark"}`, as heads, replies and heartbeats list them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicWatermark {
    /// The topic's name.
    pub topic: String,
    /// The last sequence number the statement speaks of; 0 before the first.
    pub watermark: u64,
}

/// `resume_after`: per topic, the last sequence number that the client has applied.
///
/// Anything else (a number, a negative watermark, a watermark in a string) is `bad_subscription`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ResumeAfter {
    /// `{topic: watermark}`
    Map(BTreeMap<String, u64>),
    /// `[{"topic","watermark"}]`
    List(Vec<TopicWatermark>),
}

impl ResumeAfter {
    /// The cursor given for `topic`. 0 counts as given; absent does not.
    #[must_use]
    pub fn get(&self, topic: &str) -> Option<u64> {
        match self {
            Self::Map(map) => map.get(topic).copied(),
            Self::List(list) => {
                list.iter().find(|entry| entry.topic == topic).map(|entry| entry.watermark)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read_alike_and_zero_counts_as_given() {
        let map: ResumeAfter = serde_json::from_str(r#"{"a":0}"#).expect("map");
        let list: ResumeAfter =
            serde_json::from_str(r#"[{"topic":"a","watermark":0}]"#).expect("list");
        for form in [map, list] {
            assert_eq!((form.get("a"), form.get("b")), (Some(0), None));
        }
    }

    #[test]
    fn what_a_runtime_calls_bad_subscription_does_not_parse() {
        for text in [r#"{"a":-1}"#, r#"{"a":"5"}"#, "5"] {
            assert!(serde_json::from_str::<ResumeAfter>(text).is_err(), "{text}");
        }
    }
}
