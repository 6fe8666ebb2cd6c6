//! The socket of a live server, where the recording is silent.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use khala_reference::config::Compatibility;
use khala_reference::{Config, Server};
use khala_wire::command::REVOKE_PATH;
use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES, WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use support::{Came, Client, Heard, create_worker, join, post, publish, start, subscribe, token};

/// Subscribers come and go while events flow: each sees every event from its cursor on, in order,
/// once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_turns_into_live_without_gap_or_overlap() {
    const EVENTS: u64 = 300;
    let running = start(Config {
        publish: [khala_reference::config::PublishLimits {
            per_second: None,
            payload_bytes_max: 1 << 16,
        }; 4],
        ..Config::default()
    })
    .await;
    let addr = running.addr;
    create_worker(addr, "w").await;
    let publisher = tokio::spawn(async move {
        for n in 2..=EVENTS {
            publish(addr, "w", &json!({"n": n})).await;
        }
    });
    let subscribers: Vec<_> = (0..20_u64)
        .map(|number| {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 7)).await;
                let session = format!("s{number}");
                let mut client = Client::open(addr, &session, &[WORKER_EVENTS]).await;
                join(&mut client).await;
                let ask = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 1},
                    "replay_batch_size": 1 + number});
                subscribe(&mut client, &ask).await;
                let mut heard = Heard::default();
                let last = usize::try_from(EVENTS - 1).expect("small");
                heard.until(&mut client, |heard| heard.updates.len() >= last).await;
                heard.until_now(&mut client).await;
                assert_eq!(heard.watermarks(), (2..=EVENTS).collect::<Vec<_>>());
            })
        })
        .collect();
    publisher.await.expect("publishes");
    for subscriber in subscribers {
        subscriber.await.expect("sees all");
    }
    running.stop().await;
}

#[tokio::test]
async fn the_last_version_of_a_document_always_arrives_and_none_goes_back() {
    let running = start(Config::default()).await;
    create_worker(running.addr, "w").await;
    let mut client = Client::open(running.addr, "s", &[WORKER_SUMMARIES]).await;
    join(&mut client).await;
    subscribe(&mut client, &json!({"topics": [WORKER_SUMMARIES]})).await;
    for n in 2..=60 {
        publish(running.addr, "w", &json!({"n": n})).await;
    }
    let mut heard = Heard::default();
    let last = |heard: &Heard| heard.updates.last().is_some_and(|u| u["doc_version"] == 60);
    heard.until(&mut client, last).await;
    let versions: Vec<_> =
        heard.updates.iter().map(|update| update["doc_version"].as_u64()).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    running.stop().await;
}

