//! HTTP in other words: connections that stay, answers without a length, interim answers, caches, and
//! proxies that try again.

use std::time::Duration;

use serde_json::Value;

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    // Connections that stay for the next request (RFC 9112, section 9.3), as every server keeps them.
    Row::go("keep_alive", Deviation::keep_alive(Duration::from_secs(5))).control(),
    // Connections that stay for 60 ms only (RFC 9112, section 9.3.1: a client may meet a close at any time):
    // Node's `keepAliveTimeout`, made short.
    Row::go("keep_alive_short", Deviation::keep_alive(Duration::from_millis(60))).control(),
    Row::go("answers_http10", Deviation::answer(answers_http10)).control(),
    Row::go("answers_until_closed", Deviation::answer(answers_until_closed)).control(),
    Row::go("answers_chunk_extensions", Deviation::answer(answers_chunk_extensions)).control(),
    Row::go("answers_interim", Deviation::answer(answers_interim)).control(),
    Row::go("answers_untyped", Deviation::answer(answers_untyped)).control(),
    Row::go("answers_pretty", Deviation::answer(answers_pretty)).control(),
    Row::go("mint_201", Deviation::answer(mint_201)).control(),
    Row::go("mint_late", Deviation::answer(mint_late)).control(),
    Row::go("mint_one_503", Deviation::request(mint_one_503)).control().set(&["fleet.clients=24"]),
    Row::go("pub_late", Deviation::answer(pub_late)),
    Row::go("pub_limited", Deviation::request(pub_limited)),
    Row::go("metrics_late", Deviation::answer(metrics_late)),
    Row::told("metrics_503", Deviation::request(metrics_503), "metrics"),
    Row::go("metrics_extra_fields", Deviation::answer(metrics_extra_fields)),
    // The first token for everybody: a cache that takes no account of `Authorization` (RFC 9111, section
    // 3.5, forbids it). Each client then speaks as somebody else.
    Row::no_go("mint_cached", Deviation::cached(Purpose::Mint), "authz_leak", "another client's")
        .control(),
    // The first answer for every publish, which then never reaches the runtime: a cache of POSTs.
    Row::no_go(
        "pub_cached",
        Deviation::cached(Purpose::Publish),
        "lost_publish",
        "reached no client",
    ),
    // Every fourth publish twice: a proxy that tries again although the request is not idempotent (nginx's
    // `proxy_next_upstream … non_idempotent`, RFC 9110, section 9.2.2).
    Row::no_go(
        "pub_repeated",
        Deviation::repeated(Purpose::Publish),
        "bad_duplicate",
        "came out again",
    ),
    Row::no_go(
        "mint_truncated",
        Deviation::answer(mint_truncated),
        "gate:stability",
        "mint_errors",
    )
    .control(),
    Row::no_go(
        "pub_swallowed",
        Deviation::request(pub_swallowed),
        "lost_publish",
        "reached no client",
    ),
];

/// Whether a client or a publisher of the run asks: what sets up and takes down is left alone.
fn of_run(request: &Request) -> bool {
    matches!(request.purpose, Purpose::Mint | Purpose::Publish)
}

/// Tokens and commands answered over HTTP/1.0, as nginx speaks by default to what is behind it.
fn answers_http10(request: &Request, mut answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then_some(())?;
    answer.head.line = answer.head.line.replace("HTTP/1.1", "HTTP/1.0");
    Some(vec![Step::Send(answer.bytes())])
}

/// Answers without a length, whose end is the connection's (RFC 9112, section 6.3, last rule).
fn answers_until_closed(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then(|| vec![Step::Send(answer.until_closed())])
}

/// Chunks with extensions, and a trailer behind them (RFC 9112, sections 7.1.1 and 7.1.2).
fn answers_chunk_extensions(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then_some(())?;
    let text = String::from_utf8(answer.chunked(answer.body.len())).ok()?;
    let size = format!("\r\n\r\n{:x}", answer.body.len());
    let text = text.replacen(&size, &format!("{size};a=b;c=\"d\""), 1);
    let end = text.strip_suffix("0\r\n\r\n")?;
    let text = format!("{end}0;last\r\nServer-Timing: db;dur=1\r\n\r\n");
    Some(vec![Step::Send(text.into_bytes())])
}

/// 100 and 103 before the answer (RFC 9110, section 15.2: a client must be able to parse them even if it
/// does not expect one).
fn answers_interim(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then(|| {
        let interim =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        vec![Step::Send([&interim[..], &answer.bytes()].concat())]
    })
}

