//! Takes a topic's snapshot over HTTP, where the target serves one: one page.

use hyper::header::AUTHORIZATION;
use khala_wire::SCHEMA_VERSION;
use khala_wire::payload::SNAPSHOT_FORMAT;
use khala_wire::snapshot::{Snapshot, snapshot_path};
use khala_wire::topic::TopicId;

use super::super::{Page, Shelf, Taken};
use crate::answer::Answer;
use crate::http::{Header, HttpError, Reply};

/// The snapshot; `None` of a document that is not a snapshot of this topic.
pub async fn take(shelf: Shelf<'_>, topic: TopicId) -> Taken {
    let start = shelf.clock.now();
    let taken = fetch(shelf, topic).await;
    let done = shelf.clock.now();
    let (answer, snapshot) = match taken {
        Ok((status, snapshot)) => (Answer::ok(status), Ok(snapshot)),
        Err(answer) => (answer.clone(), Err(answer.outcome)),
    };
    Taken { pages: vec![Page { start, done, answer }], snapshot }
}

async fn fetch(shelf: Shelf<'_>, topic: TopicId) -> Result<(u16, Option<Snapshot>), Answer> {
    let headers: Vec<Header> =
        shelf.token.iter().map(|token| (AUTHORIZATION, format!("Bearer {token}"))).collect();
    let path = snapshot_path(topic.name());
    let taken: Result<Reply<Snapshot>, _> = shelf.http.get(&path, &headers).await;
    let Reply { status, document: snapshot } = match taken {
        Ok(reply) => reply,
        // Whoever answers so has served a snapshot that is none.
        Err(HttpError::Body { status, .. }) if (200..300).contains(&status) => {
            return Ok((status, None));
        }
        Err(error) => return Err(error.answer()),
    };
    let schema = snapshot.schema_version == SCHEMA_VERSION;
    let fits = snapshot.topic == topic.name() && snapshot.format == SNAPSHOT_FORMAT && schema;
    Ok((status, fits.then_some(snapshot)))
}
