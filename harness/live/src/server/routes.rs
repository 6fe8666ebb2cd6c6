//! What can be asked for.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use khala_evidence::render::report_html::so_far;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::door::{self, Bearer};
use super::{Shared, Shown, VIEWER, exposition};

/// Nothing but what this listener serves itself; text of the target's is set as text, never as markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// All that can be asked for.
pub fn of(shared: Arc<Shared>) -> Router {
    // The page itself knows nothing: its token is in the address's fragment, which no request carries.
    let page = so_far::page(&["report.css", "live.css"], &["report.js", "live.js"]);
    let (html, css, js) =
        ("text/html; charset=utf-8", "text/css", "text/javascript; charset=utf-8");
    let files = [
        ("/", html, page),
        ("/report.css", css, so_far::STYLES.join("\n")),
        ("/report.js", js, so_far::SCRIPTS.join("\n")),
        ("/live.css", css, include_str!("../page/live.css").to_owned()),
        ("/live.js", js, include_str!("../page/live.js").to_owned()),
    ];
    let open = files.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        let text = Bytes::from(text);
        router.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], text) }))
    });
    let reads = Router::new()
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state((Arc::clone(&shared), Bearer::HeaderOrQuery), known));
    let acts = Router::new()
        .route("/abort", post(abort))
        .route("/faults/{id}/{way}", post(switch))
        .layer(from_fn_with_state((Arc::clone(&shared), Bearer::Header), known));
    open.merge(reads).merge(acts).with_state(shared).layer(from_fn(guarded))
}

/// Turns away who speaks from elsewhere, and tells browsers what an answer may do.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = match door::place(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Turns away who does not know the token.
async fn known(
    State((shared, bearer)): State<(Arc<Shared>, Bearer)>,
    request: Request,
    next: Next,
) -> Response {
    match door::token(request.headers(), request.uri(), bearer, &shared.token) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            let mut response = refused.into_response();
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
    }
}

/// Asks for the end of the run. The run ends as by a signal: with its evidence, and exit code 105.
async fn abort(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    shared.aborted.store(true, Ordering::Relaxed);
    shared.interrupt.cancel();
    (StatusCode::ACCEPTED, "the run ends; its evidence is written\n")
}

/// Switches a fault that waits for a hand.
async fn switch(
    State(shared): State<Arc<Shared>>,
    Path((id, way)): Path<(u16, String)>,
) -> (StatusCode, String) {
    let on = match way.as_str() {
        "on" => true,
        "off" => false,
        _ => return (StatusCode::NOT_FOUND, "a fault is switched on or off\n".to_owned()),
    };
    match shared.switches.turn(id, on, VIEWER) {
        Ok(()) => (StatusCode::OK, format!("fault {id} is {way}\n")),
        Err(stuck) => (StatusCode::CONFLICT, format!("{stuck}\n")),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    match exposition::text(&shared) {
        Ok(text) => {
            ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Server-sent events: `history` once, `frame` each second, at the end `page`, which is `report.html`, and as the last
/// `report`, which is the data in it.
async fn events(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(permit) = Arc::clone(&shared.viewers).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many viewers\n").into_response();
    };
    // Data are made of strings and numbers.
    let history = serde_json::to_vec(&shared.watch().data(true)).unwrap_or_default();
    let mut shown = shared.shown.clone();
    shown.mark_changed();
    let viewer = Viewer { history: Some(event("history", &history)), shown, over: false, permit };
    let body = Body::from_stream(stream::unfold(viewer, next));
    // So that the last event ends the connection.
    ([(CONTENT_TYPE, "text/event-stream"), (CONNECTION, "close")], body).into_response()
}

struct Viewer {
    history: Option<Bytes>,
    shown: watch::Receiver<Shown>,
    over: bool,
    /// Given back when the viewer goes.
    #[expect(dead_code, reason = "it is held")]
    permit: OwnedSemaphorePermit,
}

/// The next event of a viewer: the latest picture, whatever was missed.
async fn next(mut viewer: Viewer) -> Option<(Result<Bytes, Infallible>, Viewer)> {
    if let Some(history) = viewer.history.take() {
        return Some((Ok(history), viewer));
    }
    loop {
        if viewer.over || viewer.shown.changed().await.is_err() {
            return None;
        }
        let bytes = match &*viewer.shown.borrow_and_update() {
            Shown::Nothing => continue,
            Shown::Frame(json) => event("frame", json),
            Shown::Report(page, data) => {
                viewer.over = true;
                [event("page", page), event("report", data)].concat().into()
            }
        };
        return Some((Ok(bytes), viewer));
    }
}

/// An event as the standard writes it: what is between line feeds is a line of data, so that a reader who puts
/// them together with line feeds has the same bytes (HTML, 9.2.6).
fn event(name: &str, data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(data.len() + 64);
    bytes.put_slice(b"event: ");
    bytes.put_slice(name.as_bytes());
    bytes.put_u8(b'\n');
    for line in data.split(|byte| *byte == b'\n') {
        bytes.put_slice(b"data: ");
        bytes.put_slice(line);
        bytes.put_u8(b'\n');
    }
    bytes.put_u8(b'\n');
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_several_lines_is_an_event_of_several_and_the_last_line_feed_is_kept() {
        assert_eq!(event("x", b"{\n}\n"), "event: x\ndata: {\ndata: }\ndata: \n\n");
    }
}
