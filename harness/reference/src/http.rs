//! The HTTP side: the socket's upgrade, the command path, minting, and the operators' view.

pub mod answer;
mod command;
mod limit;
mod mint;
mod operator;
mod revoke;
mod run;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use khala_wire::command::{REVOKE_PATH, TOKEN_PATH, WORKERS_PATH};
use khala_wire::metrics::METRICS_PATH;
use tokio_util::task::TaskTracker;

pub use self::operator::TRIM_PATH;
pub use self::snapshot::Snapshots;
use crate::shared::Shared;
use crate::socket::upgrade;

/// JSON around the largest payload that a command may carry.
const BODY_ENVELOPE_BYTES: usize = 64 << 10;

/// What every handler sees.
#[derive(Clone)]
pub struct AppState {
    /// The server.
    pub shared: Arc<Shared>,
    /// Sockets that a graceful stop waits for.
    pub tasks: TaskTracker,
}

/// Every route of the runtime.
pub fn router(state: AppState) -> Router {
    let config = &state.shared.config;
    let request_timeout = config.request_timeout;
    let payload_max =
        config.publish.iter().map(|limits| limits.payload_bytes_max).max().unwrap_or(0);
    let mut router = Router::new()
        .route("/healthz", get(operator::healthz))
        .route("/readyz", get(operator::readyz))
        .route(TOKEN_PATH, post(mint::mint))
        .route(WORKERS_PATH, post(command::create_worker))
        .route(&format!("{WORKERS_PATH}/{{id}}/events"), post(command::publish))
        .route(&format!("{WORKERS_PATH}/{{id}}/stop"), post(command::stop_worker))
        .route(&format!("{WORKERS_PATH}/{{id}}/snapshot"), get(command::worker_document))
        .route("/internal/v1/khala/topics/{topic}/snapshot", get(snapshot::snapshot))
        .route("/internal/v1/runs", post(run::create))
        .route("/internal/v1/runs/{id}/events", post(run::append))
        .route(TRIM_PATH, post(operator::trim))
        .route(REVOKE_PATH, post(revoke::revoke))
        .route(METRICS_PATH, get(operator::metrics));
    for path in config.all_socket_paths() {
        router = router.route(&path, get(upgrade));
    }
    router
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(payload_max.saturating_add(BODY_ENVELOPE_BYTES)))
        .layer(axum::middleware::from_fn_with_state(request_timeout, in_time))
        .layer(axum::middleware::map_response(head_like_a_runtime))
        .with_state(state)
}

/// Ends a request whose body does not come.
async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

async fn not_found() -> Response {
    let mut response = Response::new(Body::from(r#"{"errors":{"detail":"Not Found"}}"#));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Headers that a real runtime puts on everything.
async fn head_like_a_runtime(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let cache = HeaderValue::from_static("max-age=0, private, must-revalidate");
    headers.insert(header::CACHE_CONTROL, cache);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let vary = HeaderValue::from_static("accept-encoding");
        response.headers_mut().insert(header::VARY, vary);
    }
    response
}
