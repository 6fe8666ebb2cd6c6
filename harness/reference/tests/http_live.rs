//! The HTTP side of a live server: commands, minting, the operators' view, snapshots.

#![expect(clippy::disallowed_methods, reason = "a test measures by the clock of its machine")]

#[path = "support/mod.rs"]
mod support;

use khala_reference::session::{ISSUER, SessionClaims, sign};
use khala_reference::{Config, config};
use khala_wire::canonical::payload_hash;
use khala_wire::command::{TOKEN_PATH, WORKERS_PATH, worker_snapshot_path, worker_stop_path};
use khala_wire::metrics::{FanoutMetrics, METRICS_PATH};
use khala_wire::signature::{self, SIGNATURE_HEADER, SignedPayload};
use khala_wire::snapshot::{Snapshot, snapshot_path};
use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES, WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::json;

use support::{
    Client, Heard, create_worker, join, post, publish, request, start, subscribe, token,
};

fn session_token(edit: impl Fn(&mut SessionClaims)) -> String {
    let mut claims = SessionClaims {
        did: "d1".into(),
        exp: jiff::Timestamp::now().as_second() + 600,
        iss: ISSUER.into(),
        org: "o1".into(),
        scopes: vec![WORKER_EVENTS.into(), NOTIFICATIONS.into()],
        sid: "s1".into(),
        sub: "1".into(),
    };
    edit(&mut claims);
    sign(config::DEVELOPMENT_SESSION_KEY.as_bytes(), &claims).expect("signs")
}

#[tokio::test]
async fn a_minted_token_opens_the_socket_for_what_was_granted() {
    let running = start(Config::default()).await;
    let bearer = format!("Bearer {}", session_token(|_| ()));
    let body = json!({"topics": [NOTIFICATIONS], "ttl_seconds": 60, "device_id": "d1"});
    let answer =
        request(running.addr, "POST", TOKEN_PATH, &[("authorization", &bearer)], &body.to_string())
            .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["data"]["token"].as_str().expect("a token").to_owned();
    let path = format!("/sync/socket/websocket?token={token}&vsn=2.0.0");
    let mut client = Client::connect(running.addr, &path).await;
    join(&mut client).await;
    subscribe(&mut client, &json!({"topics": [WORKER_EVENTS]})).await;
    let (_, _, _, payload) = client.frame().await;
    assert_eq!(payload["response"]["code"], "forbidden_topic");
    running.stop().await;
}

