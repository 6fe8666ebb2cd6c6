//! The recorded cases of a real runtime, replayed against this one, frame by frame.
//!
//! Every case of the file is either replayed by a test below or listed with the reason why it is
//! not; a case that is neither fails the build of the table.

#[path = "../support/mod.rs"]
mod support;

mod normal;
mod player;
mod recording;

use std::collections::BTreeSet;
use std::time::Duration;

use khala_reference::{Config, Handle};
use khala_wire::payload::Update;
use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES, WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::json;
use serde_json::value::RawValue;

use player::{Order, Player, Unrecorded};
use recording::{Line, Step};
use support::{Running, post, start};

/// Cases that share the first world: one log, told from its first event to its pruning.
const WORLD: &[&str] = &[
    "upgrade",
    "join_subscribe",
    "live",
    "resume_list_form",
    "resubscribe",
    "older_cursor",
    "replay_batches",
    "subscription_errors",
    "leave",
    "push_after_leave",
    "forbidden_topic",
    "unknown_event",
    "after_unknown_event",
    "second_join",
    "unknown_channel",
    "stale_join_ref",
    "unjoined_push",
    "bad_input",
    "stale_budget",
    "stale_floor",
    "cursor_zero_after_retention",
    "no_cursor_after_retention",
    "revocation",
    "revoked_rejoin",
    "ping",
];

/// Cases with a server of their own.
const ALONE: &[&str] =
    &["worker_events", "worker_summaries", "timeouts", "slow_consumer", "sigterm", "sigkill"];

/// Cases that cannot be replayed, with the reason. None at present.
const NOT_REPLAYED: &[(&str, &str)] = &[];

/// Frames that a replay may bring beyond the recording.
const UNRECORDED: &[Unrecorded] = &[
    Unrecorded {
        case: "worker_events",
        client: "G",
        stream: WORKER_SUMMARIES,
        why: "the recorded runtime projected summaries after the recording had ended",
    },
    Unrecorded {
        case: "worker_summaries",
        client: "G2",
        stream: WORKER_SUMMARIES,
        why: "the recording ends before the projection of the second event",
    },
    Unrecorded {
        case: "timeouts",
        client: "sync-only",
        stream: "pushes",
        why: "the recorder closed before the answer to its last heartbeat; a tick may fall in",
    },
    Unrecorded {
        case: "timeouts",
        client: "sync-only",
        stream: "replies",
        why: "the recorder closed before the answer to its last heartbeat",
    },
];

/// The configuration of the recorded runtime: it served its own path only, and cut revoked sockets
/// without a notice.
fn recorded() -> Config {
    Config { public_path: false, revocation_notice: false, ..Config::default() }
}

fn lines_of(cases: &[&str]) -> Vec<Line> {
    recording::load().into_iter().filter(|line| cases.contains(&&*line.case)).collect()
}

fn filler(topic: &str, watermark: u64) -> Update {
    Update {
        doc_key: format!("filler:{watermark}"),
        doc_version: watermark,
        hydration_required: false,
        payload: Some(RawValue::from_string("{}".into()).expect("JSON")),
        payload_hash: None,
        topic: topic.to_owned(),
        watermark,
    }
}

fn head(handle: &Handle, topic: &str) -> u64 {
    let windows = handle.metrics().topic_windows;
    let window = windows.iter().find(|window| window.topic == topic).expect("known");
    window.head_sequence.unwrap_or(0)
}

