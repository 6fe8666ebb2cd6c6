//! Takes a topic's snapshot over HTTP, where the target serves one.

use hyper::header::AUTHORIZATION;
use khala_evidence::record::Outcome;
use khala_wire::payload::SNAPSHOT_FORMAT;
use khala_wire::snapshot::{Snapshot, snapshot_path};
use khala_wire::topic::TopicId;

use crate::http::{Header, Http};

/// The snapshot's watermark; `None` of a document that is not a snapshot of this topic.
///
/// # Errors
/// How the request counts.
pub async fn take(
    http: &Http,
    token: Option<&str>,
    topic: TopicId,
) -> Result<Option<u64>, Outcome> {
    let headers: Vec<Header> =
        token.iter().map(|token| (AUTHORIZATION, format!("Bearer {token}"))).collect();
    let snapshot: Snapshot =
        http.get(&snapshot_path(topic.name()), &headers).await.map_err(|error| error.outcome())?;
    let fits = snapshot.topic == topic.name() && snapshot.format == SNAPSHOT_FORMAT;
    Ok(fits.then_some(snapshot.head_watermark))
}
