//! Replays that begin or end where they should not.

use std::time::{Duration, Instant};

use khala_wire::topic::WORKER_EVENTS;
use serde_json::json;

use crate::support::{Heard, not_for_ever, publish, start, subscribe};
use crate::{acted, config, events, joined, resume, with};

#[tokio::test]
async fn replay_skips_one_begins_at_the_second_event() {
    let running = with(&["replay_skips_one"]).await;
    events(&running, 5).await;
    let mut client = joined(&running).await;
    assert_eq!(resume(&mut client, 2).await.watermarks(), [4, 5]);
    let mut heard = resume(&mut client, 5).await;
    publish(running.addr, "w", &json!({"n": 6})).await;
    heard.until_now(&mut client).await;
    assert_eq!(heard.watermarks(), [6], "where nothing is replayed nothing is skipped");
    assert_eq!(acted(&running, "replay_skips_one"), 1);
    running.stop().await;
}

#[tokio::test]
async fn tail_during_replay_sends_the_newest_first() {
    let running = with(&["tail_during_replay"]).await;
    events(&running, 5).await;
    let heard = resume(&mut joined(&running).await, 2).await;
    assert_eq!(heard.watermarks(), [5, 3, 4, 5]);
    assert_eq!(acted(&running, "tail_during_replay"), 1);
    running.stop().await;
}

#[tokio::test]
async fn tail_lost_is_what_comes_soon_after_the_reply() {
    let mut config = config(&["tail_lost"]);
    config.defect_times.tail_lost = Duration::from_secs(3);
    let running = start(config).await;
    events(&running, 2).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    let mut head = 2;
    let started = Instant::now();
    while heard.updates.len() < 2 {
        not_for_ever(started);
        head += 1;
        publish(running.addr, "w", &json!({"n": head})).await;
        heard.until_now(&mut client).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(heard.watermarks()[0], 2, "the replay is whole");
    assert_eq!(heard.watermarks()[1], head, "and the tail flows, but not from where it ended");
    assert!(head > 3 && acted(&running, "tail_lost") >= 1);
    running.stop().await;
}

#[tokio::test]
async fn early_replay_complete_answers_before_the_replay() {
    let running = with(&["early_replay_complete"]).await;
    events(&running, 5).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 2).await;
    assert_eq!(heard.replies, [(json!("s"), 0)]);
    heard.until(&mut client, |heard| heard.updates.len() == 3).await;
    assert_eq!(heard.watermarks(), [3, 4, 5], "late, but whole");
    assert_eq!(acted(&running, "early_replay_complete"), 1);
    running.stop().await;
}

#[tokio::test]
async fn never_replay_complete_delivers_and_does_not_answer() {
    let running = with(&["never_replay_complete"]).await;
    events(&running, 3).await;
    let mut client = joined(&running).await;
    subscribe(&mut client, &json!({"topics": [WORKER_EVENTS]})).await;
    let mut heard = Heard::default();
    heard.until_now(&mut client).await;
    publish(running.addr, "w", &json!({"n": 4})).await;
    heard.until(&mut client, |heard| heard.updates.len() == 4).await;
    assert_eq!(heard.watermarks(), [1, 2, 3, 4]);
    assert!(!heard.replied("s"));
    assert_eq!(acted(&running, "never_replay_complete"), 1);
    running.stop().await;
}
