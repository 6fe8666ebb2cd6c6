//! Tokens, scopes, revocations, and commands over the socket.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use khala_wire::command::REVOKE_PATH;
use khala_wire::snapshot::snapshot_path;
use khala_wire::token::Claims;
use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES, WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Came, Client, Heard, Running, claims, create_worker, join, key, post, publish, request, token,
};
use crate::{acted, bootstrap, events, joined, with};

#[tokio::test]
async fn cross_topic_leak_sends_what_the_token_does_not_open() {
    let running = with(&["cross_topic_leak,1"]).await;
    events(&running, 1).await;
    let mut client = Client::open(running.addr, "s", &[WORKER_SUMMARIES]).await;
    join(&mut client).await;
    let mut heard = bootstrap(&mut client, &[WORKER_SUMMARIES]).await;
    publish(running.addr, "w", &json!({"n": 2})).await;
    let leaked = |update: &Value| update["topic"] == WORKER_EVENTS;
    heard.until(&mut client, |heard| heard.updates.iter().any(leaked)).await;
    assert!(acted(&running, "cross_topic_leak") >= 1);
    running.stop().await;
}

/// The status of an upgrade with a token.
async fn upgrade(running: &Running, token: &str) -> u16 {
    let headers = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let path = format!("/socket/websocket?token={token}&vsn=2.0.0");
    request(running.addr, "GET", &path, &headers, "").await.status
}

async fn snapshot(running: &Running, topic: &str, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    request(running.addr, "GET", &snapshot_path(topic), &headers, "").await.status
}

fn edited(edit: impl Fn(&mut Claims)) -> Claims {
    let mut claims = claims("s", &[WORKER_SUMMARIES]);
    edit(&mut claims);
    claims
}

fn signed(edit: impl Fn(&mut Claims)) -> String {
    key().sign(&edited(edit)).expect("signs")
}

fn unsigned(edit: impl Fn(&mut Claims)) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT","kid":"sync-auth-v1"}"#);
    let claims = serde_json::to_vec(&edited(edit)).expect("serialises");
    format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims))
}

fn expire(claims: &mut Claims) {
    claims.exp = claims.iat - 1;
    (claims.iat, claims.nbf) = (claims.iat - 900, claims.nbf - 900);
}

fn estrange(claims: &mut Claims) {
    claims.iss = "elsewhere".to_owned();
}

#[tokio::test]
async fn expired_accepted_opens_what_is_wrong_in_nothing_else() {
    let (honest, lying) = (with(&[]).await, with(&["expired_accepted"]).await);
    for (token, right, wrong) in [
        (signed(|_| ()), (101, 200), (101, 200)),
        (signed(expire), (403, 401), (101, 200)),
        (signed(|claims| (expire(claims), estrange(claims)).0), (403, 401), (403, 401)),
        (unsigned(|_| ()), (403, 401), (403, 401)),
    ] {
        for (running, expected) in [(&honest, right), (&lying, wrong)] {
            let got =
                (upgrade(running, &token).await, snapshot(running, WORKER_SUMMARIES, &token).await);
            assert_eq!(got, expected, "{token}");
        }
    }
    assert_eq!(acted(&lying, "expired_accepted"), 2);
    honest.stop().await;
    lying.stop().await;
}

#[tokio::test]
async fn alg_none_accepted_opens_what_is_wrong_in_nothing_else() {
    let (honest, lying) = (with(&[]).await, with(&["alg_none_accepted"]).await);
    for (token, right, wrong) in [
        (unsigned(|_| ()), (403, 401), (101, 200)),
        (unsigned(expire), (403, 401), (403, 401)),
        (unsigned(estrange), (403, 401), (403, 401)),
        (signed(expire), (403, 401), (403, 401)),
    ] {
        for (running, expected) in [(&honest, right), (&lying, wrong)] {
            let got =
                (upgrade(running, &token).await, snapshot(running, WORKER_SUMMARIES, &token).await);
            assert_eq!(got, expected, "{token}");
        }
    }
    assert_eq!(acted(&lying, "alg_none_accepted"), 2);
    honest.stop().await;
    lying.stop().await;
}

#[tokio::test]
async fn claims_unchecked_opens_what_is_wrong_in_nothing_else() {
    let (honest, lying) = (with(&[]).await, with(&["claims_unchecked"]).await);
    let forged = key().renamed("who").sign(&edited(estrange)).expect("signs");
    for (token, wrong) in [
        (signed(estrange), (101, 200)),
        (signed(|claims| claims.aud = "nobody".to_owned()), (101, 200)),
        (signed(|claims| claims.oa_claims_version = "v0".to_owned()), (101, 200)),
        (signed(|claims| (expire(claims), estrange(claims)).0), (403, 401)),
        (unsigned(estrange), (403, 401)),
        (forged, (403, 401)),
    ] {
        for (running, expected) in [(&honest, (403, 401)), (&lying, wrong)] {
            let got =
                (upgrade(running, &token).await, snapshot(running, WORKER_SUMMARIES, &token).await);
            assert_eq!(got, expected, "{token}");
        }
    }
    assert_eq!(acted(&lying, "claims_unchecked"), 6);
    honest.stop().await;
    lying.stop().await;
}

