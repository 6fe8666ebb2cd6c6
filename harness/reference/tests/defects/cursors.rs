//! Cursors that are refused or served against the contract, and seqs that go back.

use khala_reference::Config;
use khala_wire::topic::{TopicId, WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::json;

use crate::support::{Heard, Running, publish, start, subscribe};
use crate::{acted, bootstrap, config, events, joined, refused, resume, with};

const FLOOR: Option<&str> = Some("retention_floor_breach");
const BUDGET: Option<&str> = Some("replay_budget_exceeded");

#[tokio::test]
async fn ignore_floor_serves_from_the_floor_what_others_are_refused() {
    let (honest, lying) = (with(&[]).await, with(&["ignore_floor"]).await);
    for running in [&honest, &lying] {
        events(running, 5).await;
        running.handle.trim(WORKER_EVENTS, 2).expect("known");
    }
    let reason = refused(&mut joined(&honest).await, WORKER_EVENTS, 1).await;
    assert_eq!(reason.as_deref(), Some("retention_floor_breach"));
    let heard = resume(&mut joined(&lying).await, 1).await;
    assert_eq!(heard.watermarks(), [4, 5]);
    honest.stop().await;
    lying.stop().await;
}

#[tokio::test]
async fn always_stale_refuses_a_fresh_cursor() {
    let running = with(&["always_stale,1"]).await;
    events(&running, 3).await;
    let mut client = joined(&running).await;
    let reason = refused(&mut client, WORKER_EVENTS, 3).await;
    assert_eq!(reason.as_deref(), Some("replay_budget_exceeded"));
    subscribe(&mut client, &json!({"topics": [WORKER_EVENTS]})).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    assert_eq!(heard.watermarks(), [1, 2, 3], "a bootstrap without cursor is served");
    assert_eq!(acted(&running, "always_stale"), 1);
    running.stop().await;
}

#[tokio::test]
async fn wrong_reason_names_the_other_one() {
    let running = with(&["wrong_reason"]).await;
    events(&running, 5).await;
    running.handle.trim(WORKER_EVENTS, 2).expect("known");
    let reason = refused(&mut joined(&running).await, WORKER_EVENTS, 1).await;
    assert_eq!(reason.as_deref(), Some("replay_budget_exceeded"));
    assert_eq!(acted(&running, "wrong_reason"), 1);
    running.stop().await;
}

/// Five events on a topic that may replay three.
async fn five(defects: &[&str]) -> Running {
    let mut config: Config = config(defects);
    let topic = TopicId::of(WORKER_EVENTS).expect("known");
    config.limits_mut(topic).replay_budget_events = 3;
    let running = start(config).await;
    events(&running, 5).await;
    running
}

/// Asserts what becomes of cursors, one after another, on a correct server and on one with a
/// defect.
async fn verdicts(name: &str, keep: usize, cases: &[(u64, Option<&str>, Option<&str>)]) {
    let (honest, lying) = (five(&[]).await, five(&[name]).await);
    for running in [&honest, &lying] {
        running.handle.trim(WORKER_EVENTS, keep).expect("known");
    }
    for (cursor, right, wrong) in cases {
        let reason = refused(&mut joined(&honest).await, WORKER_EVENTS, *cursor).await;
        assert_eq!(reason.as_deref(), *right, "{cursor} on a correct server");
        let reason = refused(&mut joined(&lying).await, WORKER_EVENTS, *cursor).await;
        assert_eq!(reason.as_deref(), *wrong, "{cursor} with {name}");
    }
    let changed = cases.iter().filter(|(_, right, wrong)| right != wrong).count() as u64;
    assert_eq!(acted(&lying, name), changed, "it acts where it changes a verdict");
    honest.stop().await;
    lying.stop().await;
}

#[tokio::test]
async fn floor_too_strict_refuses_a_cursor_at_the_floor() {
    verdicts("floor_too_strict", 2, &[(2, FLOOR, FLOOR), (3, None, FLOOR), (4, None, None)]).await;
}

#[tokio::test]
async fn floor_too_lax_serves_the_cursor_below_the_floor_from_the_floor_on() {
    verdicts("floor_too_lax", 2, &[(1, FLOOR, FLOOR), (2, FLOOR, None), (3, None, None)]).await;
    let running = five(&["floor_too_lax"]).await;
    running.handle.trim(WORKER_EVENTS, 2).expect("known");
    assert_eq!(resume(&mut joined(&running).await, 2).await.watermarks(), [4, 5], "3 is missing");
    running.stop().await;
}

#[tokio::test]
async fn budget_too_strict_refuses_a_lag_at_the_budget() {
    let cases = [(1, BUDGET, BUDGET), (2, None, BUDGET), (3, None, None)];
    verdicts("budget_too_strict", 5, &cases).await;
}

#[tokio::test]
async fn budget_too_lax_serves_a_lag_just_over_the_budget() {
    let cases = [(0, BUDGET, BUDGET), (1, BUDGET, None), (2, None, None)];
    verdicts("budget_too_lax", 5, &cases).await;
}

#[tokio::test]
async fn pruned_topic_accepted_serves_any_cursor_on_an_empty_topic() {
    let cases = [(0, FLOOR, None), (4, FLOOR, None), (5, None, None)];
    verdicts("pruned_topic_accepted", 0, &cases).await;
    verdicts("pruned_topic_accepted", 2, &[(2, FLOOR, FLOOR)]).await;
}

#[tokio::test]
async fn watermark_regress_falls_back_to_the_cursor() {
    let running = with(&["watermark_regress,1,after=2"]).await;
    events(&running, 2).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    for n in 3..=4 {
        publish(running.addr, "w", &json!({"n": n})).await;
        heard.until_now(&mut client).await;
    }
    assert_eq!(heard.watermarks(), [2, 3, 1]);
    assert_eq!(heard.updates[2]["payload"]["payload"], json!({"n": 4}), "a new event all the same");
    assert_eq!(acted(&running, "watermark_regress"), 1);
    running.stop().await;
}

#[tokio::test]
async fn seq_reset_on_restart_begins_anew_where_workers_go_on() {
    let name = format!("khala-seq-reset-{}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    let on_disk = |defects: &[&str]| Config { data_dir: Some(dir.clone()), ..config(defects) };
    let running = start(on_disk(&[])).await;
    events(&running, 3).await;
    running.stop().await;

    let running = start(on_disk(&["seq_reset_on_restart"])).await;
    assert_eq!(publish(running.addr, "w", &json!({"n": 4})).await["seq"], 4);
    let heard = bootstrap(&mut joined(&running).await, &[WORKER_EVENTS]).await;
    assert_eq!(heard.watermarks(), [1], "the topic has forgotten its first three");
    assert_eq!(heard.updates[0]["doc_version"], 4);
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 3).await;
    publish(running.addr, "w", &json!({"n": 5})).await;
    heard.until_now(&mut client).await;
    assert!(heard.updates.is_empty(), "who resumes is beyond head, and waits");
    assert!(acted(&running, "seq_reset_on_restart") >= 1);
    running.stop().await;
    std::fs::remove_dir_all(&dir).expect("there");
}

#[tokio::test]
async fn fresh_of_stale_list_goes_on_with_what_is_not_stale_of_a_list_that_was_refused() {
    for (defects, goes_on) in [(&[][..], false), (&["fresh_of_stale_list"][..], true)] {
        let running = with(defects).await;
        events(&running, 5).await;
        running.handle.trim(WORKER_EVENTS, 2).expect("known");
        let mut client = joined(&running).await;
        let topics = json!([WORKER_EVENTS, WORKER_SUMMARIES]);
        let cursors = json!({WORKER_EVENTS: 1, WORKER_SUMMARIES: 0});
        subscribe(&mut client, &json!({"topics": topics, "resume_after": cursors})).await;
        let mut heard = Heard::default();
        heard.until(&mut client, |heard| heard.replied("s")).await;
        publish(running.addr, "w", &json!({"n": 6})).await;
        if goes_on {
            heard.until(&mut client, |heard| !heard.updates.is_empty()).await;
            assert_eq!(heard.updates[0]["topic"], WORKER_SUMMARIES);
            assert_eq!(acted(&running, "fresh_of_stale_list"), 1);
        } else {
            heard.until_now(&mut client).await;
            assert_eq!(heard.watermarks(), [] as [u64; 0]);
        }
        running.stop().await;
    }
}
