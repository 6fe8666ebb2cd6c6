//! Whether an update of one of our workers agrees with itself and with what was asked for (contract, section
//! 3: the event's `doc_key` is `…:{worker}:{seq}`, its type the command's; the document's `doc_version` and
//! `latest_seq` are the event's seq), and whether it has the content that it says it has.
//!
//! Fields that are not there are nobody's lie, unless nothing of a worker is there at all; and what a document says
//! beyond these cannot be known.

use std::collections::{BTreeSet, HashMap};

use khala_wire::marker::marker_of;
use khala_wire::payload::UpdateRef;
use khala_wire::snapshot::Snapshot;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::reader::{EVENT_KEY, SUMMARY_KEY};
use crate::publisher::EVENT_TYPE;
use crate::said;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default)]
    event_type: Value,
    #[serde(default, rename = "eventType")]
    event_type_camel: Value,
    #[serde(default)]
    worker_id: Value,
    #[serde(default, rename = "workerId")]
    worker_id_camel: Value,
    #[serde(default)]
    seq: Value,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    worker_id: Value,
    #[serde(default)]
    document_id: Value,
    #[serde(default)]
    latest_seq: Value,
    #[serde(default)]
    status: Value,
}

/// What is known of a run before anything comes: whose updates are whose.
#[derive(Debug, Default)]
pub struct Known {
    /// Its id.
    pub run_id: String,
    /// Its workers, name to number.
    pub workers: HashMap<String, u16>,
    /// The worker that each planned publish is sent to, by the publish's number.
    pub addressed: Vec<u16>,
}

/// What of an update is not so; `None` of what agrees, and of what others wrote.
pub fn contradiction(update: &UpdateRef<'_>, known: &Known) -> Option<String> {
    let Known { run_id, workers, addressed } = known;
    let key = &*update.doc_key;
    let Some(payload) = update.payload.filter(|payload| payload.get() != "null") else {
        return (!update.hydration_required).then(|| {
            "an update has no payload, and does not say that it must be fetched".to_owned()
        });
    };
    let text = payload.get();
    if let Some(worker) = key.strip_prefix(SUMMARY_KEY) {
        workers.get(worker)?;
        let document = serde_json::from_str(text).ok()?;
        return of_document(&document, worker, key, update.doc_version);
    }
    let event: Event<'_> = serde_json::from_str(text).ok()?;
    let worker = event.worker_id.as_str().filter(|name| workers.contains_key(*name))?;
    let keyed = key.strip_prefix(EVENT_KEY).and_then(|rest| rest.rsplit_once(':'));
    if let Some(seq) = event.seq.as_u64()
        && !keyed.is_some_and(|(name, number)| name == worker && number.parse() == Ok(seq))
    {
        let key = said::word(key);
        return Some(format!("an update's doc_key is `{key}`, and its event is {seq} of {worker}"));
    }
    if let Some(other) = event.worker_id_camel.as_str().filter(|other| *other != worker) {
        let other = said::word(other);
        return Some(format!("an event of worker {worker} says that it is worker {other}'s"));
    }
    let marker = marker_of(event.payload?.get()).filter(|marker| marker.run == *run_id);
    let sent_to = marker.as_ref().and_then(|marker| addressed.get(marker.n as usize));
    if let Some(sent_to) = sent_to.filter(|sent_to| **sent_to != workers[worker]) {
        let names = workers.iter().find(|(_, number)| *number == sent_to);
        let sent_to = names.map_or("another one", |(name, _)| &**name);
        return Some(format!("an event that was sent to worker {sent_to} is worker {worker}'s"));
    }
    let ours = marker.is_some();
    let types = [&event.event_type, &event.event_type_camel];
    let other = types.into_iter().filter_map(Value::as_str).find(|it| *it != EVENT_TYPE);
    other.filter(|_| ours).map(|other| {
        let other = said::word(other);
        format!("an event that was published as `{EVENT_TYPE}` is of type `{other}`")
    })
}

/// How far one of our workers is by its document, if that is further than the document's version.
pub fn latest(update: &UpdateRef<'_>, known: &Known) -> Option<(u16, u64)> {
    let worker = *known.workers.get(update.doc_key.strip_prefix(SUMMARY_KEY)?)?;
    let document: State = serde_json::from_str(update.payload?.get()).ok()?;
    let latest = document.latest_seq.as_u64().filter(|latest| *latest > update.doc_version)?;
    Some((worker, latest))
}

