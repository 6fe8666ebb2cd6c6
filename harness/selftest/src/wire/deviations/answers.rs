//! Answers to requests: publishes, tokens, metrics.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::wire::deviation::{Deviation, Step, drip};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

/// Longer than any run here waits.
const FOR_EVER: Duration = Duration::from_secs(120);

pub const ROWS: &[Row] = &[
    Row::told("metrics_hang", Deviation::request(metrics_hang), METRICS),
    Row::told("metrics_401", Deviation::request(metrics_401), METRICS),
    Row::told("metrics_404", Deviation::request(metrics_404), METRICS),
    Row::told("metrics_html", Deviation::request(metrics_html), METRICS),
    Row::told("metrics_half", Deviation::answer(metrics_half), METRICS),
    Row::told("pub_429", Deviation::answer(pub_429), "refused"),
    Row::no_go("pub_500", Deviation::answer(pub_500), STABILITY, PUBLISHES),
    Row::no_go("pub_503", Deviation::request(pub_503), STABILITY, PUBLISHES),
    Row::no_go("pub_redirect", Deviation::request(pub_redirect), STABILITY, PUBLISHES),
    Row::no_go("pub_gzip", Deviation::answer(pub_gzip), STABILITY, PUBLISHES),
    Row::go("pub_drip", Deviation::answer(pub_drip)),
    Row::go("pub_chunked", Deviation::answer(pub_chunked)),
    Row::go("pub_extra_fields", Deviation::answer(pub_extra_fields)),
    Row::go("mint_drip", Deviation::answer(mint_drip)).control(),
    Row::go("mint_extra_fields", Deviation::answer(mint_extra_fields)).control(),
    Row::no_go("mint_hang", Deviation::request(mint_hang), STABILITY, MINTS)
        .control()
        .set(&["target.request_timeout=1s"]),
    Row::no_go("mint_503", Deviation::request(mint_503), STABILITY, MINTS).control(),
    Row::no_go("mint_html", Deviation::request(mint_html), STABILITY, MINTS).control(),
    Row::no_go("mint_redirect", Deviation::request(mint_redirect), STABILITY, MINTS).control(),
];

const STABILITY: &str = "gate:stability";
const METRICS: &str = "metrics";
const PUBLISHES: &str = "publish_errors";
const MINTS: &str = "mint_errors";
const HTML: (&str, &str) = ("Content-Type", "text/html");
const ELSEWHERE: (&str, &str) = ("Location", "http://127.0.0.1:1/elsewhere");

/// An answer in place of every second one for a purpose; the first is the set-up's.
fn half(request: &Request, purpose: Purpose, answer: &Answer) -> Option<Vec<Step>> {
    let hit = request.purpose == purpose && request.number % 2 == 1;
    hit.then(|| vec![Step::Send(answer.bytes())])
}

/// An answer in place of each for a purpose.
fn each(request: &Request, purpose: Purpose, answer: &Answer) -> Option<Vec<Step>> {
    (request.purpose == purpose).then(|| vec![Step::Send(answer.bytes())])
}

/// The same document with a field that nobody knows.
fn with_a_field(answer: Answer) -> Option<Vec<Step>> {
    let mut document: Value = serde_json::from_slice(&answer.body).ok()?;
    document["trace"] = "4bf92f".into();
    document["data"]["region"] = "eu".into();
    Some(vec![Step::Send(answer.saying(document.to_string()).bytes())])
}

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

/// They want another token (contract, section 5: the admin's).
fn metrics_401(request: &Request) -> Option<Vec<Step>> {
    each(request, Purpose::Metrics, &Answer::new("401 Unauthorized", &[], ""))
}

/// There are none: some runtimes have not that path.
fn metrics_404(request: &Request) -> Option<Vec<Step>> {
    each(request, Purpose::Metrics, &Answer::new("404 Not Found", &[], ""))
}

/// A page in their place, with status 200.
fn metrics_html(request: &Request) -> Option<Vec<Step>> {
    each(request, Purpose::Metrics, &Answer::new("200 OK", &[HTML], "<html></html>"))
}

/// The metrics without `topic_windows`: a view that a newer build took apart.
fn metrics_half(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then_some(())?;
    let mut document: Value = serde_json::from_slice(&answer.body).ok()?;
    document.as_object_mut()?.remove("topic_windows");
    Some(vec![Step::Send(answer.saying(document.to_string()).bytes())])
}

/// Every second publish ends in a 500 behind the write: it happens all the same.
fn pub_500(request: &Request, _: Answer) -> Option<Vec<Step>> {
    half(request, Purpose::Publish, &Answer::new("500 Internal Server Error", &[], ""))
}

/// Every second publish is turned away with a 503 and a Retry-After, and does not happen.
fn pub_503(request: &Request) -> Option<Vec<Step>> {
    let headers = [("Retry-After", "1")];
    half(request, Purpose::Publish, &Answer::new("503 Service Unavailable", &headers, ""))
}

/// Every second publish is redirected.
fn pub_redirect(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Publish, &Answer::new("307 Temporary Redirect", &[ELSEWHERE], ""))
}

/// Answers that are compressed although nobody said that he can read that (RFC 9110, section 12.5.3).
fn pub_gzip(request: &Request, mut answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then_some(())?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&answer.body).ok()?;
    answer.head = answer.head.and("Content-Encoding", "gzip");
    Some(vec![Step::Send(answer.saying(gzip.finish().ok()?).bytes())])
}

/// An answer a few bytes at a time, over some 100 ms.
fn slowly(answer: &Answer) -> Vec<Step> {
    drip(&answer.bytes(), 16, Duration::from_millis(1))
}

/// Publishes are answered a few bytes at a time.
fn pub_drip(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then(|| slowly(&answer))
}

/// Publishes are answered in chunks, without a length (RFC 9112, section 7.1).
fn pub_chunked(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then(|| vec![Step::Send(answer.chunked(7))])
}

/// Publishes are answered with more fields than the contract has.
fn pub_extra_fields(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish).then_some(())?;
    with_a_field(answer)
}

/// Tokens come a few bytes at a time.
fn mint_drip(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then(|| slowly(&answer))
}

/// Tokens come with more fields than the contract has.
fn mint_extra_fields(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then_some(())?;
    with_a_field(answer)
}

/// Every second token request is never answered.
fn mint_hang(request: &Request) -> Option<Vec<Step>> {
    let hit = request.purpose == Purpose::Mint && request.number % 2 == 1;
    hit.then(|| vec![Step::Wait(FOR_EVER), Step::Finish])
}

/// Minting is off for every second request (contract, section 2).
fn mint_503(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Mint, &Answer::new("503 Service Unavailable", &[], ""))
}

/// Every second token request gets a page, with status 200.
fn mint_html(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Mint, &Answer::new("200 OK", &[HTML], "<html></html>"))
}

/// Every second token request is redirected, as to a log-in page.
fn mint_redirect(request: &Request) -> Option<Vec<Step>> {
    half(request, Purpose::Mint, &Answer::new("302 Found", &[ELSEWHERE], ""))
}
