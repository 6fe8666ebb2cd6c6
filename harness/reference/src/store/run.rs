//! Runs: append-only lists of events, each with a summary document.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use khala_wire::command::{AppendRunEvent, CreateRun, Run, RunEvent};
use serde::Serialize;
use serde_json::Value;

use super::journal::{Journal, RecordRef, Write};
use super::{CommandRefusal, Store};
use crate::clock;
use crate::sync::lock;

/// Events of one run at most: the answer to an append holds all of them.
const RUN_EVENTS_MAX: usize = 20_000;

/// All runs of a server.
#[derive(Debug)]
pub struct Runs {
    runs_max: usize,
    created: u64,
    runs: BTreeMap<String, Stored>,
    /// Runs whose summary has changed since the last projection.
    changed: BTreeSet<String>,
}

#[derive(Debug)]
struct Stored {
    run: Run,
    worker_id: Option<String>,
    metadata: BTreeMap<String, Value>,
    started_at: String,
    /// When each event was taken, the first included.
    updated_at: Vec<String>,
    seq_by_key: HashMap<String, u64>,
}

impl Store {
    /// Creates a run with its first event, `run.started`.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create_run(&self, command: CreateRun) -> Result<Run, CommandRefusal> {
        lock(&self.runs).create(command, &self.journal)
    }

    /// Appends an event to a run; a key that was used before changes nothing.
    ///
    /// # Errors
    /// When there is no such run, it is full, or its last seq is not the expected one.
    pub fn append_run(&self, id: &str, event: AppendRunEvent) -> Result<Run, CommandRefusal> {
        lock(&self.runs).append(id, event, &self.journal)
    }
}

impl Runs {
    /// No runs yet, and never more than `runs_max`.
    pub fn new(runs_max: usize) -> Self {
        Self { runs_max, created: 0, runs: BTreeMap::new(), changed: BTreeSet::new() }
    }

    fn create(&mut self, command: CreateRun, journal: &Journal) -> Result<Run, CommandRefusal> {
        if self.runs.len() >= self.runs_max {
            return Err(CommandRefusal::Full);
        }
        let id = format!("run_{}_{}", clock::unix_s(), self.created + 1);
        let at = clock::rfc3339();
        let CreateRun { metadata, worker_id } = command;
        journal.write(&RecordRef::Run {
            id: &id,
            worker_id: worker_id.as_deref(),
            metadata: &metadata,
            at: &at,
        });
        let run = self.restore(id, worker_id, metadata, at);
        self.changed.insert(run.id.clone());
        Ok(run)
    }

    /// Takes a run in, with its first event.
    pub fn restore(
        &mut self,
        id: String,
        worker_id: Option<String>,
        metadata: BTreeMap<String, Value>,
        at: String,
    ) -> Run {
        self.created += 1;
        let started = RunEvent {
            event_type: "run.started".to_owned(),
            payload: Value::Object(serde_json::Map::new()),
            seq: 1,
        };
        let run = Run { events: vec![started], id: id.clone() };
        let stored = Stored {
            run: run.clone(),
            worker_id,
            metadata,
            started_at: at.clone(),
            updated_at: vec![at],
            seq_by_key: HashMap::new(),
        };
        self.runs.insert(id, stored);
        run
    }

    fn append(
        &mut self,
        id: &str,
        event: AppendRunEvent,
        journal: &Journal,
    ) -> Result<Run, CommandRefusal> {
        let stored = self.runs.get_mut(id).ok_or(CommandRefusal::NotFound)?;
        let last = stored.run.events.len() as u64;
        if event.idempotency_key.as_ref().is_some_and(|key| stored.seq_by_key.contains_key(key)) {
            return Ok(stored.run.clone());
        }
        if event.expected_previous_seq.is_some_and(|expected| expected != last) {
            return Err(CommandRefusal::SequenceConflict);
        }
        if event.event_type.is_empty() {
            return Err(CommandRefusal::Invalid);
        }
        if stored.run.events.len() >= RUN_EVENTS_MAX {
            return Err(CommandRefusal::Full);
        }
        let AppendRunEvent { event_type, payload, idempotency_key: key, .. } = event;
        let event = RunEvent { event_type, payload, seq: last + 1 };
        let at = clock::rfc3339();
        journal.write(&RecordRef::RunEvent { id, event: &event, key: key.as_deref(), at: &at });
        stored.take(event, key, at);
        self.changed.insert(id.to_owned());
        Ok(stored.run.clone())
    }

    /// Takes back an event that the journal has recorded.
    pub fn restore_event(&mut self, id: &str, event: RunEvent, key: Option<String>, at: String) {
        if let Some(stored) = self.runs.get_mut(id) {
            stored.take(event, key, at);
        }
    }