/// What of a snapshot's documents is not so: of each of our workers there is one, and it is that worker's.
pub fn contradiction_in(snapshot: &Snapshot, known: &Known) -> Option<String> {
    let mut had = BTreeSet::new();
    snapshot.documents.iter().find_map(|held| {
        let worker = held.doc_key.strip_prefix(SUMMARY_KEY)?;
        known.workers.get(worker)?;
        if !had.insert(worker) {
            return Some(format!("a snapshot has the document of worker {worker} twice"));
        }
        let document = serde_json::from_str(held.payload.get()).ok()?;
        of_document(&document, worker, &held.doc_key, held.doc_version)
    })
}

fn of_document(document: &State, worker: &str, key: &str, version: u64) -> Option<String> {
    let State { worker_id, document_id, latest_seq, status } = document;
    if [worker_id, document_id, latest_seq, status].into_iter().all(Value::is_null) {
        return Some(format!("the document of worker {worker} says nothing of a worker"));
    }
    if let Some(other) = worker_id.as_str().filter(|other| *other != worker) {
        let other = said::word(other);
        return Some(format!("the document of worker {worker} says that it is worker {other}'s"));
    }
    if let Some(other) = document_id.as_str().filter(|other| *other != key) {
        let other = said::word(other);
        return Some(format!("the document of worker {worker} says that it is `{other}`"));
    }
    if let Some(latest) = latest_seq.as_u64().filter(|latest| *latest < version) {
        return Some(format!(
            "version {version} of a document says that its latest seq is {latest}"
        ));
    }
    // Workers are stopped when the clients have gone.
    (status.as_str() == Some("stopped"))
        .then(|| format!("the document of worker {worker} says stopped, and nobody stopped it"))
}

#[cfg(test)]
mod tests {
    use khala_wire::payload::UpdateBatchRef;
    use khala_wire::snapshot::Document;

    use super::*;

