//! Batches to facts: what one delivery says, without a JSON tree, and once per batch and thread.
//!
//! All clients of a thread get the same bytes; the facts of a batch are remembered by the digest of
//! its text, so the second client costs a digest and a look-up. Bounded: when full, it starts over.

use std::collections::HashMap;
use std::rc::Rc;

use khala_evidence::record::{PublishId, Source};
use khala_wire::canonical::{canonical_json, digest64, payload_hash_matches};
use khala_wire::marker::{OVER_SOCKET, WorkerEvent, marker_of};
use khala_wire::payload::{KIND_UPDATE_BATCH, SyncFrameRef, UpdateBatchRef, UpdateRef};
use khala_wire::topic::TopicId;

/// Batches remembered.
const BATCHES_MAX: usize = 512;

/// What one update says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The topic.
    pub topic: TopicId,
    /// The sequence number.
    pub seq: u64,
    /// Digest of the canonical content.
    pub content: u64,
    /// Whether the payload fits its hash.
    pub hash_fits: bool,
    /// What it stems from.
    pub source: Source,
}

/// A push, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What its updates say; none in a frame that carries an error.
    pub facts: Rc<[Fact]>,
    /// Digest of the batch's JSON, which both pushes of a batch carry byte for byte.
    pub content: u64,
}

/// A batch that is not of the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// Reads batches for all clients of a thread.
#[derive(Debug)]
pub struct Reader {
    run_id: String,
    workers: HashMap<String, u16>,
    batches: HashMap<u64, Batch>,
    scratch: Vec<u8>,
}

impl Reader {
    /// A reader that knows the run's marker and workers (name to number).
    #[must_use]
    pub fn new(run_id: String, workers: HashMap<String, u16>) -> Self {
        Self { run_id, workers, batches: HashMap::new(), scratch: Vec::new() }
    }

    /// Reads a `sync:update_batch`.
    ///
    /// # Errors
    /// When the payload does not have its shape.
    pub fn batch(&mut self, payload: &str) -> Result<Batch, Unreadable> {
        let key = digest64(payload.as_bytes());
        if let Some(batch) = self.batches.get(&key) {
            return Ok(batch.clone());
        }
        let facts = self.read(payload)?;
        Ok(self.remember(key, Batch { facts: facts.into(), content: key }))
    }

    /// Reads a `sync:frame`.
    ///
    /// # Errors
    /// When the payload does not have its shape.
    pub fn frame(&mut self, payload: &str) -> Result<Batch, Unreadable> {
        let key = digest64(payload.as_bytes());
        if let Some(batch) = self.batches.get(&key) {
            return Ok(batch.clone());
        }
        let frame: SyncFrameRef<'_> =
            serde_json::from_str(payload).map_err(|error| Unreadable(error.to_string()))?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = frame
            .decode_into(&mut scratch)
            .map_err(|error| Unreadable(error.to_string()))
            .and_then(|text| {
                let content = digest64(text.as_bytes());
                let carries_batch = frame.kind == KIND_UPDATE_BATCH;
                let facts = if carries_batch { self.read(text)? } else { Vec::new() };
                Ok(Batch { facts: facts.into(), content })
            });
        self.scratch = scratch;
        Ok(self.remember(key, read?))
    }

    fn remember(&mut self, key: u64, batch: Batch) -> Batch {
        if self.batches.len() >= BATCHES_MAX {
            self.batches.clear();
        }
        self.batches.insert(key, batch.clone());
        batch
    }

    fn read(&self, text: &str) -> Result<Vec<Fact>, Unreadable> {
        let batch: UpdateBatchRef<'_> =
            serde_json::from_str(text).map_err(|error| Unreadable(error.to_string()))?;
        batch.updates.iter().map(|update| self.fact(update)).collect()
    }

    fn fact(&self, update: &UpdateRef<'_>) -> Result<Fact, Unreadable> {
        let topic = TopicId::of(&update.topic)
            .ok_or_else(|| Unreadable(format!("topic `{}` is not known", update.topic)))?;
        let payload = update.payload.map_or("null", |raw| raw.get());
        let canonical = canonical(payload);
        let content =
            digest64(format!("{}\n{}\n{canonical}", update.doc_key, update.doc_version).as_bytes());
        let hash_fits = match (&update.payload_hash, update.payload) {
            (Some(hash), Some(raw)) => payload_hash_matches(raw.get(), &hash.0),
            _ => true,
        };
        let source = self.source(update, payload);
        Ok(Fact { topic, seq: update.watermark, content, hash_fits, source })
    }

