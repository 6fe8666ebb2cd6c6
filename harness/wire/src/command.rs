//! Bodies of the HTTP command path and of the control service's token endpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient::or_default;

/// `POST` to create a worker.
pub const WORKERS_PATH: &str = "/internal/v1/codex/workers";
/// `POST` to mint a sync token.
pub const TOKEN_PATH: &str = "/api/sync/token";
/// `POST` to revoke sessions.
pub const REVOKE_PATH: &str = "/internal/v1/sync/sessions/revoke";
/// Header with the user's id on the command path.
pub const USER_ID_HEADER: &str = "x-oa-user-id";

/// Path of a worker's events.
#[must_use]
pub fn worker_events_path(worker: &str) -> String {
    format!("{WORKERS_PATH}/{worker}/events")
}

/// Path to stop a worker.
#[must_use]
pub fn worker_stop_path(worker: &str) -> String {
    format!("{WORKERS_PATH}/{worker}/stop")
}

/// Path of a worker's document.
#[must_use]
pub fn worker_snapshot_path(worker: &str) -> String {
    format!("{WORKERS_PATH}/{worker}/snapshot")
}

/// `{"data": …}`, the envelope of every answer of the command path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data<T> {
    /// What was answered.
    pub data: T,
}

/// Body of a worker's creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateWorker {
    /// The worker's id, chosen by the caller.
    pub worker_id: String,
    /// Workspace the worker belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_ref: Option<String>,
}

/// Answer to a worker's creation (202): whose it is is all that is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerCreated {
    /// Whether the worker was there already.
    #[serde(default, deserialize_with = "or_default")]
    pub idempotent_replay: bool,
    /// Its latest seq as of the answer; `worker.started` becomes seq 1 afterwards.
    #[serde(default, deserialize_with = "or_default")]
    pub latest_seq: u64,
    /// `running`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// The worker's id.
    pub worker_id: String,
}

/// The event inside [`PublishEvent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<P = Value> {
    /// Such as `worker.progress`.
    pub event_type: String,
    /// Any JSON object.
    pub payload: P,
}

/// Body of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishEvent<P = Value> {
    /// The event.
    pub event: Event<P>,
}

/// Answer to an event (202). The topic's watermark is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAccepted<P = Value> {
    /// As sent.
    pub event_type: String,
    /// When the runtime took it, RFC 3339.
    pub occurred_at: String,
    /// As sent.
    pub payload: P,
    /// The worker's own sequence number of the event.
    pub seq: u64,
    /// The worker.
    pub worker_id: String,
}

/// Body of a worker's stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopWorker {
    /// For the runtime's log.
    pub reason: String,
}

/// Answer to a worker's stop (202): whose it is is all that is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStopped {
    /// Whether it was stopped already.
    #[serde(default, deserialize_with = "or_default")]
    pub idempotent_replay: bool,
    /// `stopped`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// The worker.
    pub worker_id: String,
}

/// Body of a revocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoke {
    /// Devices to revoke.
    #[serde(default)]
    pub device_ids: Vec<String>,
    /// For the log and the revoked client.
    pub reason: String,
    /// Sessions to revoke.
    #[serde(default)]
    pub session_ids: Vec<String>,
}

/// Answer to a revocation (200).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// As sent.
    pub reason: String,
    /// Unix seconds.
    pub revoked_at: i64,
    /// As sent.
    pub revoked_device_ids: Vec<String>,
    /// As sent.
    pub revoked_session_ids: Vec<String>,
}

/// Body of `POST /api/sync/token`; everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintRequest {
    /// Device to bind the token to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Scopes wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Topics wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    /// Time to live, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// A topic that a minted token opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedTopic {
    /// Scope that opens it.
    pub required_scope: String,
    /// The topic.
    pub topic: String,
}

/// Answer to `POST /api/sync/token`, inside [`Data`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedToken {
    /// `aud` of the token.
    pub audience: String,
    /// `oa_sync_claims_v1`.
    pub claims_version: String,
    /// Device the token is bound to.
    pub device_id: String,
    /// RFC 3339.
    pub expires_at: String,
    /// Seconds.
    pub expires_in: u64,
    /// Topics it opens.
    pub granted_topics: Vec<GrantedTopic>,
    /// RFC 3339.
    pub issued_at: String,
    /// `iss` of the token.
    pub issuer: String,
    /// Key that signed it.
    pub kid: String,
    /// Organisation of the principal.
    pub org_id: String,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// Session the token is bound to.
    pub session_id: String,
    /// `sub` of the token.
    pub subject: String,
    /// The JWT.
    pub token: String,
    /// `jti` of the token.
    pub token_id: String,
    /// `Bearer`.
    pub token_type: String,
}

/// `POST /internal/v1/runs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRun {
    /// Free.
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
    /// Worker that executes the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
}

/// `POST /internal/v1/runs/{id}/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendRunEvent {
    /// Such as `run.progress`.
    pub event_type: String,
    /// Refused with a conflict unless the run's last seq is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_previous_seq: Option<u64>,
    /// A second command with the same key changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Any JSON object.
    pub payload: Value,
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// Such as `run.started`.
    pub event_type: String,
    /// As sent.
    #[serde(default)]
    pub payload: Value,
    /// From 1, dense.
    pub seq: u64,
}

/// A run, as creation (201) and every append (200) answer it, whole, inside [`RunEnvelope`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// All events so far.
    pub events: Vec<RunEvent>,
    /// The run's id.
    pub id: String,
}

/// `{"run": …}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnvelope {
    /// The run.
    pub run: Run,
}

/// A refused command: `{"error", …}` with what the contract adds for some codes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// The code, such as `khala_publish_rate_limited`.
    pub error: String,
    /// Limit that was hit, per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_publish_per_second: Option<u64>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Class of the topic whose limit was hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_class: Option<String>,
}
