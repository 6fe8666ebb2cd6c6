//! Slow consumers, fairness, and the life of channels and sockets.

use std::time::{Duration, Instant};

use khala_wire::topic::{WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::slow::{TOPIC, evictions, grow, grow_until, head, quick, subscribed, window};
use crate::support::{
    Came, Client, Heard, PATIENCE, join, not_for_ever, publish, start, subscribe,
};
use crate::{acted, bootstrap, config, events, joined, resume, with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_slow_eviction_waits_for_ever() {
    let running = start(quick(config(&["no_slow_eviction"]))).await;
    let mut slow = subscribed(&running, "slow", Some(4 << 10)).await;
    grow_until(&running, |running| window(running).queue_depth > 200).await;
    // Several times what the same consumer is given without the defect.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(evictions(&running), 0);
    grow_until(&running, |running| acted(running, "no_slow_eviction") > 0).await;
    let mut heard = Heard::default();
    let last = head(&running);
    heard.until(&mut slow, |heard| heard.watermarks().last() == Some(&last)).await;
    assert_eq!(heard.watermarks(), (1..=last).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbounded_queue_keeps_everything_for_who_does_not_read() {
    let running = start(quick(config(&["unbounded_queue"]))).await;
    let mut slow = subscribed(&running, "slow", Some(4 << 10)).await;
    grow_until(&running, |running| window(running).queue_depth > 300).await;
    // Retention takes from the topic what the server keeps for this one client.
    running.handle.trim(TOPIC, 1).expect("known");
    assert_eq!((evictions(&running), acted(&running, "unbounded_queue")), (0, 1));
    let last = head(&running);
    let mut heard = Heard::default();
    heard.until(&mut slow, |heard| heard.watermarks().last() == Some(&last)).await;
    assert_eq!(heard.watermarks(), (1..=last).collect::<Vec<_>>(), "nothing is passed over");
    heard.until_now(&mut slow).await;
    assert_eq!(window(&running).queue_depth, 0);
    running.stop().await;
}

#[tokio::test]
async fn evict_healthy_throws_out_who_has_read_everything() {
    let running = with(&["evict_healthy,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    resume(&mut client, 1).await;
    publish(running.addr, "w", &json!({"n": 2})).await;
    let mut events = Vec::new();
    while events.last().is_none_or(|event| event != "phx_error") {
        let (_, _, event, payload) = client.frame().await;
        if event == "sync:error" {
            assert_eq!(payload["action"], "disconnect");
        }
        events.push(event);
    }
    assert_eq!(events, ["sync:update_batch", "sync:frame", "sync:error", "phx_error"]);
    assert_eq!(running.handle.metrics().delivery_metrics.slow_consumer_evictions, 1);
    assert_eq!(acted(&running, "evict_healthy"), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_stalls_neighbours_until_the_slow_one_reads() {
    let mut config = quick(config(&["slow_stalls_neighbours"]));
    config.slow_consumer.queue_limit = u64::MAX;
    config.write_timeout = 2 * PATIENCE;
    let running = start(config).await;
    let mut slow = subscribed(&running, "slow", Some(4 << 10)).await;
    let mut healthy = subscribed(&running, "healthy", None).await;
    grow_until(&running, |running| window(running).queue_depth > 64).await;
    let mut heard = Heard::default();
    while let Ok(frame) = tokio::time::timeout(Duration::from_secs(1), healthy.frame()).await {
        heard.take(frame);
    }
    let last = grow(&running);
    assert!(healthy.silent_for(Duration::from_secs(1)).await, "it waits for the other one");
    assert!(heard.watermarks().last().is_none_or(|seen| *seen < last));
    let reader = tokio::spawn(async move {
        loop {
            slow.frame().await;
        }
    });
    heard.until(&mut healthy, |heard| heard.watermarks().last() == Some(&last)).await;
    assert_eq!(heard.watermarks(), (1..=last).collect::<Vec<_>>(), "late, but whole");
    assert!(acted(&running, "slow_stalls_neighbours") >= 1);
    reader.abort();
    running.stop().await;
}

/// Publishes and waits for the summary of it; says which events came meanwhile.
async fn summary_of(client: &mut Client, running: &crate::Running, n: u64) -> Vec<Value> {
    publish(running.addr, "w", &json!({"n": n})).await;
    let mut heard = Heard::default();
    let shown = |update: &Value| update["topic"] == WORKER_SUMMARIES && update["doc_version"] == n;
    heard.until(client, |heard| heard.updates.iter().any(shown)).await;
    heard.until_now(client).await;
    let events = heard.updates.iter().filter(|update| update["topic"] == WORKER_EVENTS);
    events.map(|update| update["doc_version"].clone()).collect()
}

#[tokio::test]
async fn starved_topic_waits_while_another_is_busy() {
    let mut config = config(&["starved_topic"]);
    config.defect_times.starve_quiet = 2 * PATIENCE;
    let running = start(config).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    bootstrap(&mut client, &[WORKER_SUMMARIES, WORKER_EVENTS]).await;
    // The first may go out before its summary has made the other topic busy.
    summary_of(&mut client, &running, 2).await;
    let none: Vec<Value> = Vec::new();
    assert_eq!(summary_of(&mut client, &running, 3).await, none);
    assert_eq!(summary_of(&mut client, &running, 4).await, none);
    assert_eq!(acted(&running, "starved_topic"), 1);
    running.stop().await;
}

#[tokio::test]
async fn starved_topic_is_served_when_the_others_are_quiet() {
    let running = with(&["starved_topic"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = bootstrap(&mut client, &[WORKER_SUMMARIES, WORKER_EVENTS]).await;
    let mut n = 1;
    let started = Instant::now();
    while acted(&running, "starved_topic") == 0 {
        not_for_ever(started);
        n += 1;
        publish(running.addr, "w", &json!({"n": n})).await;
        heard.until_now(&mut client).await;
    }
    let last = |update: &Value| update["topic"] == WORKER_EVENTS && update["doc_version"] == n;
    heard.until(&mut client, |heard| heard.updates.iter().any(last)).await;
    running.stop().await;
}

#[tokio::test]
async fn heartbeats_unanswered_leaves_everything_else_as_it_is() {
    let running = with(&["heartbeats_unanswered"]).await;
    events(&running, 2).await;
    let mut client = joined(&running).await;
    client.send(Message::text(r#"["1","h1","sync:v1","sync:heartbeat",{}]"#)).await;
    client.send(Message::text(r#"[null,"h2","phoenix","heartbeat",{}]"#)).await;
    let (_, _, event, _) = {
        subscribe(&mut client, &json!({"topics": [WORKER_EVENTS]})).await;
        client.frame().await
    };
    assert_eq!(event, "sync:update_batch", "what was asked later is answered first");
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    assert_eq!(acted(&running, "heartbeats_unanswered"), 2);
    running.stop().await;
}

#[tokio::test]
async fn stuck_channel_is_silent_on_a_socket_that_lives() {
    let running = with(&["stuck_channel,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    publish(running.addr, "w", &json!({"n": 2})).await;
    heard.until(&mut client, |heard| heard.updates.len() == 1).await;
    assert_eq!(client.frame().await.2, "sync:frame");
    publish(running.addr, "w", &json!({"n": 3})).await;
    client.send(Message::text(r#"["1","h1","sync:v1","sync:heartbeat",{}]"#)).await;
    client.send(Message::text(r#"[null,"h2","phoenix","heartbeat",{}]"#)).await;
    assert_eq!(client.frame().await.1, "h2", "the socket answers, the channel does not");
    assert_eq!(acted(&running, "stuck_channel"), 1);
    join(&mut client).await;
    assert_eq!(resume(&mut client, 2).await.watermarks(), [3], "a new channel is as good as ever");
    running.stop().await;
}

#[tokio::test]
async fn wrong_close_code_is_one_that_the_contract_does_not_know() {
    let running = with(&["wrong_close_code"]).await;
    let mut client = joined(&running).await;
    client.send(Message::text("not JSON")).await;
    let came = client.next().await;
    assert!(matches!(came, Came::Close(1008)), "{came:?}");
    assert_eq!(acted(&running, "wrong_close_code"), 1);
    running.stop().await;
}
