//! What is right and comes too late. Only the least time that something must take is asserted: a
//! slow machine makes it longer.

use std::time::{Duration, Instant};

use khala_wire::topic::{WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::json;

use crate::support::{Heard, not_for_ever, publish, start, subscribe};
use crate::{acted, config, events, joined, resume, with};

/// What `config` makes of the times of defects.
const SHORT: Duration = Duration::from_millis(400);

#[tokio::test]
async fn slow_recovery_serves_a_resume_late() {
    let running = with(&["slow_recovery"]).await;
    events(&running, 3).await;
    let mut client = joined(&running).await;
    let before = Instant::now();
    let cursor = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 1}});
    subscribe(&mut client, &cursor).await;
    let mut heard = Heard::default();
    heard.until_now(&mut client).await;
    assert!(heard.updates.is_empty() || before.elapsed() >= SHORT, "others are answered in time");
    heard.until(&mut client, |heard| heard.replied("s")).await;
    assert!(before.elapsed() >= SHORT);
    assert_eq!(heard.watermarks(), [2, 3]);
    assert_eq!(acted(&running, "slow_recovery"), 1);
    running.stop().await;
}

#[tokio::test]
async fn delivery_delay_keeps_each_live_event_for_its_time() {
    let running = with(&["delivery_delay"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 0).await;
    for n in 2..=3_usize {
        let before = Instant::now();
        publish(running.addr, "w", &json!({"n": n})).await;
        heard.until(&mut client, |heard| heard.updates.len() == n).await;
        assert!(before.elapsed() >= SHORT, "event {n} came after {:?}", before.elapsed());
    }
    assert_eq!(heard.watermarks(), [1, 2, 3]);
    assert_eq!(acted(&running, "delivery_delay"), 2);
    running.stop().await;
}

#[tokio::test]
async fn state_delay_keeps_a_live_update_of_a_state_for_its_time_and_no_event() {
    let running = with(&["state_delay,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let topics = json!({"topics": [WORKER_EVENTS, WORKER_SUMMARIES]});
    subscribe(&mut client, &topics).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    let there = heard.updates.len();
    let before = Instant::now();
    publish(running.addr, "w", &json!({"n": 2})).await;
    heard.until(&mut client, |heard| heard.updates.len() == there + 2).await;
    assert!(before.elapsed() >= SHORT, "both came after {:?}", before.elapsed());
    assert_eq!(acted(&running, "state_delay"), 1);
    running.stop().await;
}

#[tokio::test]
async fn pause_every_10s_holds_the_live_tail_and_not_replay() {
    let mut config = config(&["pause_every_10s"]);
    config.defect_times.pause_every = SHORT;
    config.defect_times.pause_for = Duration::from_secs(1_000_000);
    let running = start(config).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    tokio::time::sleep(SHORT).await;
    let mut heard = resume(&mut client, 0).await;
    assert_eq!(heard.watermarks(), [1]);
    publish(running.addr, "w", &json!({"n": 2})).await;
    heard.until_now(&mut client).await;
    assert_eq!(heard.watermarks(), [1], "it waits for the end of the pause");
    assert_eq!(acted(&running, "pause_every_10s"), 1);
    running.stop().await;
}

#[tokio::test]
async fn pause_every_10s_loses_nothing() {
    let mut config = config(&["pause_every_10s"]);
    config.defect_times.pause_every = SHORT;
    config.defect_times.pause_for = SHORT / 2;
    let running = start(config).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    let mut head = 1;
    let started = Instant::now();
    while acted(&running, "pause_every_10s") == 0 {
        not_for_ever(started);
        head += 1;
        publish(running.addr, "w", &json!({"n": head})).await;
        heard.until_now(&mut client).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    heard.until(&mut client, |heard| heard.watermarks().last() == Some(&head)).await;
    assert_eq!(heard.watermarks(), (2..=head).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test]
async fn slow_accepts_lets_upgrades_in_one_by_one() {
    let running = with(&["slow_accepts"]).await;
    let before = Instant::now();
    for _ in 0..3 {
        joined(&running).await;
    }
    assert!(before.elapsed() >= 2 * SHORT, "{:?}", before.elapsed());
    tokio::time::sleep(SHORT).await;
    let acted_so_far = acted(&running, "slow_accepts");
    joined(&running).await;
    assert_eq!(acted(&running, "slow_accepts"), acted_so_far, "one that comes alone is not held");
    assert!(acted_so_far >= 1);
    running.stop().await;
}
