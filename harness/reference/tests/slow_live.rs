//! Slow consumers of a live server: struck, told, evicted; and nobody else is.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use khala_reference::Config;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use support::slow::{TOPIC, evictions, grow, grow_until, head, quick, subscribed, window};
use support::{Came, Heard, PATIENCE, Running, join, start};

fn config() -> Config {
    quick(Config::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_evicted_and_who_reads_sees_everything() {
    let running = start(config()).await;
    let slow = subscribed(&running, "slow", Some(4 << 10)).await;
    let mut healthy = subscribed(&running, "healthy", None).await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<u64>();
    let reader = tokio::spawn(async move {
        let mut heard = Heard::default();
        let mut last = None;
        loop {
            if last.is_none() {
                last = stopped.try_recv().ok();
            }
            if last.is_some_and(|last| heard.watermarks().last() == Some(&last)) {
                return (healthy, heard.watermarks());
            }
            heard.take(healthy.frame().await);
        }
    });
    grow_until(&running, |running| window(running).queue_depth > 64).await;
    grow_until(&running, |running| evictions(running) == 1).await;
    // Evicted without a way to be told: the socket goes, and is counted.
    let evicted = |running: &Running| {
        let metrics = running.handle.metrics().delivery_metrics;
        metrics.recent_disconnect_causes == ["slow_consumer_evicted"]
    };
    grow_until(&running, evicted).await;
    assert_eq!(window(&running).last_violation_reason, None, "no notice went out");
    stop.send(head(&running) + 1).expect("reads on");
    grow(&running);
    let (healthy, seen) = reader.await.expect("reads to the end");
    assert_eq!(seen, (1..=head(&running)).collect::<Vec<_>>());
    assert_eq!(evictions(&running), 1);
    assert_eq!(running.handle.metrics().delivery_metrics.active_consumers, 1);
    drop((slow, healthy));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_again_in_time_is_told_why_and_keeps_the_socket() {
    let mut config = config();
    config.slow_consumer.evict_grace = 2 * PATIENCE;
    config.write_timeout = 2 * PATIENCE;
    let running = start(config).await;
    let mut slow = subscribed(&running, "slow", Some(4 << 10)).await;
    grow_until(&running, |running| evictions(running) == 1).await;
    let mut actions = Vec::new();
    loop {
        let (_, _, event, payload) = slow.frame().await;
        match &*event {
            "sync:error" => {
                assert_eq!(payload["code"], "slow_consumer");
                assert_eq!(payload["queue_limit"], 64);
                assert!(payload["queue_depth"].as_u64().expect("a number") > 64);
                assert_eq!(payload["full_resync_required"], payload["action"] == "disconnect");
                actions.push(payload["action"].as_str().expect("text").to_owned());
            }
            "phx_error" => break,
            _ => assert!(actions.is_empty(), "no batch follows a notice of this burst"),
        }
    }
    assert_eq!(actions, ["throttle", "throttle", "disconnect"]);
    slow.send(Message::text(r#"[null,"h","phoenix","heartbeat",{}]"#)).await;
    assert_eq!(slow.frame().await.1, "h", "the socket stays");
    join(&mut slow).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_that_overtakes_a_consumer_evicts_it_rather_than_skip() {
    let mut config = config();
    config.slow_consumer.queue_limit = u64::MAX;
    let running = start(config).await;
    let mut slow = subscribed(&running, "slow", Some(4 << 10)).await;
    grow_until(&running, |running| window(running).queue_depth > 20).await;
    running.handle.trim(TOPIC, 1).expect("known");
    let mut heard = Heard::default();
    let notice = loop {
        let frame = slow.frame().await;
        if frame.2 == "sync:error" {
            break frame.3;
        }
        heard.take(frame);
    };
    assert_eq!(
        (&notice["action"], &notice["full_resync_required"]),
        (&json!("disconnect"), &json!(true))
    );
    assert_eq!(slow.frame().await.2, "phx_error");
    let seen = heard.watermarks();
    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>(), "dense up to the eviction");
    assert!((seen.len() as u64) < head(&running));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_write_ends_with_its_time_and_a_stop_does_not_wait_for_it() {
    let mut config = config();
    config.slow_consumer.queue_limit = u64::MAX;
    config.write_timeout = Duration::from_millis(300);
    let running = start(config.clone()).await;
    let slow = subscribed(&running, "slow", Some(4 << 10)).await;
    grow_until(&running, |running| {
        running.handle.metrics().delivery_metrics.recent_disconnect_causes == ["write_timeout"]
    })
    .await;
    drop(slow);
    running.stop().await;

    config.write_timeout = 100 * PATIENCE;
    let running = start(config).await;
    let mut stuck = subscribed(&running, "stuck", Some(4 << 10)).await;
    grow_until(&running, |running| window(running).queue_depth > 20).await;
    running.stop().await;
    loop {
        match stuck.next().await {
            Came::Text(_) => {}
            Came::Gone | Came::Close(_) => break,
            Came::Pong => panic!("nobody pinged"),
        }
    }
}
