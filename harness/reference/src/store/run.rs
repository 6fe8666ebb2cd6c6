//! Runs: append-only lists of events, each with a summary document.

use std::collections::{BTreeMap, HashMap};

use khala_wire::command::{AppendRunEvent, CreateRun, Run, RunEvent};
use serde::Serialize;
use serde_json::Value;

use super::CommandRefusal;
use crate::clock;

/// Events of one run at most: the answer to an append holds all of them.
const RUN_EVENTS_MAX: usize = 20_000;

/// All runs of a server.
#[derive(Debug, Default)]
pub struct Runs {
    created: u64,
    runs: BTreeMap<String, Stored>,
    /// Runs whose summary has changed since the last projection.
    changed: std::collections::BTreeSet<String>,
}

#[derive(Debug)]
struct Stored {
    run: Run,
    worker_id: Option<String>,
    metadata: BTreeMap<String, Value>,
    started_at: String,
    updated_at: String,
    seq_by_key: HashMap<String, u64>,
}

impl Runs {
    /// Creates a run with its first event, `run.started`.
    ///
    /// # Errors
    /// When there is no room.
    pub fn create(&mut self, command: CreateRun, max: usize) -> Result<Run, CommandRefusal> {
        if self.runs.len() >= max {
            return Err(CommandRefusal::Full);
        }
        self.created += 1;
        let id = format!("run_{}_{}", clock::unix_s(), self.created);
        let now = clock::rfc3339();
        let started = RunEvent {
            event_type: "run.started".to_owned(),
            payload: Value::Object(serde_json::Map::new()),
            seq: 1,
        };
        let run = Run { events: vec![started], id: id.clone() };
        self.changed.insert(id.clone());
        let stored = Stored {
            run: run.clone(),
            worker_id: command.worker_id,
            metadata: command.metadata,
            started_at: now.clone(),
            updated_at: now,
            seq_by_key: HashMap::new(),
        };
        self.runs.insert(id, stored);
        Ok(run)
    }

    /// Appends an event; a key that was used before changes nothing.
    ///
    /// # Errors
    /// When there is no such run, it is full, or its last seq is not the expected one.
    pub fn append(&mut self, id: &str, event: AppendRunEvent) -> Result<Run, CommandRefusal> {
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
        let seq = last + 1;
        if let Some(key) = event.idempotency_key {
            stored.seq_by_key.insert(key, seq);
        }
        let AppendRunEvent { event_type, payload, .. } = event;
        stored.run.events.push(RunEvent { event_type, payload, seq });
        stored.updated_at = clock::rfc3339();
        self.changed.insert(id.to_owned());
        Ok(stored.run.clone())
    }

    /// The changed runs' summaries with their keys, each once; they count as projected.
    pub fn take_changed(&mut self) -> Vec<(String, RunSummary)> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|id| self.runs.get(id)).map(Stored::summary).collect()
    }
}

impl Stored {
    fn summary(&self) -> (String, RunSummary) {
        let id = &self.run.id;
        let key = format!("runtime/run_summary:{id}");
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
            updated_at: self.updated_at.clone(),
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
        let mut runs = Runs::default();
        let id = runs.create(CreateRun::default(), 10).expect("room").id;
        assert_eq!(runs.append(&id, event(Some("k"), Some(1))).expect("ok").events.len(), 2);
        assert_eq!(runs.append(&id, event(Some("k"), Some(1))).expect("replay").events.len(), 2);
        let conflict = runs.append(&id, event(None, Some(1)));
        assert_eq!(conflict, Err(CommandRefusal::SequenceConflict));
        let run = runs.append(&id, event(None, None)).expect("ok");
        assert_eq!(run.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(runs.append("nope", event(None, None)), Err(CommandRefusal::NotFound));
        assert_eq!(runs.create(CreateRun::default(), 1), Err(CommandRefusal::Full));
    }

    #[test]
    fn a_summary_is_the_latest_state_once_and_canonical() {
        let mut runs = Runs::default();
        let id = runs.create(CreateRun::default(), 10).expect("room").id;
        runs.append(&id, event(None, None)).expect("ok");
        let changed = runs.take_changed();
        assert_eq!((changed.len(), changed[0].1.latest_seq), (1, 2));
        assert!(runs.take_changed().is_empty());
        let text = serde_json::to_string(&changed[0].1).expect("serialises");
        assert_eq!(text, canonical_json(&serde_json::from_str(&text).expect("parses")));
    }
}