    fn found(key: &str, version: u64, payload: &str) -> Option<String> {
        let text = format!(
            r#"{{"updates":[{{"topic":"t","doc_key":"{key}","doc_version":{version},"payload":{payload},
                "payload_hash":null,"watermark":7,"hydration_required":false}}],
                "replay_complete":true,"head_watermarks":[]}}"#
        );
        let batch: UpdateBatchRef<'_> = serde_json::from_str(&text).expect("a batch");
        let workers = HashMap::from([("w".to_owned(), 4), ("v".to_owned(), 5)]);
        let known = Known { run_id: "r".to_owned(), workers, addressed: vec![4, 4, 5, 4] };
        contradiction(&batch.updates[0], &known)
    }

    fn of_document(payload: &str) -> Option<String> {
        found("runtime/codex_worker_summary:w", 7, payload)
    }

    #[test]
    fn a_document_is_its_workers_at_its_version() {
        let right = r#"{"worker_id":"w","document_id":"runtime/codex_worker_summary:w",
            "latest_seq":7,"status":"running"}"#;
        assert_eq!(of_document(right), None);
        assert_eq!(of_document(r#"{"status":"running"}"#), None, "what is not there is no lie");
        let empty = of_document("{}").expect("no document of a worker");
        assert!(empty.contains("says nothing of a worker"), "{empty}");
        let wrong = [
            (r#""worker_id":"w""#, r#""worker_id":"v""#, "worker v's"),
            ("summary:w", "summary:v", "says that it is `runtime/codex_worker_summary:v`"),
            (":7", ":6", "version 7 of a document says that its latest seq is 6"),
            ("running", "stopped", "nobody stopped it"),
        ];
        for (from, to, why) in wrong {
            let said = of_document(&right.replace(from, to)).expect("a contradiction");
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(
            of_document(&right.replace(":7", ":8")),
            None,
            "newer than it says hurts nobody"
        );
        let theirs = right.replace(r#""worker_id":"w""#, r#""worker_id":"v""#);
        assert_eq!(found("runtime/codex_worker_summary:x", 7, &theirs), None, "of foreign workers");
    }

    #[test]
    fn a_document_may_be_further_than_its_version_and_says_how_far() {
        let of = |key: &str, version: u64, payload: &str| {
            let text = format!(
                r#"{{"updates":[{{"topic":"t","doc_key":"{key}","doc_version":{version},"payload":{payload},
                    "payload_hash":null,"watermark":7,"hydration_required":false}}],
                    "replay_complete":true,"head_watermarks":[]}}"#
            );
            let batch: UpdateBatchRef<'_> = serde_json::from_str(&text).expect("a batch");
            let known = Known { workers: HashMap::from([("w".to_owned(), 4)]), ..Known::default() };
            latest(&batch.updates[0], &known)
        };
        let key = "runtime/codex_worker_summary:w";
        assert_eq!(of(key, 7, r#"{"latest_seq":9}"#), Some((4, 9)));
        assert_eq!(of(key, 7, r#"{"latest_seq":7}"#), None);
        assert_eq!(of(key, 7, r#"{"latest_seq":"9"}"#), None);
        assert_eq!(of("runtime/codex_worker_summary:x", 7, r#"{"latest_seq":9}"#), None);
        assert_eq!(of("runtime/codex_worker_event:w:9", 7, r#"{"latest_seq":9}"#), None);
        assert_eq!(of(key, 7, "null"), None);
    }

    #[test]
    fn a_snapshot_has_each_workers_document_once_and_it_is_that_workers() {
        let document = |version: u64, payload: &str| Document {
            doc_key: "runtime/codex_worker_summary:w".to_owned(),
            doc_version: version,
            payload: serde_json::value::RawValue::from_string(payload.to_owned()).expect("JSON"),
            payload_hash: String::new(),
        };
        let found = |documents: Vec<Document>| {
            let snapshot = Snapshot {
                documents,
                format: String::new(),
                head_watermark: 9,
                schema_version: 1,
                topic: "t".to_owned(),
            };
            let known = Known { workers: HashMap::from([("w".to_owned(), 4)]), ..Known::default() };
            contradiction_in(&snapshot, &known)
        };
        let right = r#"{"worker_id":"w","latest_seq":7,"status":"running"}"#;
        assert_eq!(found(vec![document(7, right)]), None);
        for (documents, why) in [
            (vec![document(7, right), document(1, right)], "twice"),
            (vec![document(8, right)], "latest seq is 7"),
            (vec![document(7, &right.replace("running", "stopped"))], "nobody stopped it"),
        ] {
            assert!(found(documents).is_some_and(|said| said.contains(why)), "{why}");
        }
    }

    #[test]
    fn what_has_no_payload_says_that_it_must_be_fetched() {
        let pointer = |payload: &str, hydrate: bool| {
            let text = format!(
                r#"{{"updates":[{{"topic":"t","doc_key":"k","doc_version":1,"payload":{payload},
                    "payload_hash":null,"watermark":7,"hydration_required":{hydrate}}}],
                    "replay_complete":true,"head_watermarks":[]}}"#
            );
            let batch: UpdateBatchRef<'_> = serde_json::from_str(&text).expect("a batch");
            contradiction(&batch.updates[0], &Known::default()).is_some()
        };
        assert!(pointer("null", false));
        assert!(!pointer("null", true) && !pointer("{}", false));
    }

    #[test]
    fn an_event_is_what_was_published_under_its_own_key() {
        let marker = khala_wire::marker::Marker { run: "r".into(), n: 3, at_us: 1, begun_us: 1 };
        let inner = serde_json::to_string(&serde_json::json!({ "khala_harness": marker }));
        let inner = inner.expect("JSON");
        let right = format!(
            r#"{{"eventType":"worker.progress","event_type":"worker.progress","payload":{inner},
                "seq":2,"workerId":"w","worker_id":"w"}}"#
        );
        let of = |key: &str, payload: &str| found(key, 2, payload);
        let key = "runtime/codex_worker_event:w:2";
        assert_eq!(of(key, &right), None);
        for field in ["eventType", "event_type"] {
            let from = format!(r#""{field}":"worker.progress""#);
            let other = right.replace(&from, &format!(r#""{field}":"other.type""#));
            let said = of(key, &other).expect("a contradiction");
            assert!(said.contains("is of type `other.type`"), "{said}");
        }
        let other = of(key, &right.replace(r#""workerId":"w""#, r#""workerId":"v""#));
        assert!(other.is_some_and(|said| said.contains("says that it is worker v's")));
        let crossed = of(key, &right.replace(r#""n":3"#, r#""n":2"#)).expect("another worker's");
        assert!(crossed.contains("sent to worker v is worker w's"), "{crossed}");
        assert_eq!(of(key, &right.replace(r#""n":3"#, r#""n":99"#)), None, "nobody planned it");
        for key in ["runtime/codex_worker_event:w:3", "runtime/codex_worker_event:v:2"] {
            assert!(of(key, &right).is_some_and(|said| said.contains("doc_key")), "{key}");
        }
        let theirs = right.replace("worker.progress", "worker.started").replace(r#""r""#, r#""q""#);
        assert_eq!(of(key, &theirs), None, "what we did not publish may be of any type");
    }
}