/// Answers without a Content-Type (RFC 9110, section 8.3: a recipient may guess).
fn answers_untyped(request: &Request, mut answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then_some(())?;
    answer.head = answer.head.with("Content-Type", None);
    Some(vec![Step::Send(answer.bytes())])
}

/// JSON with white space in and around it (RFC 8259, section 2), as frameworks print it outside of
/// production.
fn answers_pretty(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    of_run(request).then_some(())?;
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    let text = format!("\r\n{}\r\n", serde_json::to_string_pretty(&document).ok()?);
    Some(vec![Step::Send(answer.saying(text).bytes())])
}

/// 201 in place of 200: a token was made (RFC 9110, section 15.3.2); the contract names no status.
fn mint_201(request: &Request, mut answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Mint).then_some(())?;
    "HTTP/1.1 201 Created".clone_into(&mut answer.head.line);
    Some(vec![Step::Send(answer.bytes())])
}

/// Tokens after 700 ms: a key that is fetched from elsewhere.
fn mint_late(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(700));
    (request.purpose == Purpose::Mint).then(|| vec![late, Step::Send(answer.bytes())])
}

/// One client's first token is not to be had (contract, section 2: 503 when minting is off); it tries
/// again. One of twelve is within the limit of the scenario.
fn mint_one_503(request: &Request) -> Option<Vec<Step>> {
    let answer = Answer::new("503 Service Unavailable", &[("Retry-After", "1")], "");
    let hit = request.purpose == Purpose::Mint && request.number == 5;
    hit.then(|| vec![Step::Send(answer.bytes())])
}

/// Publishes are answered 400 ms late, when what they made has reached everybody: nothing orders the two.
fn pub_late(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(400));
    (request.purpose == Purpose::Publish).then(|| vec![late, Step::Send(answer.bytes())])
}

/// Every fourth publish is refused by its rate (contract, section 4), and does not happen.
fn pub_limited(request: &Request) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish && request.number % 4 == 3).then(|| {
        let body = r#"{"error":"khala_publish_rate_limited","retry_after_ms":500,
            "topic_class":"codex_worker_events","max_publish_per_second":240}"#;
        let headers = [("Content-Type", "application/json"), ("Retry-After", "1")];
        vec![Step::Send(Answer::new("429 Too Many Requests", &headers, body).bytes())]
    })
}

/// The fan-out metrics after 700 ms: an operators' view that is computed when it is asked for.
fn metrics_late(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(700));
    (request.purpose == Purpose::Metrics).then(|| vec![late, Step::Send(answer.bytes())])
}

/// No metrics while a store is away (RFC 9110, section 15.6.4).
fn metrics_503(request: &Request) -> Option<Vec<Step>> {
    let answer = Answer::new("503 Service Unavailable", &[("Retry-After", "5")], "");
    (request.purpose == Purpose::Metrics).then(|| vec![Step::Send(answer.bytes())])
}

/// More figures, and a window of a topic that the contract does not know: a newer build.
fn metrics_extra_fields(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Metrics).then_some(())?;
    let mut document: Value = serde_json::from_slice(&answer.body).ok()?;
    document["uptime_seconds"] = 1.5.into();
    document["delivery_metrics"]["bytes_out"] = 1024.into();
    let windows = document["topic_windows"].as_array_mut()?;
    let mut another = windows.first()?.clone();
    another["topic"] = "runtime.of_another_age".into();
    another["shards"] = serde_json::json!([1, 2]);
    windows.push(another);
    Some(vec![Step::Send(answer.saying(document.to_string()).bytes())])
}

/// A token that ends in the middle, with the length of all of it (RFC 9112, section 8: incomplete).
fn mint_truncated(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    let half = &answer.bytes()[..answer.bytes().len() - answer.body.len() / 2];
    let hit = request.purpose == Purpose::Mint && request.number % 2 == 1;
    hit.then(|| vec![Step::Send(half.to_vec()), Step::Finish])
}

/// Publishes are acknowledged by a middle box that never passes them on.
fn pub_swallowed(request: &Request) -> Option<Vec<Step>> {
    let hit = request.purpose == Purpose::Publish && request.number % 4 == 3;
    hit.then(|| {
        let seq = 100_000 + request.number;
        let body = format!(
            r#"{{"data":{{"seq":{seq},"event_type":"load","payload":{{}},"occurred_at":"2026-01-01T00:00:00Z","worker_id":"w"}}}}"#
        );
        let headers = [("Content-Type", "application/json")];
        vec![Step::Send(Answer::new("202 Accepted", &headers, body).bytes())]
    })
}