    fn source(&self, update: &UpdateRef<'_>, payload: &str) -> Source {
        if let Some(name) = update.doc_key.strip_prefix("runtime/codex_worker_summary:") {
            return match self.workers.get(name) {
                Some(&worker) => Source::State { worker, version: update.doc_version },
                None => Source::Foreign,
            };
        }
        let Ok(event) = serde_json::from_str::<WorkerEvent<'_>>(payload) else {
            return Source::Foreign;
        };
        let Some(&worker) = self.workers.get(&*event.worker_id) else { return Source::Foreign };
        match marker_of(event.payload.get()) {
            // Nobody waits for it, so that its times say nothing.
            Some(marker) if marker.run == self.run_id && marker.n >= OVER_SOCKET => Source::Event {
                publish: PublishId::OverSocket { client: marker.n - OVER_SOCKET },
                intended: None,
                begun: None,
                payload: 0,
            },
            Some(marker) if marker.run == self.run_id => Source::Event {
                publish: PublishId::Planned(marker.n),
                intended: Some(marker.at_us),
                begun: Some(marker.begun_us),
                payload: digest64(canonical(event.payload.get()).as_bytes()),
            },
            _ => Source::Event {
                publish: PublishId::Lifecycle { worker, seq: event.seq },
                intended: None,
                begun: None,
                payload: 0,
            },
        }
    }
}

/// Canonical JSON of a text that came from the wire.
fn canonical(text: &str) -> String {
    serde_json::from_str(text).map_or_else(|_| text.to_owned(), |value| canonical_json(&value))
}

#[cfg(test)]
mod tests {
    use khala_wire::payload::SyncFrame;

    use super::*;

    const EVENT: &str = r#"{"payload":{"khala_harness":{"at_us":5,"begun_us":6,"n":3,"run":"r"}},"seq":2,"worker_id":"w"}"#;

    fn batch(payload: &str, seq: u64) -> String {
        let hash = khala_wire::canonical::payload_hash_of_canonical(payload);
        format!(
            r#"{{"head_watermarks":[],"replay_complete":true,"updates":[{{"doc_key":"runtime/codex_worker_event:w:2","doc_version":2,"hydration_required":false,"payload":{payload},"payload_hash":"{hash}","topic":"runtime.codex_worker_events","watermark":{seq}}}]}}"#
        )
    }

    fn reader() -> Reader {
        Reader::new("r".into(), [("w".to_owned(), 4)].into_iter().collect())
    }

    #[test]
    fn both_pushes_of_a_batch_say_the_same() {
        let mut reader = reader();
        let text = batch(EVENT, 9);
        let frame = SyncFrame::wrap(KIND_UPDATE_BATCH, "runtime.codex_worker_events", 9, &text);
        let frame = serde_json::to_string(&frame).expect("serialises");
        let batch = reader.frame(&frame).expect("reads");
        assert_eq!(batch, reader.batch(&text).expect("reads"));
        assert!(batch.facts[0].hash_fits);
        assert!(matches!(
            batch.facts[0].source,
            Source::Event { publish: PublishId::Planned(3), intended: Some(5), begun: Some(6), .. }
        ));
    }

    #[test]
    fn content_is_the_same_in_any_key_order_and_another_for_another_payload() {
        let mut reader = reader();
        let mut content =
            |payload: &str| reader.batch(&batch(payload, 9)).expect("reads").facts[0].content;
        let reordered = r#"{"worker_id":"w","seq":2,"payload":{"khala_harness":{"run":"r","n":3,"begun_us":6,"at_us":5}}}"#;
        assert_eq!(content(EVENT), content(reordered));
        assert_ne!(content(EVENT), content(&EVENT.replace("\"seq\":2", "\"seq\":7")));
    }

    #[test]
    fn others_are_foreign_and_our_workers_own_events_are_known_by_seq() {
        let mut reader = reader();
        let mut source =
            |payload: &str| reader.batch(&batch(payload, 1)).expect("reads").facts[0].source;
        assert_eq!(source(&EVENT.replace("\"w\"", "\"x\"")), Source::Foreign);
        assert!(matches!(
            source(&EVENT.replace("\"r\"", "\"other\"")),
            Source::Event { publish: PublishId::Lifecycle { worker: 4, seq: 2 }, .. }
        ));
    }

    #[test]
    fn what_does_not_have_the_shape_is_an_error() {
        assert!(reader().batch("{}").is_err());
        assert!(reader().frame(r#"{"kind":"KHALA_FRAME_KIND_UPDATE_BATCH","payload_bytes":"!","seq":1,"topic":"t"}"#).is_err());
    }
}
