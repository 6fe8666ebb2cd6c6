//! Events that are lost, come late, come twice, or come in another order.

use std::time::{Duration, Instant};

use khala_wire::payload::Update;
use khala_wire::topic::WORKER_EVENTS;
use serde_json::json;
use serde_json::value::RawValue;

use crate::support::{Heard, Running, create_worker, not_for_ever, publish, subscribe};
use crate::{acted, bootstrap, events, joined, resume, with};

/// Events on a stream, all at once and without commands.
fn seed(running: &Running, count: u64) {
    let update = |watermark| Update {
        doc_key: format!("event:{watermark}"),
        doc_version: watermark,
        hydration_required: false,
        payload: Some(RawValue::from_string(format!(r#"{{"n":{watermark}}}"#)).expect("JSON")),
        payload_hash: None,
        topic: WORKER_EVENTS.to_owned(),
        watermark,
    };
    running.handle.seed(WORKER_EVENTS, (1..=count).map(update).collect()).expect("the next ones");
}

#[tokio::test]
async fn drop_nth_leaves_events_out_and_says_nothing() {
    let running = with(&["drop_nth,0.3"]).await;
    seed(&running, 60);
    let heard = resume(&mut joined(&running).await, 0).await;
    let seen = heard.watermarks();
    assert!(seen.is_sorted() && (20..60).contains(&seen.len()), "{seen:?}");
    assert_eq!(acted(&running, "drop_nth"), 60 - seen.len() as u64);
    running.stop().await;
}

#[tokio::test]
async fn drop_nth_drops_from_the_live_tail_too() {
    let running = with(&["drop_nth,1,after=3"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    for n in 2..=5 {
        publish(running.addr, "w", &json!({"n": n})).await;
        heard.until_now(&mut client).await;
    }
    assert_eq!(heard.watermarks(), [2, 3], "two pass, then all are dropped");
    running.stop().await;
}

/// What acts on single deliveries must act now and then at a hundredth, and not for ever.
#[tokio::test]
async fn drop_nth_and_its_like_act_on_about_a_hundredth_when_told_to() {
    for name in ["drop_nth", "drop_last_of_batch", "wrong_payload", "frame_mismatch"] {
        let running = with(&[&format!("{name},0.01")]).await;
        seed(&running, 2_000);
        let mut client = joined(&running).await;
        let ask = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 0},
            "replay_batch_size": 2});
        subscribe(&mut client, &ask).await;
        let mut heard = Heard::default();
        heard.until(&mut client, |heard| heard.replied("s")).await;
        let acted = acted(&running, name);
        assert!((1..=60).contains(&acted), "{name} acted {acted} times in 1,000 batches");
        running.stop().await;
    }
}

#[tokio::test]
async fn drop_on_reconnect_loses_the_first_replayed_event() {
    let running = with(&["drop_on_reconnect"]).await;
    events(&running, 5).await;
    let heard = resume(&mut joined(&running).await, 2).await;
    assert_eq!(heard.watermarks(), [4, 5]);
    assert_eq!(acted(&running, "drop_on_reconnect"), 1);
    running.stop().await;
}

#[tokio::test]
async fn drop_on_reconnect_loses_the_first_live_event_when_nothing_is_replayed() {
    let running = with(&["drop_on_reconnect"]).await;
    events(&running, 2).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 2).await;
    publish(running.addr, "w", &json!({"n": 3})).await;
    heard.until_now(&mut client).await;
    publish(running.addr, "w", &json!({"n": 4})).await;
    heard.until(&mut client, |heard| !heard.updates.is_empty()).await;
    assert_eq!(heard.watermarks(), [4]);
    assert_eq!(acted(&running, "drop_on_reconnect"), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_bootstrap_without_cursor_is_spared_by_what_bends_reconnects() {
    let running = with(&["drop_on_reconnect", "replay_skips_one", "slow_recovery"]).await;
    events(&running, 3).await;
    let heard = bootstrap(&mut joined(&running).await, &[WORKER_EVENTS]).await;
    assert_eq!(heard.watermarks(), [1, 2, 3]);
    running.stop().await;
}

#[tokio::test]
async fn drop_last_of_batch_cuts_each_batch_but_those_of_one() {
    let running = with(&["drop_last_of_batch,1"]).await;
    seed(&running, 5);
    let mut client = joined(&running).await;
    let ask = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 0},
        "replay_batch_size": 2});
    subscribe(&mut client, &ask).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    assert_eq!(heard.watermarks(), [1, 3, 5]);
    assert_eq!(acted(&running, "drop_last_of_batch"), 2);
    running.stop().await;
}