#[test]
fn every_case_is_replayed_or_listed() {
    let recorded: BTreeSet<_> = recording::load().into_iter().map(|line| line.case).collect();
    let listed = NOT_REPLAYED.iter().map(|(case, _)| *case);
    let known: BTreeSet<_> =
        WORLD.iter().chain(ALONE).copied().chain(listed).map(str::to_owned).collect();
    assert_eq!(recorded, known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_world() {
    let running = start(recorded()).await;
    let lines = lines_of(WORLD);
    let updates = recording::updates(&lines, WORLD);
    let grow_to = |topic: &str, to: u64| {
        let from = head(&running.handle, topic) + 1;
        let update = |watermark| {
            let recorded = updates.get(&(topic.to_owned(), watermark)).cloned();
            recorded.unwrap_or_else(|| filler(topic, watermark))
        };
        running.handle.seed(topic, (from..=to).map(update).collect()).expect("the next ones");
    };
    let mut player = Player::new(&lines, &running, Order::Strict, UNRECORDED);
    let mut case = "";
    for (index, line) in lines.iter().enumerate() {
        if line.case != case {
            case = &line.case;
            match case {
                "join_subscribe" => grow_to(RUN_SUMMARIES, 10),
                "resume_list_form" => {
                    grow_to(NOTIFICATIONS, 7);
                    grow_to(RUN_SUMMARIES, 33);
                    player.skip_to("A", RUN_SUMMARIES, 33).await;
                }
                "replay_batches" => {
                    grow_to(RUN_SUMMARIES, 34);
                    player.skip_to("A", RUN_SUMMARIES, 34).await;
                }
                "stale_budget" => grow_to(NOTIFICATIONS, 528),
                "stale_floor" => {
                    grow_to(RUN_SUMMARIES, 36);
                    assert_eq!(running.handle.trim(RUN_SUMMARIES, 2).expect("known"), 34);
                }
                "revoked_rejoin" => {
                    let (session, _) = recording::identity(&lines, "K1again");
                    let body = json!({"session_ids": [session], "reason": "user_requested"});
                    let path = khala_wire::command::REVOKE_PATH;
                    assert_eq!(post(running.addr, path, &body).await.status, 200);
                }
                _ => {}
            }
        }
        // In the live case each batch is the echo of one event.
        if case == "live"
            && let Step::Received(text) = line.step()
            && text.contains("sync:update_batch")
        {
            grow_to(RUN_SUMMARIES, head(&running.handle, RUN_SUMMARIES) + 1);
        }
        let refusal = lines.get(index + 1).map(Line::step);
        let refusal = refusal.filter(|step| matches!(step, Step::Rejected { .. }));
        player.play(line, refusal.as_ref()).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_events() {
    let running = start(recorded()).await;
    let lines = lines_of(&["worker_events"]);
    let mut player = Player::new(&lines, &running, Order::PerTopic, UNRECORDED);
    for line in &lines {
        player.play(line, None).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_summaries() {
    let running = start(recorded()).await;
    running.handle.start_at(WORKER_EVENTS, 512).expect("empty");
    running.handle.start_at(WORKER_SUMMARIES, 41).expect("empty");
    let lines = lines_of(&["worker_summaries"]);
    let mut player = Player::new(&lines, &running, Order::PerTopic, UNRECORDED);
    for line in &lines {
        if let Step::Http { path, .. } = line.step()
            && path.ends_with("/events")
        {
            // The projection must have seen the first version, or it would be skipped.
            player.await_early("G2", WORKER_SUMMARIES).await;
        }
        player.play(line, None).await;
    }
    running.stop().await;
}

/// The recorded time-outs, scaled from 15 s to 400 ms. Clients are driven by what they receive, not
/// by time, and the server judges a tick at the time it was due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timeouts() {
    let tick = Duration::from_millis(400);
    let running = start(Config {
        heartbeat_push_every: tick,
        channel_idle_timeout: 4 * tick,
        socket_idle_timeout: 4 * tick,
        ..recorded()
    })
    .await;
    let lines = lines_of(&["timeouts"]);
    let clients: BTreeSet<_> = lines.iter().map(|line| line.client.clone()).collect();
    let plays = clients.into_iter().map(|client| {
        let (lines, running) = (&lines, &running);
        async move {
            let mut player = Player::new(lines, running, Order::RepliesApart, UNRECORDED);
            for line in lines.iter().filter(|line| line.client == client) {
                player.play(line, None).await;
            }
        }
    });
    futures_util::future::join_all(plays).await;
    running.stop().await;
}

/// The recorded runtime had a queue limit of 1 and struck whatever it found waiting; the same is
/// asked of this one by a strike time of zero.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_consumer() {
    let mut config = recorded();
    config.slow_consumer.queue_limit = 1;
    config.slow_consumer.strike_every = Duration::ZERO;
    let running = start(config).await;
    let topics = [(RUN_SUMMARIES, 4306), (WORKER_EVENTS, 452), (NOTIFICATIONS, 0)];
    for (topic, head) in topics {
        running.handle.start_at(topic, head).expect("empty");
    }
    let lines = lines_of(&["slow_consumer"]);
    let mut player = Player::new(&lines, &running, Order::Strict, UNRECORDED);
    let mut grown = false;
    for line in &lines {
        if let Step::Received(text) = line.step()
            && text.contains("slow_consumer")
            && !grown
        {
            grown = true;
            let two = |(topic, head): &(&str, u64)| {
                [1, 2].map(|n| ((*topic).to_owned(), filler(topic, head + n)))
            };
            let updates = topics.iter().flat_map(two).collect();
            running.handle.seed_all(updates).expect("the next ones");
        }
        player.play(line, None).await;
    }
    assert_eq!(running.handle.metrics().delivery_metrics.slow_consumer_evictions, 1);
    drop(player);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm() {
    let running = start(recorded()).await;
    running.handle.start_at(RUN_SUMMARIES, 4366).expect("empty");
    let lines = lines_of(&["sigterm"]);
    let mut player = Player::new(&lines, &running, Order::Strict, UNRECORDED);
    for line in &lines {
        if matches!(line.step(), Step::Closed { .. }) {
            running.shutdown.cancel();
        }
        player.play(line, None).await;
    }
    let handle = running.handle.clone();
    running.stop().await;
    let causes = handle.metrics().delivery_metrics;
    assert_eq!(causes.recent_disconnect_causes, ["server_stopping"; 2]);
    assert_eq!((causes.total_disconnects, causes.active_consumers), (Some(2), 0));
}

/// A kill: the server's runtime is torn down under it, as the kernel does to a process.
#[test]
fn sigkill() {
    let ours = tokio::runtime::Runtime::new().expect("a runtime");
    let theirs = tokio::runtime::Runtime::new().expect("a runtime");
    let running: Running = theirs.block_on(start(recorded()));
    running.handle.start_at(RUN_SUMMARIES, 4366).expect("empty");
    let lines = lines_of(&["sigkill"]);
    let mut theirs = Some(theirs);
    ours.block_on(async {
        let mut player = Player::new(&lines, &running, Order::Strict, UNRECORDED);
        for line in &lines {
            if matches!(line.step(), Step::Closed { .. })
                && let Some(theirs) = theirs.take()
            {
                theirs.shutdown_background();
            }
            player.play(line, None).await;
        }
    });
    assert!(theirs.is_none(), "the recording ends with the kill");
}