async fn revoke(running: &Running) {
    let body = json!({"session_ids": ["s"], "reason": "lost phone"});
    assert_eq!(post(running.addr, REVOKE_PATH, &body).await.status, 200);
}

/// Whether the session may join, with its code when not.
async fn join_code(running: &Running) -> Option<String> {
    let mut client = Client::open(running.addr, "s", &[WORKER_EVENTS]).await;
    client.send(Message::text(r#"["1","1","sync:v1","phx_join",{}]"#)).await;
    let (_, _, _, payload) = client.frame().await;
    payload["response"]["code"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn without_defects_a_revoked_session_gets_nothing_any_more() {
    let running = with(&[]).await;
    let mut client = joined(&running).await;
    revoke(&running).await;
    assert_eq!(client.frame().await.3["code"], "reauth_required");
    assert_eq!(join_code(&running).await.as_deref(), Some("reauth_required"));
    assert_eq!(snapshot(&running, RUN_SUMMARIES, &token("s", &[RUN_SUMMARIES])).await, 401);
    assert_eq!(snapshot(&running, RUN_SUMMARIES, &token("t", &[RUN_SUMMARIES])).await, 200);
    running.stop().await;
}

#[tokio::test]
async fn revocation_ignored_changes_nothing() {
    let running = with(&["revocation_ignored"]).await;
    let mut client = joined(&running).await;
    revoke(&running).await;
    Heard::default().until_now(&mut client).await;
    assert_eq!(join_code(&running).await, None);
    assert_eq!(acted(&running, "revocation_ignored"), 1);
    running.stop().await;
}

#[tokio::test]
async fn revocation_forgotten_evicts_and_lets_in_again() {
    let running = with(&["revocation_forgotten"]).await;
    let mut client = joined(&running).await;
    revoke(&running).await;
    while let came = client.next().await
        && !matches!(came, Came::Close(1011))
    {
        assert!(matches!(came, Came::Text(_)), "{came:?}");
    }
    tokio::time::timeout(crate::support::PATIENCE, async {
        while join_code(&running).await.is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it is forgotten");
    assert_eq!(acted(&running, "revocation_forgotten"), 1);
    running.stop().await;
}

#[tokio::test]
async fn scope_ignored_opens_known_topics_and_no_others() {
    let running = with(&["scope_ignored"]).await;
    events(&running, 2).await;
    let mut client = Client::open(running.addr, "s", &[NOTIFICATIONS]).await;
    join(&mut client).await;
    assert_eq!(bootstrap(&mut client, &[WORKER_EVENTS]).await.watermarks(), [1, 2]);
    assert_eq!(bootstrap(&mut client, &["nope"]).await.watermarks(), Vec::<u64>::new());
    let narrow = token("s", &[NOTIFICATIONS]);
    assert_eq!(snapshot(&running, RUN_SUMMARIES, &narrow).await, 200);
    assert_eq!(snapshot(&running, "nope", &narrow).await, 403);
    assert_eq!(acted(&running, "scope_ignored"), 2);
    running.stop().await;
}

#[tokio::test]
async fn command_obeyed_publishes_what_comes_over_the_socket() {
    let running = with(&["command_obeyed"]).await;
    create_worker(running.addr, "a").await;
    let mut client = joined(&running).await;
    let event = json!({"event_type": "worker.progress", "payload": {"n": 2}});
    for (event_name, command) in [
        ("codex.worker.event", json!({"worker_id": "a", "event": event})),
        ("runtime.command", json!({"event": event})),
        ("codex.worker.create", json!({"workerId": "b"})),
    ] {
        let frame = json!(["1", "c", "sync:v1", event_name, command]);
        client.send(Message::text(frame.to_string())).await;
        let (_, msg_ref, _, payload) = client.frame().await;
        assert_eq!((&msg_ref, &payload["status"]), (&json!("c"), &json!("ok")), "{payload}");
    }
    let heard = bootstrap(&mut client, &[WORKER_EVENTS]).await;
    let keys: Vec<_> = heard.updates.iter().map(|u| u["payload"]["worker_id"].clone()).collect();
    assert_eq!(keys, ["a", "a", "a", "b"]);
    assert_eq!(heard.updates[1]["payload"]["payload"], json!({"n": 2}));
    assert_eq!(acted(&running, "command_obeyed"), 3);
    client.send(Message::text(r#"["1","u","sync:v1","no.command",{}]"#)).await;
    assert_eq!(client.frame().await.2, "phx_error", "what is no command is as unknown as ever");
    running.stop().await;
}
