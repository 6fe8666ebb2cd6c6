//! Snapshots that are old, ahead of head, or of another topic.

use khala_wire::snapshot::{Snapshot, snapshot_path};
use khala_wire::topic::{RUN_SUMMARIES, WORKER_SUMMARIES};
use serde_json::json;

use crate::support::{Heard, Running, publish, request, subscribe, token};
use crate::{acted, bootstrap, events, joined, refused, with};

/// The snapshot of the workers' summaries.
async fn taken(running: &Running) -> Snapshot {
    let bearer = format!("Bearer {}", token("s", &[WORKER_SUMMARIES]));
    let headers = [("authorization", bearer.as_str())];
    let path = snapshot_path(WORKER_SUMMARIES);
    let answer = request(running.addr, "GET", &path, &headers, "").await;
    serde_json::from_str(&answer.body).expect("a snapshot")
}

#[tokio::test]
async fn snapshot_old_cannot_be_resumed_from() {
    let running = with(&["snapshot_old"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    // Each version must be projected apart, so that there is something to prune.
    subscribe(&mut client, &json!({"topics": [WORKER_SUMMARIES]})).await;
    let mut heard = Heard::default();
    for version in 1..=3 {
        if version > 1 {
            publish(running.addr, "w", &json!({"n": version})).await;
        }
        heard.until(&mut client, |heard| heard.updates.len() == version).await;
    }
    running.handle.trim(WORKER_SUMMARIES, 1).expect("known");
    let snapshot = taken(&running).await;
    assert_eq!(snapshot.head_watermark, 1, "below the floor, which is 2");
    let reason = refused(&mut client, WORKER_SUMMARIES, snapshot.head_watermark).await;
    assert_eq!(reason.as_deref(), Some("retention_floor_breach"));
    assert_eq!(acted(&running, "snapshot_old"), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_old_snapshot_does_not_count_while_every_cursor_can_be_resumed_from() {
    let running = with(&["snapshot_old"]).await;
    events(&running, 1).await;
    taken(&running).await;
    assert_eq!(acted(&running, "snapshot_old"), 0);
    running.stop().await;
}

#[tokio::test]
async fn snapshot_ahead_is_beyond_head() {
    let running = with(&["snapshot_ahead"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = bootstrap(&mut client, &[WORKER_SUMMARIES]).await;
    heard.until(&mut client, |heard| !heard.updates.is_empty()).await;
    let snapshot = taken(&running).await;
    assert_eq!((&*snapshot.topic, snapshot.head_watermark), (WORKER_SUMMARIES, 1_001));
    assert_eq!(acted(&running, "snapshot_ahead"), 1);
    running.stop().await;
}

#[tokio::test]
async fn snapshot_wrong_topic_is_the_other_one() {
    let running = with(&["snapshot_wrong_topic,0.5"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = bootstrap(&mut client, &[WORKER_SUMMARIES]).await;
    heard.until(&mut client, |heard| !heard.updates.is_empty()).await;
    let (right, wrong) = (taken(&running).await, taken(&running).await);
    assert_eq!((&*right.topic, right.documents.len()), (WORKER_SUMMARIES, 1));
    assert_eq!((&*wrong.topic, wrong.documents.len()), (RUN_SUMMARIES, 0));
    assert_eq!(acted(&running, "snapshot_wrong_topic"), 1);
    running.stop().await;
}

#[tokio::test]
async fn snapshot_lags_has_the_documents_of_a_while_ago_under_the_watermark_of_now() {
    let running = with(&["snapshot_lags"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = bootstrap(&mut client, &[WORKER_SUMMARIES]).await;
    heard.until(&mut client, |heard| heard.updates.len() == 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let at_rest = taken(&running).await;
    assert_eq!(acted(&running, "snapshot_lags"), 0, "nothing has changed since");
    publish(running.addr, "w", &json!({"n": 2})).await;
    heard.until(&mut client, |heard| heard.updates.len() == 2).await;
    let lagging = taken(&running).await;
    assert_eq!((at_rest.head_watermark, lagging.head_watermark), (1, 2));
    assert_eq!(lagging.documents[0].doc_version, at_rest.documents[0].doc_version);
    assert_eq!(acted(&running, "snapshot_lags"), 1);
    running.stop().await;
}
