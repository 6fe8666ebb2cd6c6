//! A codex worker: its state, and the two documents that the topics carry of it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::clock;

/// A worker as the authority keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Worker {
    id: String,
    /// Events accepted so far, and so the seq of the last one.
    pub latest_seq: u64,
    /// Seq of the last event that the document shows.
    shown_seq: u64,
    latest_event_at: Option<String>,
    latest_event_type: Option<String>,
    last_heartbeat_at: String,
    owner_user_id: Value,
    started_at: String,
    stopped_at: Option<String>,
    updated_at: String,
    workspace_ref: Option<String>,
}

impl Worker {
    /// A worker that has just been created for a user.
    pub fn new(id: &str, workspace_ref: Option<String>, user: Option<&str>) -> Self {
        let now = clock::rfc3339();
        Self {
            id: id.to_owned(),
            latest_seq: 0,
            shown_seq: 0,
            latest_event_at: None,
            latest_event_type: None,
            last_heartbeat_at: now.clone(),
            owner_user_id: owner(user),
            started_at: now.clone(),
            stopped_at: None,
            updated_at: now,
            workspace_ref,
        }
    }

    /// The worker's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seq of the last event that its document shows.
    pub fn shown_seq(&self) -> u64 {
        self.shown_seq
    }

    /// `running` or `stopped`.
    pub fn status(&self) -> &'static str {
        if self.stopped_at.is_some() { "stopped" } else { "running" }
    }

    /// Whether it was stopped.
    pub fn stopped(&self) -> bool {
        self.stopped_at.is_some()
    }

    /// Stops it.
    pub fn stop(&mut self, now: &str) {
        self.stopped_at = Some(now.to_owned());
    }

    /// Shows an event in the document.
    pub fn show(&mut self, seq: u64, event_type: &str, now: &str) {
        self.shown_seq = seq;
        self.latest_event_at = Some(now.to_owned());
        self.latest_event_type = Some(event_type.to_owned());
        self.last_heartbeat_at = now.to_owned();
        self.updated_at = now.to_owned();
    }

    /// Key of its document on the summary topic.
    pub fn document_key(&self) -> String {
        format!("runtime/codex_worker_summary:{}", self.id)
    }

    /// Its document as of now.
    pub fn document(&self) -> WorkerDocument {
        WorkerDocument {
            adapter: "in_memory",
            codex_home_ref: None,
            document_id: self.document_key(),
            event_count: self.shown_seq,
            kind: "codex_worker_summary",
            last_heartbeat_at: self.last_heartbeat_at.clone(),
            latest_event_at: self.latest_event_at.clone(),
            latest_event_type: self.latest_event_type.clone(),
            latest_seq: self.shown_seq,
            metadata: Map::new(),
            owner_guest_scope: None,
            owner_user_id: self.owner_user_id.clone(),
            projected_at: clock::rfc3339(),
            projection_version: "khala_summary_v1",
            runtime_source: Source {
                entity: "codex_worker",
                seq: self.shown_seq,
                worker_id: self.id.clone(),
            },
            started_at: self.started_at.clone(),
            status: self.status(),
            stopped_at: self.stopped_at.clone(),
            updated_at: self.updated_at.clone(),
            worker_id: self.id.clone(),
            workspace_ref: self.workspace_ref.clone(),
        }
    }
}

/// A runtime writes numeric user ids as numbers.
fn owner(user: Option<&str>) -> Value {
    match user.map(|user| (user, user.parse::<u64>())) {
        None => Value::Null,
        Some((_, Ok(number))) => number.into(),
        Some((text, Err(_))) => text.into(),
    }
}

/// Where a projected document comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    entity: &'static str,
    seq: u64,
    worker_id: String,
}

/// A worker's document. Fields in alphabetical order, so that it serialises canonically.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerDocument {
    adapter: &'static str,
    codex_home_ref: Option<String>,
    document_id: String,
    event_count: u64,
    kind: &'static str,
    last_heartbeat_at: String,
    latest_event_at: Option<String>,
    latest_event_type: Option<String>,
    /// Seq of the last event shown, and the document's version.
    pub latest_seq: u64,
    metadata: Map<String, Value>,
    owner_guest_scope: Option<String>,
    owner_user_id: Value,
    projected_at: String,
    projection_version: &'static str,
    runtime_source: Source,
    started_at: String,
    status: &'static str,
    stopped_at: Option<String>,
    updated_at: String,
    worker_id: String,
    workspace_ref: Option<String>,
}

/// An event as the event topic carries it. Fields in alphabetical order (capitals come first), so
/// that it serialises canonically when its payload is canonical.
#[derive(Debug, Serialize)]
pub struct WorkerEvent<'a> {
    #[serde(rename = "eventType")]
    event_type_camel: &'a str,
    event_type: &'a str,
    #[serde(rename = "occurredAt")]
    occurred_at_camel: &'a str,
    occurred_at: &'a str,
    payload: &'a RawValue,
    seq: u64,
    #[serde(rename = "workerId")]
    worker_id_camel: &'a str,
    worker_id: &'a str,
}

impl<'a> WorkerEvent<'a> {
    /// The event that a worker accepted as its `seq`.
    pub fn new(
        worker: &'a str,
        seq: u64,
        event_type: &'a str,
        occurred_at: &'a str,
        payload: &'a RawValue,
    ) -> Self {
        Self {
            event_type_camel: event_type,
            event_type,
            occurred_at_camel: occurred_at,
            occurred_at,
            payload,
            seq,
            worker_id_camel: worker,
            worker_id: worker,
        }
    }
}

/// Key of an event's document.
pub fn event_key(worker: &str, seq: u64) -> String {
    format!("runtime/codex_worker_event:{worker}:{seq}")
}

#[cfg(test)]
mod tests {
    use khala_wire::canonical::canonical_json;

    use super::*;

    fn assert_canonical<T: Serialize>(value: &T) {
        let text = serde_json::to_string(value).expect("serialises");
        let tree = serde_json::from_str(&text).expect("parses");
        assert_eq!(text, canonical_json(&tree));
    }

    #[test]
    fn both_documents_serialise_canonically() {
        let mut worker = Worker::new("w", Some("ws".into()), Some("1"));
        worker.show(1, "worker.started", "2026-11-23T07:26:25.676938Z");
        assert_canonical(&worker.document());
        let payload: &RawValue = serde_json::from_str(r#"{"a":1}"#).expect("json");
        assert_canonical(&WorkerEvent::new("w", 1, "t", "now", payload));
    }

    #[test]
    fn numeric_users_own_with_a_number_and_others_with_text() {
        assert_eq!(owner(Some("1")), Value::from(1));
        assert_eq!(owner(Some("u-1")), Value::from("u-1"));
        assert_eq!(owner(None), Value::Null);
    }
}