#[tokio::test]
async fn minting_is_refused_by_the_contracts_statuses() {
    let running = start(Config::default()).await;
    let ask = async |token: Option<String>, body: &str| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        request(running.addr, "POST", TOKEN_PATH, &headers, body).await.status
    };
    assert_eq!(ask(Some(session_token(|_| ())), "").await, 200, "an empty body asks for all");
    assert_eq!(ask(None, "{}").await, 401);
    assert_eq!(ask(Some("garbage".into()), "{}").await, 401);
    assert_eq!(ask(Some(session_token(|c| c.exp = 1)), "{}").await, 401);
    let valid = || Some(session_token(|_| ()));
    assert_eq!(ask(valid(), r#"{"device_id":"d2"}"#).await, 403);
    let ungranted = json!({"scopes": [WORKER_SUMMARIES]}).to_string();
    assert_eq!(ask(valid(), &ungranted).await, 403);
    assert_eq!(ask(valid(), r#"{"ttl_seconds":0}"#).await, 400);
    assert_eq!(ask(valid(), r#"{"scopes":["nope"]}"#).await, 400);
    running.stop().await;

    let off = start(Config { session_key: None, ..Config::default() }).await;
    let bearer = format!("Bearer {}", session_token(|_| ()));
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(request(off.addr, "POST", TOKEN_PATH, &headers, "{}").await.status, 503);
    off.stop().await;
}

#[tokio::test]
async fn a_worker_is_created_once_and_stopped_once() {
    let running = start(Config::default()).await;
    let body = json!({"worker_id": "w", "workspace_ref": "ws"});
    let first = post(running.addr, WORKERS_PATH, &body).await.json();
    let again = post(running.addr, WORKERS_PATH, &body).await.json();
    assert_eq!(first["data"]["idempotentReplay"], false);
    assert_eq!(again["data"]["idempotentReplay"], true);
    publish(running.addr, "w", &json!({"b": 1, "a": 2})).await;
    let document = request(running.addr, "GET", &worker_snapshot_path("w"), &[], "").await.json();
    assert_eq!(document["data"]["latest_seq"], 2);
    assert_eq!(document["data"]["status"], "running");
    let stop = json!({"reason": "done"});
    for replay in [false, true] {
        let answer = post(running.addr, &worker_stop_path("w"), &stop).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.json()["data"]["idempotent_replay"], replay);
    }
    let events = khala_wire::command::worker_events_path("w");
    let event = json!({"event": {"event_type": "e", "payload": {}}});
    assert_eq!(post(running.addr, &events, &event).await.status, 409);
    let nobody = khala_wire::command::worker_events_path("nobody");
    assert_eq!(post(running.addr, &nobody, &event).await.status, 404);
    assert_eq!(post(running.addr, &events, &json!({"x": 1})).await.status, 400);
    running.stop().await;
}

#[tokio::test]
async fn commands_need_the_configured_signature_and_its_user() {
    let secret = b"command secret".to_vec();
    let running =
        start(Config { signature_secret: Some(secret.clone()), ..Config::default() }).await;
    let now = jiff::Timestamp::now().as_second();
    let sign = |secret: &[u8], exp: i64, user: &str| {
        let (nonce, user_id) = ("n1".to_owned(), user.to_owned());
        signature::sign(secret, &SignedPayload { exp, iat: now, nonce, user_id })
    };
    let body = json!({"worker_id": "w"}).to_string();
    let ask = async |signature: Option<String>, user: &str| {
        let mut headers = vec![("x-oa-user-id", user)];
        if let Some(signature) = &signature {
            headers.push((SIGNATURE_HEADER, signature));
        }
        request(running.addr, "POST", WORKERS_PATH, &headers, &body).await.status
    };
    assert_eq!(ask(None, "1").await, 401);
    assert_eq!(ask(Some(sign(b"other", now + 60, "1")), "1").await, 401);
    assert_eq!(ask(Some(sign(&secret, now - 1, "1")), "1").await, 401);
    assert_eq!(ask(Some(sign(&secret, now + 60, "2")), "1").await, 403);
    assert_eq!(ask(Some(sign(&secret, now + 60, "1")), "1").await, 202);
    running.stop().await;
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_and_counted() {
    let mut config = Config::default();
    config.publish[2].payload_bytes_max = 64;
    let running = start(config).await;
    create_worker(running.addr, "w").await;
    let events = khala_wire::command::worker_events_path("w");
    let event = json!({"event": {"event_type": "e", "payload": {"pad": "x".repeat(64)}}});
    let answer = post(running.addr, &events, &event).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["error"], "khala_frame_payload_too_large");
    let window = &running.handle.metrics().topic_windows[2];
    assert_eq!((window.frame_size_rejected_count, window.head_sequence), (1, Some(1)));
    running.stop().await;
}

#[tokio::test]
async fn the_operators_view_needs_its_token_and_counts_from_the_servers_side() {
    let running = start(Config { admin_token: Some("admin".into()), ..Config::default() }).await;
    create_worker(running.addr, "w").await;
    let mut client = Client::open(running.addr, "s", &[WORKER_EVENTS]).await;
    join(&mut client).await;
    subscribe(&mut client, &json!({"topics": [WORKER_EVENTS]})).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;

    let path = format!("{METRICS_PATH}?topic_limit=3");
    assert_eq!(request(running.addr, "GET", &path, &[], "").await.status, 401);
    let headers = [("authorization", "Bearer admin")];
    let read = async || -> FanoutMetrics {
        let answer = request(running.addr, "GET", &path, &headers, "").await;
        serde_json::from_str(&answer.body).expect("metrics")
    };
    let metrics = read().await;
    assert_eq!(metrics.delivery_metrics.active_consumers, 1);
    assert_eq!(metrics.delivery_metrics.served_messages, 1);
    assert_eq!(metrics.topic_windows.len(), 3);
    assert_eq!(metrics.topic_windows[2].head_sequence, Some(1));
    drop(client);
    loop {
        let metrics = read().await.delivery_metrics;
        if metrics.total_disconnects == Some(1) {
            assert_eq!(metrics.active_consumers, 0);
            assert_eq!(metrics.recent_disconnect_causes, ["connection_lost"]);
            break;
        }
        tokio::task::yield_now().await;
    }
    for path in ["/healthz", "/readyz"] {
        let answer = request(running.addr, "GET", path, &[], "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.json().is_object());
    }
    running.stop().await;
}

#[tokio::test]
async fn a_snapshot_is_the_state_at_its_head_and_can_be_resumed_from() {
    let running = start(Config::default()).await;
    create_worker(running.addr, "a").await;
    create_worker(running.addr, "b").await;
    publish(running.addr, "a", &json!({"n": 1})).await;
    let bearer = format!("Bearer {}", token("s", &[WORKER_SUMMARIES]));
    let headers = [("authorization", bearer.as_str())];
    let path = snapshot_path(WORKER_SUMMARIES);
    let snapshot = loop {
        let answer = request(running.addr, "GET", &path, &headers, "").await;
        assert_eq!(answer.status, 200);
        let snapshot: Snapshot = serde_json::from_str(&answer.body).expect("a snapshot");
        let versions: Vec<_> = snapshot.documents.iter().map(|d| d.doc_version).collect();
        if versions == [2, 1] {
            break snapshot;
        }
    };
    for document in &snapshot.documents {
        let payload: serde_json::Value =
            serde_json::from_str(document.payload.get()).expect("JSON");
        assert_eq!(document.payload_hash, payload_hash(&payload));
        assert_eq!(payload["latest_seq"], document.doc_version);
    }
    let mut client = Client::open(running.addr, "s", &[WORKER_SUMMARIES]).await;
    join(&mut client).await;
    let after = json!({WORKER_SUMMARIES: snapshot.head_watermark});
    subscribe(&mut client, &json!({"topics": [WORKER_SUMMARIES], "resume_after": after})).await;
    let mut heard = Heard::default();
    heard.until(&mut client, |heard| heard.replied("s")).await;
    assert!(heard.updates.is_empty(), "nothing lies after the snapshot");
    running.stop().await;
}

#[tokio::test]
async fn snapshots_are_refused_without_token_scope_or_support() {
    let running = start(Config::default()).await;
    let ask = async |topic: &str, scopes: &[&str]| {
        let bearer = format!("Bearer {}", token("s", scopes));
        let headers = [("authorization", bearer.as_str())];
        let answer = request(running.addr, "GET", &snapshot_path(topic), &headers, "").await;
        let json = answer.json();
        let code = json.get("reason_code").unwrap_or(&json["error"]);
        (answer.status, code.as_str().expect("a code").to_owned())
    };
    let path = snapshot_path(WORKER_SUMMARIES);
    assert_eq!(request(running.addr, "GET", &path, &[], "").await.status, 401);
    assert_eq!(ask(WORKER_SUMMARIES, &[WORKER_EVENTS]).await, (403, "missing_scope".into()));
    assert_eq!(ask("nope", &[WORKER_EVENTS]).await, (403, "forbidden_topic".into()));
    assert_eq!(ask(WORKER_EVENTS, &[WORKER_EVENTS]).await, (404, "snapshot_unsupported".into()));
    running.stop().await;
}

#[tokio::test]
async fn publishing_too_fast_is_refused_with_a_time_to_wait() {
    let mut config = Config::default();
    config.publish[2].per_second = Some(3);
    let running = start(config).await;
    create_worker(running.addr, "w").await;
    let path = khala_wire::command::worker_events_path("w");
    let event = json!({"event": {"event_type": "e", "payload": {}}});
    let mut accepted = 0;
    let refused = loop {
        let answer = post(running.addr, &path, &event).await;
        if answer.status == 429 {
            break answer.json();
        }
        assert_eq!(answer.status, 202);
        accepted += 1;
        assert!(accepted < 1_000, "no machine takes a third of a second for each of these");
    };
    assert!(accepted >= 3);
    assert_eq!(refused["error"], "khala_publish_rate_limited");
    assert_eq!(refused["max_publish_per_second"], 3);
    assert_eq!(refused["topic_class"], "codex_worker_events");
    let wait = refused["retry_after_ms"].as_u64().expect("a number");
    assert!((1..=1_001).contains(&wait));
    tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    assert_eq!(post(running.addr, &path, &event).await.status, 202);
    let window = &running.handle.metrics().topic_windows[2];
    assert_eq!(window.publish_rate_limited_count, 1);
    assert_eq!(window.last_violation_reason.as_deref(), Some("khala_publish_rate_limited"));
    running.stop().await;
}

#[tokio::test]
async fn a_run_grows_and_its_summary_reaches_subscribers() {
    let running = start(Config::default()).await;
    let mut client = Client::open(running.addr, "s", &[RUN_SUMMARIES]).await;
    join(&mut client).await;
    subscribe(&mut client, &json!({"topics": [RUN_SUMMARIES]})).await;
    let answer = post(running.addr, "/internal/v1/runs", &json!({"metadata": {"k": 1}})).await;
    assert_eq!(answer.status, 201);
    let run = answer.json()["run"].clone();
    assert_eq!(run["events"][0]["event_type"], "run.started");
    let id = run["id"].as_str().expect("an id");
    let path = format!("/internal/v1/runs/{id}/events");
    let event = json!({"event_type": "run.progress", "payload": {"p": 1}, "idempotency_key": "a"});
    for _ in 0..2 {
        let answer = post(running.addr, &path, &event).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["run"]["events"].as_array().map(Vec::len), Some(2));
    }
    let conflict = json!({"event_type": "e", "payload": {}, "expected_previous_seq": 9});
    assert_eq!(post(running.addr, &path, &conflict).await.status, 409);
    let mut heard = Heard::default();
    let last = |heard: &Heard| heard.updates.last().is_some_and(|u| u["doc_version"] == 2);
    heard.until(&mut client, last).await;
    let summary = &heard.updates.last().expect("heard")["payload"];
    assert_eq!((&summary["run_id"], &summary["metadata"]), (&run["id"], &json!({"k": 1})));
    running.stop().await;
}

#[tokio::test]
async fn a_trim_makes_old_cursors_stale_and_needs_the_operator() {
    let running = start(Config { admin_token: Some("admin".into()), ..Config::default() }).await;
    create_worker(running.addr, "w").await;
    for n in 2..=5 {
        publish(running.addr, "w", &json!({"n": n})).await;
    }
    let trim = async |topic: &str, bearer: &str| {
        let headers = [("authorization", bearer)];
        let body = json!({"topic": topic, "keep": 2}).to_string();
        request(running.addr, "POST", khala_reference::TRIM_PATH, &headers, &body).await
    };
    assert_eq!(trim(WORKER_EVENTS, "Bearer nobody").await.status, 401);
    assert_eq!(trim("nope", "Bearer admin").await.status, 404);
    let data = trim(WORKER_EVENTS, "Bearer admin").await.json()["data"].clone();
    assert_eq!((&data["pruned"], &data["oldest_sequence"]), (&json!(3), &json!(4)));

    let mut client = Client::open(running.addr, "s", &[WORKER_EVENTS]).await;
    join(&mut client).await;
    let resume = json!({"topics": [WORKER_EVENTS], "resume_after": {WORKER_EVENTS: 2}});
    subscribe(&mut client, &resume).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(client.frame().await.2);
    }
    assert_eq!(events, ["sync:error", "sync:frame", "phx_reply"]);
    let window = &running.handle.metrics().topic_windows[2];
    assert_eq!(window.stale_cursor_retention_floor_count, 1);
    assert_eq!(window.last_violation_reason.as_deref(), Some("retention_floor_breach"));
    running.stop().await;
}

#[tokio::test]
async fn a_request_whose_body_does_not_come_is_ended() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let request_timeout = std::time::Duration::from_millis(200);
    let running = start(Config { request_timeout, ..Config::default() }).await;
    let mut stream = tokio::net::TcpStream::connect(running.addr).await.expect("connects");
    let head = format!("POST {WORKERS_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sends");
    let mut answer = [0; 12];
    let read = tokio::time::timeout(support::PATIENCE, stream.read_exact(&mut answer));
    read.await.expect("in time").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 408");
    running.stop().await;
}