    /// Marks the runs whose summary is behind, `shown` telling the version that was projected.
    pub fn mark_unprojected(&mut self, shown: impl Fn(&str) -> Option<u64>) {
        let behind = |stored: &&Stored| {
            shown(&stored.document_key()).unwrap_or(0) < stored.run.events.len() as u64
        };
        let behind = self.runs.values().filter(behind).map(|stored| stored.run.id.clone());
        self.changed.extend(behind);
    }

    /// The runs as records.
    pub fn rewrite(&self, write: &mut Write<'_>) -> io::Result<()> {
        for stored in self.runs.values() {
            let id = &stored.run.id;
            write(&RecordRef::Run {
                id,
                worker_id: stored.worker_id.as_deref(),
                metadata: &stored.metadata,
                at: &stored.started_at,
            })?;
            let key_of: HashMap<u64, &str> =
                stored.seq_by_key.iter().map(|(key, seq)| (*seq, key.as_str())).collect();
            for (event, at) in stored.run.events.iter().zip(&stored.updated_at).skip(1) {
                let key = key_of.get(&event.seq).copied();
                write(&RecordRef::RunEvent { id, event, key, at })?;
            }
        }
        Ok(())
    }

    /// The changed runs' summaries with their keys, each once; they count as projected.
    pub fn take_changed(&mut self) -> Vec<(String, RunSummary)> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|id| self.runs.get(id)).map(Stored::summary).collect()
    }
}

impl Stored {
    fn take(&mut self, event: RunEvent, key: Option<String>, at: String) {
        if let Some(key) = key {
            self.seq_by_key.insert(key, event.seq);
        }
        self.run.events.push(event);
        self.updated_at.push(at);
    }

    fn document_key(&self) -> String {
        format!("runtime/run_summary:{}", self.run.id)
    }

    fn summary(&self) -> (String, RunSummary) {
        let id = &self.run.id;
        let key = self.document_key();
        let latest_seq = self.run.events.len() as u64;
        let summary = RunSummary {
            document_id: key.clone(),
            event_count: latest_seq,
            kind: "run_summary",
            latest_event_type: self.run.events.last().map(|event| event.event_type.clone()),
            latest_seq,
            metadata: self.metadata.clone(),
            projected_at: clock::rfc3339(),
            projection_version: "khala_summary_v1",
            run_id: id.clone(),
            runtime_source: Source { entity: "run", run_id: id.clone(), seq: latest_seq },
            started_at: self.started_at.clone(),
            updated_at: self.updated_at.last().cloned().unwrap_or_default(),
            worker_id: self.worker_id.clone(),
        };
        (key, summary)
    }
}

#[derive(Clone, Debug, Serialize)]
struct Source {
    entity: &'static str,
    run_id: String,
    seq: u64,
}

/// A run's summary. Fields in alphabetical order, so that it serialises canonically.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    document_id: String,
    event_count: u64,
    kind: &'static str,
    latest_event_type: Option<String>,
    /// Seq of the last event, and the document's version.
    pub latest_seq: u64,
    metadata: BTreeMap<String, Value>,
    projected_at: String,
    projection_version: &'static str,
    run_id: String,
    runtime_source: Source,
    started_at: String,
    updated_at: String,
    worker_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use khala_wire::canonical::canonical_json;

    use super::*;
    use crate::Config;

    fn event(key: Option<&str>, expected: Option<u64>) -> AppendRunEvent {
        AppendRunEvent {
            event_type: "run.progress".into(),
            expected_previous_seq: expected,
            idempotency_key: key.map(str::to_owned),
            payload: Value::Null,
        }
    }

    #[test]
    fn a_run_is_dense_idempotent_by_key_and_guarded_by_its_last_seq() {
        let store = Store::new(&Config { documents_max: 1, ..Config::default() });
        let id = store.create_run(CreateRun::default()).expect("room").id;
        let append = |event| store.append_run(&id, event);
        assert_eq!(append(event(Some("k"), Some(1))).expect("ok").events.len(), 2);
        assert_eq!(append(event(Some("k"), Some(1))).expect("replay").events.len(), 2);
        assert_eq!(append(event(None, Some(1))), Err(CommandRefusal::SequenceConflict));
        let run = append(event(None, None)).expect("ok");
        assert_eq!(run.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
        let nobody = store.append_run("nope", event(None, None));
        assert_eq!(nobody, Err(CommandRefusal::NotFound));
        assert_eq!(store.create_run(CreateRun::default()), Err(CommandRefusal::Full));
    }

    #[test]
    fn a_summary_is_the_latest_state_once_and_canonical() {
        let store = Store::new(&Config::default());
        let id = store.create_run(CreateRun::default()).expect("room").id;
        store.append_run(&id, event(None, None)).expect("ok");
        let changed = lock(&store.runs).take_changed();
        assert_eq!((changed.len(), changed[0].1.latest_seq), (1, 2));
        assert!(lock(&store.runs).take_changed().is_empty());
        let text = serde_json::to_string(&changed[0].1).expect("serialises");
        assert_eq!(text, canonical_json(&serde_json::from_str(&text).expect("parses")));
    }
}
