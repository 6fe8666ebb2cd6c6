//! Answers to requests: publishes, tokens, metrics.

use std::time::Duration;

use crate::wire::deviation::{Step, drip};
use crate::wire::http::{Answer, Purpose, Request};

rows![
    metrics_hang,
    metrics_401,
    metrics_404,
    metrics_html,
    metrics_half,
    pub_429,
    pub_500,
    pub_503,
    pub_redirect,
    pub_gzip,
    pub_drip,
    pub_chunked,
    pub_extra_fields,
    mint_drip,
    mint_extra_fields,
    mint_hang,
    mint_503,
    mint_html,
    mint_redirect,
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
    let answer = answer.edited(|document| {
        document["trace"] = "4bf92f".into();
        document["data"]["region"] = "eu".into();
    });
    Some(vec![Step::Send(answer?.bytes())])
}

/// An answer a few bytes at a time, over some 100 ms.
fn slowly(answer: &Answer) -> Vec<Step> {
    drip(&answer.bytes(), 16, Duration::from_millis(1))
}
