//! What a client does about a stale cursor of a topic that has a snapshot.

use khala_evidence::record::{OpKind, Outcome, Record};
use khala_plan::model::SnapshotPath;
use khala_plan::surface::Surface;
use khala_wire::topic::{WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::{Value, json};

use super::rig::{
    Action, Rig, SECOND, Sent, events, frame, sent, settings, snapshot_at, stale, subscribed,
    summaries,
};
use crate::client::machine::{Phase, Settings};

fn desktop(snapshot: SnapshotPath) -> Settings {
    Settings { topics: vec![events(), summaries()], snapshot, ..settings(Surface::Desktop) }
}

/// A client that resumes with a cursor on both topics, and its subscribe.
fn resuming(snapshot: SnapshotPath) -> (Rig, Sent) {
    let mut rig = Rig::of(desktop(snapshot));
    rig.go_live(&json!([]));
    rig.text(&frame(WORKER_EVENTS, &[3]));
    rig.text(&frame(WORKER_SUMMARIES, &[4]));
    rig.broken();
    let subscribe = rig.join();
    let cursors = json!({WORKER_EVENTS: 3, WORKER_SUMMARIES: 4});
    assert_eq!(subscribe.payload["resume_after"], cursors);
    rig.records.clear();
    (rig, subscribe)
}

/// A client that is taking a snapshot.
fn bootstrapping() -> Rig {
    let (mut rig, subscribe) = resuming(SnapshotPath::Http);
    let both = stale(&subscribe, &[WORKER_EVENTS, WORKER_SUMMARIES]);
    assert_eq!(rig.text(&both), Action::Bootstrap(vec![summaries()]));
    rig
}

fn taken(rig: &mut Rig, head: Result<Option<u64>, Outcome>) {
    let taken = head.map(|head| head.map(|head| snapshot_at(head, vec![])));
    let times = (rig.now, rig.now + SECOND);
    rig.with(|machine, _, world| machine.snapshot(summaries(), times, &taken, world));
    rig.now += SECOND;
}

fn subscribes_again(rig: &mut Rig) -> Value {
    let again = sent(rig.with(|machine, now, world| machine.bootstrapped(now, world)));
    assert_eq!(again.event, "sync:subscribe");
    again.payload.get("resume_after").cloned().unwrap_or_default()
}

#[test]
fn the_refusal_is_recorded_with_what_it_said_of_each_topic() {
    let rig = bootstrapping();
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::StaleCursor);
    let told = rig.records.iter().find_map(|record| match record {
        Record::SubscribeStale { epoch, topics, .. } => Some((*epoch, topics.clone())),
        _ => None,
    });
    let (epoch, topics) = told.expect("the refusal is recorded");
    assert_eq!(epoch, 2);
    let told: Vec<_> = topics.iter().map(|t| (t.topic, t.cursor, t.floor, t.head)).collect();
    let figures = (Some(50), Some(60));
    assert_eq!(told, [events(), summaries()].map(|topic| (topic, 3, figures.0, figures.1)));
}

#[test]
fn a_client_that_takes_a_snapshot_is_online_not_live_and_in_no_hurry() {
    let mut rig = bootstrapping();
    assert_eq!(rig.machine.phase(), Phase::Online);
    assert!(!rig.machine.is_live());
    assert_eq!(rig.tick(), Action::None);
    assert!(rig.machine.deadline() > rig.now);
}

#[test]
fn it_resumes_after_the_snapshots_watermark_and_without_a_cursor_where_there_is_none() {
    let mut rig = bootstrapping();
    taken(&mut rig, Ok(Some(60)));
    let recorded = rig.records.last();
    let Some(Record::SnapshotTaken { topic, outcome, head, .. }) = recorded else {
        panic!("{recorded:?}")
    };
    assert_eq!((*topic, *outcome, *head), (summaries(), Outcome::Ok, Some(60)));
    assert_eq!(subscribes_again(&mut rig), json!({WORKER_SUMMARIES: 60}));
    let (epoch, topics) = rig.last_subscribe();
    assert_eq!((epoch, topics[0].cursor, topics[1].cursor), (3, None, Some(60)));
}

#[test]
fn a_snapshot_that_cannot_be_had_leaves_no_cursor_behind() {
    for failed in [Err(Outcome::Timeout), Err(Outcome::ProtocolError), Ok(None)] {
        let mut rig = bootstrapping();
        taken(&mut rig, failed);
        let Some(Record::SnapshotTaken { outcome, head: None, .. }) = rig.records.last() else {
            panic!("{:?}", rig.records.last())
        };
        assert_eq!(*outcome, failed.err().unwrap_or(Outcome::Ok));
        assert_eq!(subscribes_again(&mut rig), Value::Null, "{failed:?}");
    }
}

#[test]
fn without_a_snapshot_path_a_stale_topic_is_subscribed_to_from_the_floor() {
    let (mut rig, subscribe) = resuming(SnapshotPath::Reset);
    let again = sent(rig.text(&stale(&subscribe, &[WORKER_SUMMARIES])));
    assert_eq!(again.payload["resume_after"], json!({WORKER_EVENTS: 3}));
}

#[test]
fn a_bootstrap_that_outlives_its_socket_begins_no_subscribe() {
    let mut rig = bootstrapping();
    rig.broken();
    taken(&mut rig, Ok(Some(60)));
    let action = rig.with(|machine, now, world| machine.bootstrapped(now, world));
    assert_eq!(action, Action::None);
    assert!(matches!(rig.machine.phase(), Phase::Waiting(_)));
}

#[test]
fn a_bootstrapped_client_is_live_like_any_other() {
    let mut rig = bootstrapping();
    taken(&mut rig, Ok(Some(60)));
    let again = sent(rig.with(|machine, now, world| machine.bootstrapped(now, world)));
    rig.text(&subscribed(&again, &json!([])));
    assert!(rig.machine.is_live());
    assert!(rig.causes().is_empty());
}
