//! The events that were taken, each encoded once: what every client is sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::ws::Utf8Bytes;
use khala_wire::Vsn;
use khala_wire::marker::marker_of;
use khala_wire::topic::{TopicId, WORKER_EVENTS};
use serde_json::value::RawValue;

use khala_reference::speech::{Batch, BatchKey};
use khala_reference::speech::{Draft, WorkerEvent, event_key};

/// Events that are kept; what comes after is refused. A run of ten minutes at 80 a second.
const EVENTS_MAX: usize = 50_000;

/// One event.
pub struct Event {
    /// Its sequence number on the topic.
    pub seq: u64,
    /// When its command was taken.
    pub taken: Instant,
    /// When it was due by the run's clock, in microseconds, if a harness published it.
    pub at_us: Option<u64>,
    batch: Batch,
}

impl Event {
    /// Both pushes of the event for a channel.
    pub fn pushes(&self, join_ref: Option<&RawValue>) -> [Utf8Bytes; 2] {
        self.batch.pushes(Vsn::V2, join_ref)
    }
}

/// Why an event is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Nobody created the worker.
    #[error("not_found")]
    UnknownWorker,
    /// [`EVENTS_MAX`].
    #[error("storage_full")]
    Full,
    /// The payload cannot be written as JSON.
    #[error("invalid_payload")]
    Invalid,
}

/// All events of the one topic that is served, and the workers they are of.
#[derive(Default)]
pub struct Log {
    events: Vec<Arc<Event>>,
    workers: HashMap<String, u64>,
}

impl Log {
    /// The highest sequence number; 0 before the first event.
    pub fn head(&self) -> u64 {
        self.events.len() as u64
    }

    /// The events after a sequence number.
    pub fn after(&self, seq: u64) -> &[Arc<Event>] {
        let from = usize::try_from(seq).unwrap_or(usize::MAX);
        self.events.get(from..).unwrap_or_default()
    }

    /// Every event.
    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// Makes a worker known; says its latest seq, and whether it was known before.
    pub fn create(&mut self, worker: &str) -> (u64, bool) {
        match self.workers.get(worker) {
            Some(&seq) => (seq, true),
            None => {
                self.workers.insert(worker.to_owned(), 0);
                (0, false)
            }
        }
    }

    /// Appends an event of a worker; says the worker's seq.
    pub fn append(
        &mut self,
        worker: &str,
        event_type: &str,
        payload: &RawValue,
        taken: Instant,
    ) -> Result<u64, NotTaken> {
        if self.events.len() >= EVENTS_MAX {
            return Err(NotTaken::Full);
        }
        let worker_seq = self.workers.get_mut(worker).ok_or(NotTaken::UnknownWorker)?;
        let topic = TopicId::of(WORKER_EVENTS).ok_or(NotTaken::Invalid)?;
        let next = *worker_seq + 1;
        let occurred_at = khala_reference::speech::rfc3339();
        let document = WorkerEvent::new(worker, next, event_type, &occurred_at, payload);
        let draft = Draft::of(event_key(worker, next), next, &document);
        let draft = draft.map_err(|_| NotTaken::Invalid)?;
        *worker_seq = next;
        let seq = self.events.len() as u64 + 1;
        let key = BatchKey { topic, first: seq, to: seq, head: seq };
        let batch = Batch::encode(&key, &[&draft.at(topic.name(), seq)], None);
        let at_us = marker_of(payload.get()).map(|marker| marker.at_us);
        self.events.push(Arc::new(Event { seq, taken, at_us, batch }));
        Ok(next)
    }
}
