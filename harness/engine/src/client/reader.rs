//! Updates to facts: what a delivery says, without a JSON tree, and once per batch and thread.
//!
//! All clients of a thread get the same bytes; the facts of a batch are remembered by the digest of
//! its text, so the second client costs a digest and a look-up. Bounded: when full, it starts over. How a lane
//! writes batches is its dialect's.

use std::collections::HashMap;

use khala_evidence::record::{Held, NO_CONTENT, PublishId, Source};
use khala_wire::TopicKind;
use khala_wire::canonical::{canonical_json, digest64, payload_hash_matches};
use khala_wire::marker::{OVER_SOCKET, WorkerEvent, marker_of};
use khala_wire::payload::UpdateRef;
use khala_wire::snapshot::Snapshot;
use khala_wire::topic::TopicId;

use super::batch::{Batch, Fact};
use super::contents::{Known, contradiction, contradiction_in, latest};

/// What the key of a worker's document begins with.
pub(super) const SUMMARY_KEY: &str = "runtime/codex_worker_summary:";
/// What the key of a worker's event begins with; its name and the seq follow.
pub(super) const EVENT_KEY: &str = "runtime/codex_worker_event:";
/// Batches remembered.
const BATCHES_MAX: usize = 512;

/// Reads batches for all clients of a thread.
#[derive(Debug)]
pub struct Reader {
    known: Known,
    batches: HashMap<u64, Batch>,
    /// Room for what is decoded.
    pub(super) scratch: Vec<u8>,
}

impl Reader {
    /// A reader that knows the run.
    #[must_use]
    pub fn new(known: Known) -> Self {
        Self { known, batches: HashMap::new(), scratch: Vec::new() }
    }

    /// A batch that was read before.
    pub(super) fn read_before(&self, key: u64) -> Option<Batch> {
        self.batches.get(&key).cloned()
    }

    /// Remembers a batch.
    pub(super) fn remember(&mut self, key: u64, batch: Batch) -> Batch {
        if self.batches.len() >= BATCHES_MAX {
            self.batches.clear();
        }
        self.batches.insert(key, batch.clone());
        batch
    }

    /// What of an update is not so.
    pub(super) fn contradiction(&self, update: &UpdateRef<'_>) -> Option<String> {
        contradiction(update, &self.known)
    }

    /// How far one of our workers is by its document, if that is further than the document's version.
    pub(super) fn latest(&self, update: &UpdateRef<'_>) -> Option<(u16, u64)> {
        latest(update, &self.known)
    }

    /// What an update says; `None` of a topic that nobody knows.
    pub(super) fn fact(&self, update: &UpdateRef<'_>) -> Option<Fact> {
        let topic = TopicId::of(&update.topic)?;
        let payload = update.payload.map_or("null", |raw| raw.get());
        let content = content(&update.doc_key, update.doc_version, payload);
        let hash_fits = match (&update.payload_hash, update.payload) {
            (Some(hash), Some(raw)) => payload_hash_matches(raw.get(), &hash.0),
            _ => true,
        };
        let source = match self.source(update, payload) {
            Source::Foreign if topic.kind() == TopicKind::State => Source::Document {
                key: digest64(update.doc_key.as_bytes()),
                version: update.doc_version,
            },
            source => source,
        };
        Some(Fact { topic, seq: update.watermark, content, hash_fits, source })
    }

    /// What of a snapshot's documents is not so.
    pub(super) fn contradiction_in(&self, snapshot: &Snapshot) -> Option<String> {
        contradiction_in(snapshot, &self.known)
    }

    /// What a snapshot holds of our workers' documents, in its order.
    pub fn held(&self, snapshot: &Snapshot) -> Vec<Held> {
        let ours = snapshot.documents.iter().filter_map(|document| {
            let &worker = self.known.workers.get(document.doc_key.strip_prefix(SUMMARY_KEY)?)?;
            let (payload, version) = (document.payload.get(), document.doc_version);
            let hash_fits = payload_hash_matches(payload, &document.payload_hash);
            // No snapshot has pointers (contract, section 5b): null is what the document says.
            let content = digest(&document.doc_key, version, payload);
            Some(Held { worker, version, hash_fits, content })
        });
        ours.collect()
    }

    /// The event of one of our workers that an update without a payload is of, by its key.
    fn pointed_at(&self, key: &str) -> Option<Source> {
        let (name, seq) = key.strip_prefix(EVENT_KEY)?.rsplit_once(':')?;
        let publish =
            PublishId::Lifecycle { worker: *self.known.workers.get(name)?, seq: seq.parse().ok()? };
        Some(Source::Event { publish, intended: None, begun: None, payload: 0, worker_seq: None })
    }

    fn source(&self, update: &UpdateRef<'_>, payload: &str) -> Source {
        if let Some(name) = update.doc_key.strip_prefix(SUMMARY_KEY) {
            return match self.known.workers.get(name) {
                Some(&worker) => Source::State { worker, version: update.doc_version },
                None => Source::Foreign,
            };
        }
        if payload == "null" {
            return self.pointed_at(&update.doc_key).unwrap_or(Source::Foreign);
        }
        let Ok(event) = serde_json::from_str::<WorkerEvent<'_>>(payload) else {
            return Source::Foreign;
        };
        let Some(&worker) = self.known.workers.get(&*event.worker_id) else {
            return Source::Foreign;
        };
        match marker_of(event.payload.get()) {
            // Nobody waits for it, so that its times say nothing.
            Some(marker) if marker.run == self.known.run_id && marker.n >= OVER_SOCKET => {
                Source::Event {
                    publish: PublishId::OverSession { client: marker.n - OVER_SOCKET },
                    intended: None,
                    begun: None,
                    payload: 0,
                    worker_seq: None,
                }
            }
            Some(marker) if marker.run == self.known.run_id => Source::Event {
                publish: PublishId::Planned(marker.n),
                intended: Some(marker.at_us),
                begun: Some(marker.begun_us),
                payload: digest64(canonical(event.payload.get()).as_bytes()),
                worker_seq: Some(event.seq),
            },
            _ => Source::Event {
                publish: PublishId::Lifecycle { worker, seq: event.seq },
                intended: None,
                begun: None,
                payload: 0,
                worker_seq: None,
            },
        }
    }
}

/// Canonical JSON of a text that came from the wire.
fn canonical(text: &str) -> String {
    serde_json::from_str(text).map_or_else(|_| text.to_owned(), |value| canonical_json(&value))
}
/// What tells an update's content from others.
fn content(key: &str, version: u64, payload: &str) -> u64 {
    if payload == "null" {
        return NO_CONTENT;
    }
    digest(key, version, payload)
}

fn digest(key: &str, version: u64, payload: &str) -> u64 {
    digest64(format!("{key}\n{version}\n{}", canonical(payload)).as_bytes())
}
