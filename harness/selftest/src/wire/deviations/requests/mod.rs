//! HTTP in other words: connections that stay, answers without a length, interim answers, caches, and
//! proxies that try again.

use crate::wire::http::{Purpose, Request};

rows![
    keep_alive,
    keep_alive_short,
    answers_http10,
    answers_until_closed,
    answers_chunk_extensions,
    answers_interim,
    answers_untyped,
    answers_pretty,
    mint_201,
    mint_late,
    mint_one_503,
    pub_late,
    pub_limited,
    metrics_late,
    metrics_503,
    metrics_extra_fields,
    mint_cached,
    mint_cached_by_user,
    pub_cached,
    pub_repeated,
    mint_truncated,
    pub_swallowed,
];

/// Whether a client or a publisher of the run asks: what sets up and takes down is left alone.
fn of_run(request: &Request) -> bool {
    matches!(request.purpose, Purpose::Mint | Purpose::Publish)
}
