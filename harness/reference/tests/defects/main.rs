//! Each defect, seen from a socket, beside a server without it. One file a group.
//!
//! Whether a test here can fail at all is seen by running it against a server without its defect:
//! with `KHALA_WITHOUT_DEFECTS=1` in the environment every server of [`with`] is a correct one, and
//! every test that is named after a defect must fail. (Many wait for what does not come; run them
//! all at once, with `--test-threads 100`.)

#![expect(clippy::disallowed_methods, reason = "a test measures by the clock of its machine")]

#[path = "../support/mod.rs"]
mod support;

mod authority;
mod content;
mod cursors;
mod delivery;
mod flow;
mod latency;
mod page;
mod replay;
mod snapshot;

use std::time::Duration;

use khala_reference::Config;
use khala_wire::metrics::METRICS_PATH;
use khala_wire::topic::{WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::{Value, json};

use support::{Client, Heard, Running, create_worker, join, publish, request, start, subscribe};

/// A configuration with defects, whose times are short.
fn config(defects: &[&str]) -> Config {
    let correct = std::env::var_os("KHALA_WITHOUT_DEFECTS").is_some();
    let wanted = if correct { &[] } else { defects };
    let defects = wanted.iter().map(|spec| spec.parse().expect("a spec")).collect();
    let mut config = Config { defects, ..Config::default() };
    let times = &mut config.defect_times;
    let short = Duration::from_millis(400);
    for time in [
        &mut times.slow_recovery,
        &mut times.early_reply_lead,
        &mut times.swap_hold,
        &mut times.delivery_delay,
        &mut times.accept_every,
        &mut times.starve_quiet,
        &mut times.revocation_memory,
    ] {
        *time = short;
    }
    config
}

async fn with(defects: &[&str]) -> Running {
    start(config(defects)).await
}

/// How often a defect has acted, as operators see it.
fn acted(running: &Running, name: &str) -> u64 {
    let acted = running.handle.metrics().defects_acted;
    acted.and_then(|acted| acted.get(name).copied()).unwrap_or(0)
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

/// Subscribes without a cursor, and hears everything up to the reply.
async fn bootstrap(client: &mut Client, topics: &[&str]) -> Heard {
    subscribe(client, &json!({ "topics": topics })).await;
    let mut heard = Heard::default();
    heard.until(client, |heard| heard.replied("s")).await;
    heard
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
    assert_eq!(running.handle.metrics().defects_acted, None);
    running.stop().await;
}

#[tokio::test]
async fn operators_are_told_what_acted_only_where_defects_are_selected() {
    for (specs, expected) in [
        (&[][..], Value::Null),
        (
            &["drop_on_reconnect", "wrong_reason"],
            json!({"drop_on_reconnect": 1, "wrong_reason": 0}),
        ),
    ] {
        let defects = specs.iter().map(|spec| spec.parse().expect("a spec")).collect();
        let running = start(Config { defects, ..Config::default() }).await;
        events(&running, 3).await;
        resume(&mut joined(&running).await, 1).await;
        let answer = request(running.addr, "GET", METRICS_PATH, &[], "").await.json();
        assert_eq!(answer["defects_acted"], expected);
        assert_eq!(answer.get("defects_acted").is_some(), !specs.is_empty());
        running.stop().await;
    }
}
