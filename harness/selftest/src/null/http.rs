//! The HTTP side of the null server: sockets, the commands that make events, and its record.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use khala_wire::command::{
    CreateWorker, Data, EventAccepted, PublishEvent, StopWorker, WORKERS_PATH, WorkerCreated,
    WorkerStopped,
};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::lane::Lane;
use super::log::NotTaken;
use super::record::{RECORD_PATH, Record};
use super::shared::Shared;
use crate::clock;
use khala_reference::speech::{Answer, Refused, read_body};
use khala_reference::sync::write;

/// Where sockets are opened: at the public edge and at the runtime itself.
const SOCKET_PATHS: [&str; 2] = ["/sync/socket/websocket", "/socket/websocket"];

/// All routes.
pub fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route(WORKERS_PATH, post(create))
        .route(&format!("{WORKERS_PATH}/{{id}}/events"), post(publish))
        .route(&format!("{WORKERS_PATH}/{{id}}/stop"), post(stop))
        .route(RECORD_PATH, get(record));
    for path in SOCKET_PATHS {
        router = router.route(path, get(upgrade));
    }
    router.with_state(shared)
}

fn accepted<T: serde::Serialize>(data: T) -> Response {
    (StatusCode::ACCEPTED, Json(Data { data })).into_response()
}

async fn upgrade(State(shared): State<Arc<Shared>>, ws: WebSocketUpgrade) -> Response {
    ws.on_upgrade(move |socket| Lane::new(socket, shared).run())
}

async fn create(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Answer {
    let CreateWorker { worker_id, .. } = read_body(&bytes)?;
    let (latest_seq, idempotent_replay) = write(&shared.log).create(&worker_id);
    if !idempotent_replay {
        append(&shared, &worker_id, "worker.started", &json!({}), clock::now())?;
    }
    let status = "running".to_owned();
    Ok(accepted(WorkerCreated { idempotent_replay, latest_seq, status, worker_id }))
}

async fn publish(
    State(shared): State<Arc<Shared>>,
    Path(worker_id): Path<String>,
    bytes: Bytes,
) -> Answer {
    let taken = clock::now();
    let PublishEvent::<Box<RawValue>> { event } = read_body(&bytes)?;
    let seq = append(&shared, &worker_id, &event.event_type, &event.payload, taken)?;
    let occurred_at = khala_reference::speech::rfc3339();
    let (event_type, payload) = (event.event_type, event.payload);
    Ok(accepted(EventAccepted { event_type, occurred_at, payload, seq, worker_id }))
}

async fn stop(
    State(shared): State<Arc<Shared>>,
    Path(worker_id): Path<String>,
    bytes: Bytes,
) -> Answer {
    let StopWorker { reason } = read_body(&bytes)?;
    append(&shared, &worker_id, "worker.stopped", &json!({ "reason": reason }), clock::now())?;
    let status = "stopped".to_owned();
    Ok(accepted(WorkerStopped { idempotent_replay: false, status, worker_id }))
}

/// Appends an event and wakes every client.
fn append<P: serde::Serialize>(
    shared: &Shared,
    worker: &str,
    event_type: &str,
    payload: &P,
    taken: Instant,
) -> Result<u64, Refused> {
    let invalid = |_| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_payload");
    let payload = to_raw_value(payload).map_err(invalid)?;
    let mut log = write(&shared.log);
    let seq = log.append(worker, event_type, &payload, taken).map_err(|why| {
        let status = match why {
            NotTaken::UnknownWorker => StatusCode::NOT_FOUND,
            NotTaken::Full => StatusCode::INSUFFICIENT_STORAGE,
            NotTaken::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Refused::new(status, why.to_string())
    })?;
    let (head, marked) = (log.head(), log.events().last().is_some_and(|e| e.at_us.is_some()));
    drop(log);
    shared.head.send_replace(head);
    if marked && shared.begun.borrow().is_none() {
        shared.begun.send_replace(Some(taken));
    }
    Ok(seq)
}

#[derive(Debug, Deserialize)]
struct Window {
    #[serde(default)]
    from_us: u64,
    #[serde(default = "always")]
    to_us: u64,
}

fn always() -> u64 {
    u64::MAX
}

async fn record(State(shared): State<Arc<Shared>>, Query(window): Query<Window>) -> Json<Record> {
    Json(Record::of(&shared, window.from_us, window.to_us))
}