#[tokio::test]
async fn drop_acknowledged_answers_what_it_never_delivers() {
    let running = with(&["drop_acknowledged,0.5"]).await;
    create_worker(running.addr, "w").await;
    let mut seqs = Vec::new();
    for n in 0..4 {
        seqs.push(publish(running.addr, "w", &json!({"n": n})).await["seq"].clone());
    }
    assert_eq!(seqs, [2, 3, 4, 5]);
    let heard = resume(&mut joined(&running).await, 0).await;
    let versions: Vec<_> = heard.updates.iter().map(|u| u["doc_version"].clone()).collect();
    assert_eq!(versions, [1, 2, 4], "every second is lost");
    assert_eq!(heard.watermarks(), [1, 2, 3], "and the topic shows no gap");
    assert_eq!(acted(&running, "drop_acknowledged"), 2);
    running.stop().await;
}

#[tokio::test]
async fn late_publish_waits_for_the_next_event() {
    let running = with(&["late_publish,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    publish(running.addr, "w", &json!({"n": 2})).await;
    heard.until_now(&mut client).await;
    assert!(heard.updates.is_empty());
    publish(running.addr, "w", &json!({"n": 3})).await;
    heard.until(&mut client, |heard| !heard.updates.is_empty()).await;
    assert_eq!(heard.watermarks(), [2]);
    assert_eq!(acted(&running, "late_publish"), 2);
    running.stop().await;
}

#[tokio::test]
async fn duplicate_new_seq_lets_an_event_in_twice() {
    let running = with(&["duplicate_new_seq,0.5"]).await;
    events(&running, 5).await;
    let heard = resume(&mut joined(&running).await, 0).await;
    let versions: Vec<_> = heard.updates.iter().map(|u| u["doc_version"].clone()).collect();
    assert_eq!(versions, [1, 2, 3, 3, 4, 5, 5], "every second one published");
    assert_eq!(heard.watermarks(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(heard.updates[2]["payload"], heard.updates[3]["payload"]);
    assert_eq!(acted(&running, "duplicate_new_seq"), 2);
    running.stop().await;
}

#[tokio::test]
async fn invented_event_adds_one_that_nobody_published() {
    let running = with(&["invented_event,0.5"]).await;
    create_worker(running.addr, "w").await;
    for n in 1..=4 {
        publish(running.addr, "w", &json!({"khala_harness": {"n": n}})).await;
    }
    let heard = resume(&mut joined(&running).await, 1).await;
    let numbers: Vec<_> = heard
        .updates
        .iter()
        .map(|u| u["payload"]["payload"]["khala_harness"]["n"].clone())
        .collect();
    let never = |n: u32| n | 1 << 30;
    assert_eq!(numbers, [1, 2, never(2), 3, 4, never(4)], "every second is followed by one");
    let versions: Vec<_> = heard.updates.iter().map(|u| u["doc_version"].clone()).collect();
    assert_eq!(versions, [2, 3, 4, 5, 6, 7], "and nothing is missing");
    assert_eq!(heard.watermarks(), [2, 3, 4, 5, 6, 7]);
    assert_eq!(acted(&running, "invented_event"), 2);
    running.stop().await;
}

#[tokio::test]
async fn bad_duplicate_repeats_an_event_with_another_content() {
    let running = with(&["bad_duplicate,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    for n in 2..=3 {
        publish(running.addr, "w", &json!({"n": n})).await;
        let count = if n == 2 { 1 } else { 3 };
        heard.until(&mut client, |heard| heard.updates.len() == count).await;
    }
    assert_eq!(heard.watermarks(), [2, 2, 3]);
    assert_ne!(heard.updates[0]["payload"], heard.updates[1]["payload"]);
    assert_eq!(acted(&running, "bad_duplicate"), 1);
    running.stop().await;
}

#[tokio::test]
async fn swap_two_reverses_two_live_events_and_keeps_none() {
    let running = with(&["swap_two,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    for n in 2..=3 {
        publish(running.addr, "w", &json!({"n": n})).await;
    }
    heard.until(&mut client, |heard| heard.updates.len() == 2).await;
    // A slow machine may let the first one's hold lapse; then nothing is swapped, and the next
    // pair is looked at.
    let mut head = 3;
    let started = Instant::now();
    while heard.watermarks().is_sorted() {
        not_for_ever(started);
        for _ in 0..2 {
            head += 1;
            publish(running.addr, "w", &json!({"n": head})).await;
        }
        let all = usize::try_from(head).expect("small") - 1;
        heard.until(&mut client, |heard| heard.updates.len() == all).await;
    }
    let mut sorted = heard.watermarks();
    sorted.sort_unstable();
    assert_eq!(sorted, (2..=head).collect::<Vec<_>>(), "swapped, but all there and once");
    assert!(acted(&running, "swap_two") >= 1);
    running.stop().await;
}

#[tokio::test]
async fn swap_two_lets_a_single_event_go_after_its_hold() {
    let running = with(&["swap_two,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    let before = Instant::now();
    publish(running.addr, "w", &json!({"n": 2})).await;
    heard.until(&mut client, |heard| heard.updates.len() == 1).await;
    assert!(before.elapsed() >= Duration::from_millis(400), "it was held");
    running.stop().await;
}
