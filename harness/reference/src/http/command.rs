//! The command path: workers and their events. Mutations travel here and nowhere else.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use khala_wire::canonical::canonical_json;
use khala_wire::command::{
    CreateWorker, Data, EventAccepted, PublishEvent, StopWorker, USER_ID_HEADER, WorkerCreated,
    WorkerStopped,
};
use khala_wire::signature::{self, SIGNATURE_HEADER};
use khala_wire::topic::WORKER_EVENTS;
use serde_json::Value;
use serde_json::value::RawValue;

use super::AppState;
use super::answer::{Answer, Refused, read_body};
use super::limit::Limits;
use crate::clock;

/// Class of the event topic among the publish limits.
const CLASS: &str = "codex_worker_events";

/// `POST /internal/v1/codex/workers`
pub async fn create_worker(
    State(AppState { shared, .. }): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let user = signed(shared.config.signature_secret.as_deref(), &headers)?;
    let CreateWorker { worker_id, workspace_ref } = read_body(&body)?;
    let (latest_seq, status, idempotent_replay) =
        shared.store.create_worker(&worker_id, workspace_ref, user)?;
    let status = status.to_owned();
    Ok(accepted(WorkerCreated { idempotent_replay, latest_seq, status, worker_id }))
}

/// `POST /internal/v1/codex/workers/{id}/events`
pub async fn publish(
    State(AppState { shared, .. }): State<AppState>,
    Path(worker_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    signed(shared.config.signature_secret.as_deref(), &headers)?;
    let PublishEvent::<Value> { event } = read_body(&body)?;
    let invalid = || Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_payload");
    if !event.payload.is_object() {
        return Err(invalid());
    }
    let text = canonical_json(&event.payload);
    let limits = Limits::of(&shared);
    limits.within_payload(WORKER_EVENTS, text.len())?;
    limits.within_rate(WORKER_EVENTS, CLASS)?;
    let payload = RawValue::from_string(text).map_err(|_| invalid())?;
    let published =
        shared.store.publish(&shared.defects, &worker_id, &event.event_type, &payload)?;
    Ok(accepted(EventAccepted {
        event_type: event.event_type,
        occurred_at: published.occurred_at,
        payload,
        seq: published.seq,
        worker_id,
    }))
}

/// `POST /internal/v1/codex/workers/{id}/stop`
pub async fn stop_worker(
    State(AppState { shared, .. }): State<AppState>,
    Path(worker_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    signed(shared.config.signature_secret.as_deref(), &headers)?;
    let StopWorker { reason } = read_body(&body)?;
    let idempotent_replay = shared.store.stop_worker(&worker_id, &reason)?;
    let status = "stopped".to_owned();
    Ok(accepted(WorkerStopped { idempotent_replay, status, worker_id }))
}

/// `GET /internal/v1/codex/workers/{id}/snapshot`
pub async fn worker_document(
    State(AppState { shared, .. }): State<AppState>,
    Path(worker_id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    signed(shared.config.signature_secret.as_deref(), &headers)?;
    let document = shared.store.worker_document(&worker_id);
    let data = document.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "not_found"))?;
    Ok(Json(Data { data }).into_response())
}

fn accepted<T: serde::Serialize>(data: T) -> Response {
    (StatusCode::ACCEPTED, Json(Data { data })).into_response()
}

/// Checks the signature, if there is a secret by which commands need one: it must be fresh and name the
/// header's user.
pub fn signed<'h>(
    secret: Option<&[u8]>,
    headers: &'h HeaderMap,
) -> Result<Option<&'h str>, Refused> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let user = text(USER_ID_HEADER);
    let Some(secret) = secret else { return Ok(user) };
    let header =
        text(SIGNATURE_HEADER).ok_or_else(|| Refused::unauthorized("missing_signature"))?;
    let payload = signature::verify(secret, header, clock::unix_s())
        .map_err(|deny| Refused::unauthorized(deny.to_string()))?;
    if user != Some(&*payload.user_id) {
        return Err(Refused::new(StatusCode::FORBIDDEN, "user_mismatch"));
    }
    Ok(user)
}