#[tokio::test]
async fn nothing_of_a_topic_follows_its_unsubscribe_and_others_go_on() {
    let running = start(Config::default()).await;
    create_worker(running.addr, "w").await;
    let mut client = Client::open(running.addr, "s", &[WORKER_EVENTS, WORKER_SUMMARIES]).await;
    join(&mut client).await;
    let both = json!({"topics": [WORKER_EVENTS, WORKER_SUMMARIES]});
    subscribe(&mut client, &both).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    let leave = json!({"topics": [WORKER_EVENTS, "nope"]});
    client.send(Message::text(format!(r#"["1","u","sync:v1","sync:unsubscribe",{leave}]"#))).await;
    loop {
        let (_, msg_ref, _, payload) = client.frame().await;
        if msg_ref == "u" {
            assert_eq!(payload["response"]["topics"], json!([WORKER_SUMMARIES]));
            break;
        }
    }
    publish(running.addr, "w", &json!({"n": 2})).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.updates.iter().any(|u| u["doc_version"] == 2)).await;
    assert!(heard.updates.iter().all(|update| update["topic"] == WORKER_SUMMARIES));

    // Its watermark is forgotten: without a cursor it replays from the start.
    subscribe(&mut client, &json!({"topics": [WORKER_EVENTS]})).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    assert_eq!(heard.watermarks(), [1, 2]);
    running.stop().await;
}

#[tokio::test]
async fn a_revoked_device_is_told_and_closed_and_others_stay() {
    let running = start(Config::default()).await;
    let mut revoked = Client::open(running.addr, "s1", &[RUN_SUMMARIES]).await;
    let mut other = Client::open(running.addr, "s2", &[RUN_SUMMARIES]).await;
    join(&mut revoked).await;
    join(&mut other).await;
    let body = json!({"device_ids": ["dev-s1"], "reason": "lost phone"});
    assert_eq!(post(running.addr, REVOKE_PATH, &body).await.status, 200);
    let (_, _, event, payload) = revoked.frame().await;
    assert_eq!((&*event, &payload["code"]), ("sync:error", &json!("reauth_required")));
    let (_, _, event, payload) = revoked.frame().await;
    assert_eq!((&*event, &payload["topic"]), ("sync:frame", &json!("sync.auth")));
    assert!(matches!(revoked.next().await, Came::Close(1011)));
    Heard::default().until_now(&mut other).await;
    running.stop().await;
}

#[tokio::test]
async fn the_compatibility_gate_refuses_the_join_and_not_the_socket() {
    let running = start(Config {
        compatibility: Some(Compatibility {
            min_client_build_id: Some("20260221T130000Z".into()),
            max_client_build_id: None,
            min_schema_version: 1,
            max_schema_version: 1,
        }),
        ..Config::default()
    })
    .await;
    let connect = async |build: &str| {
        let token = token("s", &[RUN_SUMMARIES]);
        let path = format!(
            "/socket/websocket?token={token}&vsn=2.0.0&client_build_id={build}\
             &protocol_version=khala.ws.v1&schema_version=1"
        );
        let mut client = Client::connect(running.addr, &path).await;
        client.send(Message::text(r#"["1","1","sync:v1","phx_join",{}]"#)).await;
        client.frame().await.3
    };
    let old = connect("20250101T000000Z").await;
    assert_eq!(old["status"], "error");
    assert_eq!(old["response"]["code"], "upgrade_required");
    assert_eq!(old["response"]["min_client_build_id"], "20260221T130000Z");
    assert_eq!(connect("20260301T000000Z").await["status"], "ok");
    running.stop().await;
}

#[tokio::test]
async fn oversized_and_malformed_messages_close_with_their_codes() {
    let running = start(Config::default()).await;
    let mut big = Client::open(running.addr, "s", &[RUN_SUMMARIES]).await;
    big.send(Message::text("x".repeat(65 << 10))).await;
    assert!(matches!(big.next().await, Came::Close(1009) | Came::Gone));
    // A command over the socket is no event of the channel: it crashes, and nothing changes.
    let mut client = Client::open(running.addr, "s", &[RUN_SUMMARIES]).await;
    join(&mut client).await;
    let command = json!({"event": {"event_type": "worker.progress", "payload": {}}});
    let frame = format!(r#"["1","2","sync:v1","codex.worker.event",{command}]"#);
    client.send(Message::text(frame)).await;
    assert_eq!(client.frame().await.2, "phx_error");
    let windows = running.handle.metrics().topic_windows;
    assert!(windows.iter().all(|window| window.head_sequence.is_none()));
    running.stop().await;
}

#[tokio::test]
async fn a_serializer_v1_client_is_served_alike() {
    let running = start(Config::default()).await;
    create_worker(running.addr, "w").await;
    let token = token("s", &[WORKER_EVENTS]);
    let path = format!("/socket/websocket?token={token}");
    let mut client = Client::connect(running.addr, &path).await;
    let send = |event: &str, msg_ref: &str, payload: serde_json::Value| {
        json!({"topic": "sync:v1", "event": event, "payload": payload, "ref": msg_ref}).to_string()
    };
    client.send(Message::text(send("phx_join", "1", json!({})))).await;
    client.text().await;
    let ask = send("sync:subscribe", "2", json!({"topics": [WORKER_EVENTS]}));
    client.send(Message::text(ask)).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        let frame: serde_json::Value = serde_json::from_str(&client.text().await).expect("JSON");
        assert!(frame.get("join_ref").is_none());
        events.push(frame["event"].as_str().expect("an event").to_owned());
    }
    assert_eq!(events, ["sync:update_batch", "sync:frame", "phx_reply"]);
    running.stop().await;
}

#[tokio::test]
async fn a_cursor_beyond_head_waits_for_it() {
    let running = start(Config::default()).await;
    let mut client = Client::open(running.addr, "s", &[WORKER_EVENTS, NOTIFICATIONS]).await;
    join(&mut client).await;
    let ask = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 2}});
    subscribe(&mut client, &ask).await;
    create_worker(running.addr, "w").await;
    for n in 2..=4 {
        publish(running.addr, "w", &json!({"n": n})).await;
    }
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.updates.len() == 2).await;
    assert_eq!(heard.watermarks(), [3, 4]);
    running.stop().await;
}

/// A kill and a restart on the same port and directory: cursors go on, and nothing that was
/// acknowledged is missing.
#[test]
fn a_killed_server_goes_on_where_it_was() {
    let dir = std::env::temp_dir().join(format!("khala-live-{}", std::process::id()));
    let config = || Config { data_dir: Some(dir.clone()), ..Config::default() };
    let ours = tokio::runtime::Runtime::new().expect("a runtime");
    let theirs = tokio::runtime::Runtime::new().expect("a runtime");
    let running = theirs.block_on(start(config()));
    let addr = running.addr;
    let mut client = ours.block_on(async {
        create_worker(addr, "w").await;
        publish(addr, "w", &json!({"n": 2})).await;
        let mut client = Client::open(addr, "s", &[WORKER_EVENTS]).await;
        join(&mut client).await;
        client
    });
    theirs.shutdown_background();
    ours.block_on(async {
        assert!(matches!(client.next().await, Came::Gone), "a kill says nothing");
        let server = loop {
            // The killed one's tasks end by and by; until then the port is taken.
            match Server::bind(addr, config()).await {
                Ok(server) => break server,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let shutdown = tokio_util::sync::CancellationToken::new();
        let again = tokio::spawn(server.run(shutdown.clone()));
        assert_eq!(publish(addr, "w", &json!({"n": 3})).await["seq"], 3);
        let mut client = Client::open(addr, "s", &[WORKER_EVENTS]).await;
        join(&mut client).await;
        let resume = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 1}});
        subscribe(&mut client, &resume).await;
        let mut heard = Heard::default();
        heard.until(&mut client, |heard| heard.replied("s")).await;
        assert_eq!(heard.watermarks(), [2, 3]);
        drop(client);
        shutdown.cancel();
        again.await.expect("does not panic").expect("stops in order");
    });
    std::fs::remove_dir_all(&dir).expect("there");
}
