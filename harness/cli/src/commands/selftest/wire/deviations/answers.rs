//! Answers to requests: publishes, tokens, metrics.

use std::time::Duration;

use crate::commands::selftest::wire::deviation::{Deviation, Step};
use crate::commands::selftest::wire::http::{Answer, Purpose, Request};
use crate::commands::selftest::wire::row::Row;

/// Longer than any run here waits.
const FOR_EVER: Duration = Duration::from_secs(120);

pub const ROWS: &[Row] = &[
    Row::told("metrics_hang", Deviation::request(metrics_hang), "metrics"),
    Row::no_go("pub_429", Deviation::answer(pub_429), "phantom", "429"),
];

/// The fan-out metrics never answer, as an operators' view behind a locked store.
fn metrics_hang(request: &Request) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then(|| vec![Step::Wait(FOR_EVER), Step::Finish])
}

/// Every fourth publish is refused by a rate limit that stands behind the write: it happens all the same.
fn pub_429(request: &Request, _: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish && request.number % 4 == 3).then(|| {
        let body = r#"{"error":"khala_publish_rate_limited","retry_after_ms":500}"#;
        let headers = [("Content-Type", "application/json")];
        vec![Step::Send(Answer::new("429 Too Many Requests", &headers, body).bytes())]
    })
}
