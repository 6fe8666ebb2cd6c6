//! Data of topics where the contract has none: in events that it does not know, in fields that it does not give, in
//! frames of other kinds. No client applies it, and whoever may not see it has seen it (section 1, rule 8).
//!
//! Data is what has a topic's name beside a document's key, its content or bytes of it. That a topic is only named is
//! looked at where the contract has topics named, and what published payloads hold is theirs.

use khala_wire::topic::TopicId;
use serde_json::{Map, Value};

use crate::client::batch::Spoken;

/// What stands for the place of an update in its topic.
const SEQS: [&str; 3] = ["watermark", "seq", "sequence"];

/// The topics whose data a JSON text carries, each once with the highest seq that it claims.
pub(super) fn carried(json: &str) -> Vec<Spoken> {
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(json) {
        look(&value, &mut found);
    }
    found
}

fn look(value: &Value, found: &mut Vec<Spoken>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| look(value, found)),
        Value::Object(fields) => {
            let data = data(fields);
            let is_data = data.is_some();
            if let Some(spoken) = data {
                match found.iter_mut().find(|known| known.name == spoken.name) {
                    Some(known) => known.seq = known.seq.max(spoken.seq),
                    None => found.push(spoken),
                }
            }
            let within = fields.iter().filter(|(name, _)| !is_data || *name != "payload");
            within.for_each(|(_, value)| look(value, found));
        }
        _ => {}
    }
}

/// Of which topic an object is data.
fn data(fields: &Map<String, Value>) -> Option<Spoken> {
    let name = fields.get("topic")?.as_str()?;
    let has = |field: &str| fields.get(field).is_some_and(|value| !value.is_null());
    let placed = SEQS.iter().any(|seq| has(seq));
    // Of a name that the contract does not have, content alone may be anything: a notice with a subject.
    let told = TopicId::of(name).is_some() || placed;
    let is_data = has("doc_key") || has("payload_bytes") || told && has("payload");
    is_data.then(|| {
        let seqs = SEQS.iter().filter_map(|seq| fields.get(*seq)?.as_u64());
        Spoken::of(name, seqs.max())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(json: &str) -> Vec<(String, Option<u64>)> {
        carried(json).into_iter().map(|spoken| (spoken.name.into(), spoken.seq)).collect()
    }

    #[test]
    fn data_is_found_wherever_it_stands_each_topic_once() {
        let update = |topic: &str, seq: u64| {
            format!(r#"{{"doc_key":"k","payload":null,"topic":"{topic}","watermark":{seq}}}"#)
        };
        let batch = format!(r#"{{"a":[{{"updates":[{},{}]}}]}}"#, update("x", 7), update("x", 5));
        assert_eq!(topics(&batch), [("x".to_owned(), Some(7))]);
        let frame = r#"{"topic":"x","seq":3,"payload_bytes":"e30="}"#;
        assert_eq!(topics(frame), [("x".to_owned(), Some(3))]);
        let polled = r#"{"topic":"x","messages":[{"topic":"x","sequence":4,"payload":{}}]}"#;
        assert_eq!(topics(polled), [("x".to_owned(), Some(4))]);
        let known = r#"{"topic":"runtime.notifications","payload":{"a":1}}"#;
        assert_eq!(topics(known), [("runtime.notifications".to_owned(), None)]);
    }

    #[test]
    fn a_name_alone_a_notice_and_what_a_payload_holds_are_no_data() {
        for json in [
            r#"{"topic":"runtime.notifications","watermark":9}"#,
            r#"{"topic":"runtime.notifications","payload":null,"level":"info"}"#,
            r#"{"topic":"maintenance","payload":{"text":"at noon"}}"#,
            r#"{"topics":["runtime.notifications"],"topic":7}"#,
            "[]",
            "half {",
        ] {
            assert_eq!(topics(json), [], "{json}");
        }
        let held = r#"{"topic":"x","doc_key":"k","payload":{"topic":"y","doc_key":"k"}}"#;
        assert_eq!(topics(held), [("x".to_owned(), None)]);
    }
}
