//! The operators' view: health, readiness, fan-out metrics; and one hand of theirs, the trim of
//! retention.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use khala_wire::topic::TopicId;
use serde::Deserialize;
use serde_json::json;

use super::AppState;
use super::answer::{Answer, Refused, read_body, require_admin};
use crate::metrics::fanout_metrics;

/// `POST` to prune a topic. Only the reference runtime has it: `{"topic", "keep"}` prunes the topic
/// to its newest `keep` events, as if the others had outlived their retention, and answers
/// `{"data": {"topic", "pruned", "oldest_sequence", "head_sequence"}}`.
pub const TRIM_PATH: &str = "/internal/v1/khala/admin/trim";

/// `topic_limit` when it is not given.
const TOPIC_LIMIT: usize = 20;

/// Query of the metrics.
#[derive(Debug, Default, Deserialize)]
pub struct MetricsQuery {
    topic_limit: Option<usize>,
}

/// `GET /healthz`
pub async fn healthz() -> Response {
    Json(json!({"service": "khala-reference", "status": "ok"})).into_response()
}

/// `GET /readyz`: 503 once the server is stopping, or cannot record what it acknowledges.
pub async fn readyz(State(AppState { shared, .. }): State<AppState>) -> Response {
    if shared.stopping() {
        let body = Json(json!({"ready": false, "status": "stopping"}));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    if shared.store.journal_failed() {
        let body = Json(json!({"ready": false, "status": "journal_failed"}));
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    Json(json!({"ready": true, "status": "ready"})).into_response()
}

/// `GET /internal/v1/khala/fanout/metrics`
pub async fn metrics(
    State(AppState { shared, .. }): State<AppState>,
    Query(query): Query<MetricsQuery>,
    headers: HeaderMap,
) -> Answer {
    require_admin(shared.config.admin_token.as_deref(), &headers)?;
    let limit = query.topic_limit.unwrap_or(TOPIC_LIMIT);
    Ok(Json(fanout_metrics(&shared, limit)).into_response())
}

/// Body of a trim.
#[derive(Debug, Deserialize)]
pub struct Trim {
    topic: String,
    keep: usize,
}

/// `POST /internal/v1/khala/admin/trim`
pub async fn trim(
    State(AppState { shared, .. }): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    require_admin(shared.config.admin_token.as_deref(), &headers)?;
    let Trim { topic, keep } = read_body(&body)?;
    let known =
        TopicId::of(&topic).ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "unknown_topic"))?;
    let log = shared.store.log(known);
    let pruned = log.trim_to(keep);
    let window = log.window();
    // A tail that has not been sent what was pruned must notice, not wait for the next event.
    shared.store.ring();
    let data = json!({
        "topic": topic,
        "pruned": pruned,
        "oldest_sequence": window.oldest,
        "head_sequence": window.head,
    });
    Ok(Json(json!({ "data": data })).into_response())
}
