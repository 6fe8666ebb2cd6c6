//! `POST /internal/v1/runs` and `…/runs/{id}/events`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use khala_wire::command::{AppendRunEvent, CreateRun, RunEnvelope};
use khala_wire::topic::RUN_SUMMARIES;

use super::AppState;
use super::answer::{Answer, read_body};
use super::command::signed;
use super::limit::Limits;

/// Class of a run's topic among the publish limits.
const CLASS: &str = "run_events";

/// `POST /internal/v1/runs`
pub async fn create(
    State(AppState { shared, .. }): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    signed(shared.config.signature_secret.as_deref(), &headers)?;
    let command: CreateRun = if body.is_empty() { CreateRun::default() } else { read_body(&body)? };
    let run = shared.store.create_run(command)?;
    Ok((StatusCode::CREATED, Json(RunEnvelope { run })).into_response())
}

/// `POST /internal/v1/runs/{id}/events`
pub async fn append(
    State(AppState { shared, .. }): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    signed(shared.config.signature_secret.as_deref(), &headers)?;
    let event: AppendRunEvent = read_body(&body)?;
    let limits = Limits::of(&shared);
    limits.within_payload(RUN_SUMMARIES, event.payload.to_string().len())?;
    limits.within_rate(RUN_SUMMARIES, CLASS)?;
    let run = shared.store.append_run(&id, event)?;
    Ok(Json(RunEnvelope { run }).into_response())
}
