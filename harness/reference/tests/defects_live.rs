//! Each defect, seen from a socket, beside a server without it.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use khala_reference::Config;
use khala_wire::canonical::payload_hash;
use khala_wire::payload::SyncFrameRef;
use khala_wire::snapshot::{Snapshot, snapshot_path};
use khala_wire::topic::{WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use support::{
    Client, Heard, Running, create_worker, join, publish, request, start, subscribe, token,
};

async fn with(defects: &[&str]) -> Running {
    let defects = defects.iter().map(|spec| spec.parse().expect("a spec")).collect();
    let mut config = Config { defects, ..Config::default() };
    config.defect_times.slow_recovery = Duration::from_millis(400);
    config.defect_times.early_reply_lead = Duration::from_millis(400);
    config.defect_times.swap_hold = Duration::from_millis(400);
    start(config).await
}

/// A worker with events up to a seq (1 is `worker.started`).
async fn events(running: &Running, to: u64) {
    create_worker(running.addr, "w").await;
    for n in 2..=to {
        publish(running.addr, "w", &json!({"n": n})).await;
    }
}

async fn joined(running: &Running) -> Client {
    let mut client = Client::open(running.addr, "s", &[WORKER_EVENTS, WORKER_SUMMARIES]).await;
    join(&mut client).await;
    client
}

/// Resumes the event topic after a cursor, and hears everything up to the reply.
async fn resume(client: &mut Client, after: u64) -> Heard {
    let cursor = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: after}});
    subscribe(client, &cursor).await;
    let mut heard = Heard::default();
    heard.until(client, |heard| heard.replied("s")).await;
    heard
}

#[tokio::test]
async fn without_defects_replay_is_whole_and_comes_before_the_reply() {
    let running = with(&[]).await;
    events(&running, 5).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 2).await;
    assert_eq!(heard.watermarks(), [3, 4, 5]);
    assert_eq!(heard.replies, [(json!("s"), 3)]);
    publish(running.addr, "w", &json!({"n": 6})).await;
    heard.until(&mut client, |heard| heard.updates.len() == 4).await;
    assert_eq!(heard.watermarks(), [3, 4, 5, 6]);
    assert_eq!(heard.updates[3]["payload"]["payload"], json!({"n": 6}));
    running.stop().await;
}

#[tokio::test]
async fn drop_on_reconnect_loses_the_first_replayed_event() {
    let running = with(&["drop_on_reconnect"]).await;
    events(&running, 5).await;
    let heard = resume(&mut joined(&running).await, 2).await;
    assert_eq!(heard.watermarks(), [4, 5]);
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
    running.stop().await;
}

