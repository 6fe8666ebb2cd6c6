//! The authority: the only writer of workers and their events.
//!
//! A command holds the authority's lock until its event is in the log, so that the order of a
//! worker's seqs is the order of the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use khala_wire::topic::{TopicId, WORKER_EVENTS};
use serde_json::value::RawValue;

use super::journal::{RecordRef, Write};
use super::worker::{Worker, WorkerDocument, WorkerEvent, event_key};
use super::{Draft, Store};
use crate::clock;
use crate::defect::{Defects, Kind, tamper};
use crate::sync::lock;

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandRefusal {
    /// No such worker or run.
    #[error("not_found")]
    NotFound,
    /// The worker was stopped.
    #[error("worker_stopped")]
    Stopped,
    /// The run's last seq is not the expected one.
    #[error("sequence_conflict")]
    SequenceConflict,
    /// The runtime keeps as many documents as it may.
    #[error("capacity_exhausted")]
    Full,
    /// Ids and event types must be something.
    #[error("invalid_command")]
    Invalid,
}

/// What became of an accepted command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The worker's seq.
    pub seq: u64,
    /// When it was taken.
    pub occurred_at: String,
}

/// How often an accepted event enters its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// As it should.
    Once,
    /// Defect `drop_acknowledged`: not at all, nor its document.
    Lost,
    /// Defect `duplicate_new_seq`: under two seqs.
    Twice,
}

/// Documents that commands change.
pub struct Authority {
    documents_max: usize,
    workers: BTreeMap<String, Worker>,
    /// Workers whose document has changed since the last projection.
    changed: BTreeSet<String>,
}

impl Authority {
    /// Without documents.
    pub fn new(documents_max: usize) -> Self {
        Self { documents_max, workers: BTreeMap::new(), changed: BTreeSet::new() }
    }

    /// The changed workers' documents with their keys, each once; they count as projected.
    pub fn take_changed(&mut self) -> Vec<(String, WorkerDocument)> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .iter()
            .filter_map(|id| self.workers.get(id))
            .map(|worker| (worker.document_key(), worker.document()))
            .collect()
    }
}

impl Authority {
    /// Takes back a worker that the journal has recorded.
    pub fn restore(&mut self, worker: Worker) {
        self.workers.insert(worker.id().to_owned(), worker);
    }

    /// Shows an event that the log has and the worker's record has not.
    pub fn catch_up(&mut self, id: &str, seq: u64, event_type: &str, occurred_at: &str) {
        if let Some(worker) = self.workers.get_mut(id)
            && worker.latest_seq < seq
        {
            worker.latest_seq = seq;
            worker.show(seq, event_type, occurred_at);
        }
    }

    /// Marks the workers whose document is behind, `shown` telling the version that was projected.
    pub fn mark_unprojected(&mut self, shown: impl Fn(&str) -> Option<u64>) {
        let behind =
            |worker: &&Worker| shown(&worker.document_key()).unwrap_or(0) < worker.shown_seq();
        let behind = self.workers.values().filter(behind).map(|worker| worker.id().to_owned());
        self.changed.extend(behind);
    }

    /// The workers as records.
    pub fn rewrite(&self, write: &mut Write<'_>) -> io::Result<()> {
        self.workers.values().try_for_each(|worker| write(&RecordRef::Worker { worker }))
    }
}

impl Store {
    /// Creates a worker. Returns its latest seq as of the answer, its status, and whether it was
    /// there already.
    ///
    /// # Errors
    /// When the id is empty or there is no room.
    pub fn create_worker(
        &self,
        id: &str,
        workspace_ref: Option<String>,
        user: Option<&str>,
    ) -> Result<(u64, &'static str, bool), CommandRefusal> {
        if id.is_empty() {
            return Err(CommandRefusal::Invalid);
        }
        let mut authority = lock(&self.authority);
        if let Some(worker) = authority.workers.get(id) {
            return Ok((worker.latest_seq, worker.status(), true));
        }
        if authority.workers.len() >= authority.documents_max {
            return Err(CommandRefusal::Full);
        }
        let worker = Worker::new(id, workspace_ref, user);
        self.journal.write(&RecordRef::Worker { worker: &worker });
        authority.workers.insert(id.to_owned(), worker);
        let payload = serde_json::value::to_raw_value(&serde_json::json!({"status": "running"}))
            .map_err(|_| CommandRefusal::Invalid)?;
        self.accept(&mut authority, id, "worker.started", &payload, Fate::Once)?;
        drop(authority);
        self.ring();
        Ok((0, "running", false))
    }

    /// Accepts an event of a worker; `payload` is canonical JSON.
    ///
    /// # Errors
    /// When there is no such worker, or it was stopped.
    pub fn publish(
        &self,
        defects: &Defects,
        worker: &str,
        event_type: &str,
        payload: &RawValue,
    ) -> Result<Published, CommandRefusal> {
        if event_type.is_empty() {
            return Err(CommandRefusal::Invalid);
        }
        let mut authority = lock(&self.authority);
        let fate = if defects.acts_every(Kind::DropAcknowledged) {
            Fate::Lost
        } else if defects.acts_every(Kind::DuplicateNewSeq) {
            Fate::Twice
        } else {
            Fate::Once
        };
        let published = self.accept(&mut authority, worker, event_type, payload, fate)?;
        if defects.acts_every(Kind::InventedEvent)
            && let Some(invented) = tamper::invented(payload)
        {
            self.accept(&mut authority, worker, event_type, &invented, Fate::Once)?;
            defects.note(Kind::InventedEvent);
        }
        drop(authority);
        match fate {
            Fate::Once => {}
            Fate::Lost => defects.note(Kind::DropAcknowledged),
            Fate::Twice => defects.note(Kind::DuplicateNewSeq),
        }
        self.ring();
        Ok(published)
    }

