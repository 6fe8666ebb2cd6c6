//! Takes a topic's snapshot over HTTP, where the target serves one.

use hyper::header::AUTHORIZATION;
use khala_wire::payload::SNAPSHOT_FORMAT;
use khala_wire::snapshot::{Snapshot, snapshot_path};
use khala_wire::topic::TopicId;

use crate::answer::Answer;
use crate::http::{Header, Http, HttpError, Reply};

/// The answer's status and the snapshot; `None` of a document that is not a snapshot of this topic.
///
/// # Errors
/// How the request ended.
pub async fn take(
    http: &Http,
    token: Option<&str>,
    topic: TopicId,
) -> Result<(u16, Option<Snapshot>), Answer> {
    let headers: Vec<Header> =
        token.iter().map(|token| (AUTHORIZATION, format!("Bearer {token}"))).collect();
    let taken: Result<Reply<Snapshot>, _> = http.get(&snapshot_path(topic.name()), &headers).await;
    let Reply { status, document: snapshot } = match taken {
        Ok(reply) => reply,
        // Whoever answers so has served a snapshot that is none.
        Err(HttpError::Body { status, .. }) if (200..300).contains(&status) => {
            return Ok((status, None));
        }
        Err(error) => return Err(error.answer()),
    };
    let fits = snapshot.topic == topic.name() && snapshot.format == SNAPSHOT_FORMAT;
    Ok((status, fits.then_some(snapshot)))
}
