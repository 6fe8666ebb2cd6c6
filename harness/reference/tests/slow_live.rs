//! Slow consumers of a live server: struck, told, evicted; and nobody else is.
//!
//! Both ends get small socket buffers, or the kernel would swallow the whole test.

#[path = "support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use khala_reference::Config;
use khala_wire::payload::Update;
use khala_wire::topic::NOTIFICATIONS;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;

use support::{Came, Client, Heard, PATIENCE, Running, join, start, subscribe, token};

const TOPIC: &str = NOTIFICATIONS;
/// Bytes of one event: a few fill the socket buffers.
const PAD: usize = 2_000;

fn config(defects: &[&str]) -> Config {
    let mut config = Config::default();
    config.buffers.kernel_send = Some(8 << 10);
    config.slow_consumer.strike_every = Duration::from_millis(50);
    config.slow_consumer.evict_grace = Duration::from_millis(100);
    config.defects = defects.iter().map(|spec| spec.parse().expect("a spec")).collect();
    config
}

async fn subscribed(running: &Running, session: &str, receive_buffer: Option<u32>) -> Client {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).expect("set before the connect");
    }
    let stream = socket.connect(running.addr).await.expect("connects");
    let path = format!("/socket/websocket?token={}&vsn=2.0.0", token(session, &[TOPIC]));
    let mut client = Client::over(stream, running.addr, &path).await;
    join(&mut client).await;
    subscribe(&mut client, &json!({"topics": [TOPIC]})).await;
    Heard::default().until(&mut client, |heard| heard.replied("s")).await;
    client
}

/// Appends one event.
fn grow(running: &Running) -> u64 {
    let watermark = head(running) + 1;
    let payload = format!(r#"{{"pad":"{}"}}"#, "x".repeat(PAD));
    let update = Update {
        doc_key: format!("n:{watermark}"),
        doc_version: watermark,
        hydration_required: false,
        payload: Some(RawValue::from_string(payload).expect("JSON")),
        payload_hash: None,
        topic: TOPIC.to_owned(),
        watermark,
    };
    running.handle.seed(TOPIC, vec![update]).expect("the next one");
    watermark
}

fn window(running: &Running) -> khala_wire::metrics::TopicWindow {
    let windows = running.handle.metrics().topic_windows;
    windows.into_iter().find(|window| window.topic == TOPIC).expect("known")
}

fn head(running: &Running) -> u64 {
    window(running).head_sequence.unwrap_or(0)
}

fn evictions(running: &Running) -> u64 {
    running.handle.metrics().delivery_metrics.slow_consumer_evictions
}

/// Appends an event every few milliseconds until something is true.
async fn grow_until(running: &Running, enough: impl Fn(&Running) -> bool) {
    let started = Instant::now();
    while !enough(running) {
        assert!(started.elapsed() < PATIENCE, "it never became true");
        grow(running);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_evicted_and_who_reads_sees_everything() {
    let running = start(config(&[])).await;
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
    let mut config = config(&[]);
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
    let mut config = config(&[]);
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
async fn no_slow_eviction_waits_for_ever() {
    let running = start(config(&["no_slow_eviction"])).await;
    let mut slow = subscribed(&running, "slow", Some(4 << 10)).await;
    grow_until(&running, |running| window(running).queue_depth > 200).await;
    // Several times what the same consumer is given without the defect.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(evictions(&running), 0);
    let mut heard = Heard::default();
    let last = head(&running);
    heard.until(&mut slow, |heard| heard.watermarks().last() == Some(&last)).await;
    assert_eq!(heard.watermarks(), (1..=last).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_write_ends_with_its_time_and_a_stop_does_not_wait_for_it() {
    let mut config = config(&[]);
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