    /// Stops a worker; says whether it was stopped already.
    ///
    /// # Errors
    /// When there is no such worker.
    pub fn stop_worker(&self, id: &str, reason: &str) -> Result<bool, CommandRefusal> {
        let mut authority = lock(&self.authority);
        let worker = authority.workers.get(id).ok_or(CommandRefusal::NotFound)?;
        if worker.stopped() {
            return Ok(true);
        }
        let payload = serde_json::json!({"reason": reason, "status": "stopped"});
        let payload =
            serde_json::value::to_raw_value(&payload).map_err(|_| CommandRefusal::Invalid)?;
        let stopped = self.accept(&mut authority, id, "worker.stopped", &payload, Fate::Once)?;
        if let Some(worker) = authority.workers.get_mut(id) {
            worker.stop(&stopped.occurred_at);
            self.journal.write(&RecordRef::Worker { worker });
        }
        drop(authority);
        self.ring();
        Ok(false)
    }

    /// The first worker there is, by id.
    pub fn first_worker(&self) -> Option<String> {
        lock(&self.authority).workers.keys().next().cloned()
    }

    /// A worker's document.
    pub fn worker_document(&self, id: &str) -> Option<WorkerDocument> {
        lock(&self.authority).workers.get(id).map(Worker::document)
    }

    fn accept(
        &self,
        authority: &mut Authority,
        id: &str,
        event_type: &str,
        payload: &RawValue,
        fate: Fate,
    ) -> Result<Published, CommandRefusal> {
        let worker = authority.workers.get_mut(id).ok_or(CommandRefusal::NotFound)?;
        if worker.stopped() {
            return Err(CommandRefusal::Stopped);
        }
        let occurred_at = clock::rfc3339();
        let seq = worker.latest_seq + 1;
        let event = WorkerEvent::new(id, seq, event_type, &occurred_at, payload);
        let draft =
            Draft::of(event_key(id, seq), seq, &event).map_err(|_| CommandRefusal::Invalid)?;
        worker.latest_seq = seq;
        if fate != Fate::Lost {
            worker.show(seq, event_type, &occurred_at);
            authority.changed.insert(id.to_owned());
            let events = TopicId::of(WORKER_EVENTS).expect("worker events are a known topic");
            if fate == Fate::Twice {
                self.log(events).append(draft.clone());
            }
            self.log(events).append(draft);
        }
        self.journal.write(&RecordRef::Worker { worker });
        Ok(Published { seq, occurred_at })
    }
}

#[cfg(test)]
mod tests {
    use khala_wire::canonical::payload_hash_matches;
    use khala_wire::topic::WORKER_SUMMARIES;

    use super::*;
    use crate::Config;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("json")
    }

    fn log_of(store: &Store, topic: &str) -> Vec<khala_wire::payload::Update> {
        let log = store.log(TopicId::of(topic).expect("known"));
        match log.head() {
            0 => Vec::new(),
            head => {
                let entries = log.entries(1, head).expect("retained");
                entries.iter().map(|entry| entry.update.clone()).collect()
            }
        }
    }

    #[test]
    fn a_worker_lives_through_started_progress_and_stopped() {
        let store = Store::new(&Config::default());
        let none = Defects::new(0, &[]);
        assert_eq!(store.create_worker("w", None, Some("1")), Ok((0, "running", false)));
        assert_eq!(store.create_worker("w", None, Some("1")), Ok((1, "running", true)));
        let two = store.publish(&none, "w", "worker.progress", &raw(r#"{"i":0}"#)).expect("ok");
        assert_eq!(two.seq, 2);
        assert_eq!(store.stop_worker("w", "done"), Ok(false));
        assert_eq!(store.stop_worker("w", "done"), Ok(true));
        let refused = store.publish(&none, "w", "worker.progress", &raw("{}"));
        assert_eq!(refused, Err(CommandRefusal::Stopped));

        let updates = log_of(&store, WORKER_EVENTS);
        let keys: Vec<_> = updates.iter().map(|update| &*update.doc_key).collect();
        assert_eq!(keys, [1, 2, 3].map(|n| format!("runtime/codex_worker_event:w:{n}")));
        for update in &updates {
            let payload = update.payload.as_ref().expect("inline");
            let hash = update.payload_hash.as_ref().expect("hashed");
            assert!(payload_hash_matches(payload.get(), hash));
        }
        let changed = lock(&store.authority).take_changed();
        assert_eq!(changed.len(), 1, "one document, at its latest version");
        assert_eq!(changed[0].1.latest_seq, 3);
        assert!(log_of(&store, WORKER_SUMMARIES).is_empty(), "projection is not the authority's");
    }

    #[test]
    fn an_acknowledged_event_that_is_dropped_has_a_seq_and_nothing_else() {
        let store = Store::new(&Config::default());
        let lossy = Defects::new(0, &["drop_acknowledged,0.5".parse().expect("a spec")]);
        store.create_worker("w", None, None).expect("created");
        let seqs: Vec<_> = (0..4)
            .map(|_| store.publish(&lossy, "w", "e", &raw("{}")).expect("accepted").seq)
            .collect();
        assert_eq!(seqs, [2, 3, 4, 5]);
        let logged: Vec<_> =
            log_of(&store, WORKER_EVENTS).iter().map(|update| update.doc_version).collect();
        assert_eq!(logged, [1, 2, 4]);
        assert_eq!(store.worker_document("w").expect("there").latest_seq, 4);
    }
}