#[tokio::test]
async fn drop_on_reconnect_spares_a_bootstrap_without_cursor() {
    let running = with(&["drop_on_reconnect"]).await;
    events(&running, 3).await;
    let mut client = joined(&running).await;
    subscribe(&mut client, &json!({"topics": [WORKER_EVENTS]})).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    assert_eq!(heard.watermarks(), [1, 2, 3]);
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
    while heard.watermarks().is_sorted() {
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
    running.stop().await;
}

#[tokio::test]
async fn swap_two_lets_a_single_event_go_after_its_hold() {
    let running = with(&["swap_two,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    publish(running.addr, "w", &json!({"n": 2})).await;
    heard.until(&mut client, |heard| heard.updates.len() == 1).await;
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
    running.stop().await;
}

#[tokio::test]
async fn corrupt_payload_alters_content_under_a_fitting_hash() {
    let running = with(&["corrupt_payload,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    let mut heard = resume(&mut client, 1).await;
    // Half of the deliveries are altered: go on until both kinds were seen.
    let altered = |update: &Value| {
        update["payload"]["payload"].get("n").is_some()
            && update["payload"]["payload"].as_object().expect("an object").len() > 1
    };
    let mut n = 1;
    while !(heard.updates.iter().any(altered) && heard.updates.iter().any(|u| !altered(u))) {
        n += 1;
        assert!(n < 100, "a fair coin does not fall on one side for so long");
        publish(running.addr, "w", &json!({"n": n})).await;
        let all = n - 1;
        heard.until(&mut client, |heard| heard.updates.len() == all).await;
    }
    for update in &heard.updates {
        assert_eq!(update["payload_hash"], payload_hash(&update["payload"]));
    }
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
    running.stop().await;
}

#[tokio::test]
async fn slow_recovery_answers_late_and_other_messages_in_time() {
    let running = with(&["slow_recovery"]).await;
    events(&running, 3).await;
    let mut client = joined(&running).await;
    let before = std::time::Instant::now();
    let cursor = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 1}});
    subscribe(&mut client, &cursor).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    assert!(before.elapsed() >= Duration::from_millis(400));
    assert_eq!(heard.watermarks(), [2, 3]);
    running.stop().await;
}

/// The reason with which a resume is refused; `None` when it is served.
async fn refused(client: &mut Client, topic: &str, after: u64) -> Option<String> {
    let cursor = json!({"topics": [topic], "resume_after": {topic: after}});
    subscribe(client, &cursor).await;
    loop {
        let (_, msg_ref, _, payload) = client.frame().await;
        if msg_ref == "s" {
            let reason = &payload["response"]["stale_topics"][0]["reason"];
            return reason.as_str().map(str::to_owned);
        }
    }
}

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
    running.stop().await;
}

#[tokio::test]
async fn wrong_reason_names_the_other_one() {
    let running = with(&["wrong_reason"]).await;
    events(&running, 5).await;
    running.handle.trim(WORKER_EVENTS, 2).expect("known");
    let reason = refused(&mut joined(&running).await, WORKER_EVENTS, 1).await;
    assert_eq!(reason.as_deref(), Some("replay_budget_exceeded"));
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
    running.stop().await;
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
    let bearer = format!("Bearer {}", token("s", &[WORKER_SUMMARIES]));
    let headers = [("authorization", bearer.as_str())];
    let path = snapshot_path(WORKER_SUMMARIES);
    let answer = request(running.addr, "GET", &path, &headers, "").await;
    let snapshot: Snapshot = serde_json::from_str(&answer.body).expect("a snapshot");
    assert_eq!(snapshot.head_watermark, 1, "below the floor, which is 2");
    let reason = refused(&mut client, WORKER_SUMMARIES, snapshot.head_watermark).await;
    assert_eq!(reason.as_deref(), Some("retention_floor_breach"));
    running.stop().await;
}

#[tokio::test]
async fn tail_during_replay_sends_the_newest_first() {
    let running = with(&["tail_during_replay"]).await;
    events(&running, 5).await;
    let heard = resume(&mut joined(&running).await, 2).await;
    assert_eq!(heard.watermarks(), [5, 3, 4, 5]);
    running.stop().await;
}

#[tokio::test]
async fn after_unsubscribe_one_more_batch_follows() {
    let running = with(&["after_unsubscribe"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    resume(&mut client, 1).await;
    let leave = json!({"topics": [WORKER_EVENTS]});
    client.send(Message::text(format!(r#"["1","u","sync:v1","sync:unsubscribe",{leave}]"#))).await;
    let (_, msg_ref, _, payload) = client.frame().await;
    assert_eq!((msg_ref, &payload["response"]["topics"]), (json!("u"), &json!([])));
    for n in 2..=3 {
        publish(running.addr, "w", &json!({"n": n})).await;
        let mut heard = Heard::default();
        heard.until_now(&mut client).await;
        let expected: &[u64] = if n == 2 { &[2] } else { &[] };
        assert_eq!(heard.watermarks(), expected, "one, and then none");
    }
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
    running.stop().await;
}

#[tokio::test]
async fn frame_mismatch_tells_two_stories() {
    let running = with(&["frame_mismatch,1"]).await;
    events(&running, 2).await;
    let mut client = joined(&running).await;
    let cursor = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 1}});
    subscribe(&mut client, &cursor).await;
    let (_, _, _, legacy) = client.frame().await;
    let (_, _, _, frame) = client.frame().await;
    let frame = frame.to_string();
    let frame: SyncFrameRef<'_> = serde_json::from_str(&frame).expect("a frame");
    let mut buffer = Vec::new();
    let inner: Value =
        serde_json::from_str(frame.decode_into(&mut buffer).expect("text")).expect("JSON");
    assert_ne!(inner["updates"][0]["payload"], legacy["updates"][0]["payload"]);
    assert_eq!(inner["updates"][0]["watermark"], legacy["updates"][0]["watermark"]);
    running.stop().await;
}

#[tokio::test]
async fn state_regress_goes_back_to_an_old_version() {
    let running = with(&["state_regress,1"]).await;
    events(&running, 1).await;
    let mut client = joined(&running).await;
    subscribe(&mut client, &json!({"topics": [WORKER_SUMMARIES]})).await;
    let mut heard = Heard::default();
    for count in 1..=3 {
        if count > 1 {
            publish(running.addr, "w", &json!({"n": count})).await;
        }
        heard.until(&mut client, |heard| heard.updates.len() == count).await;
    }
    let versions: Vec<_> = heard.updates.iter().map(|u| u["doc_version"].clone()).collect();
    assert_eq!(versions, [1, 2, 1]);
    assert_eq!(heard.watermarks(), [1, 2, 3]);
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
    running.stop().await;
}
