//! From the first connect to replay complete.

use khala_evidence::record::{OpKind, Outcome, Record};
use khala_wire::topic::{NOTIFICATIONS, WORKER_EVENTS};
use serde_json::json;

use super::rig::{
    ARRIVAL, Action, CLIENT, Rig, SECOND, events, frame, notifications, refused, reply, sent,
    subscribed,
};
use crate::client::machine::Phase;

#[test]
fn a_client_connects_when_it_is_due_joins_subscribes_and_is_live_at_the_ok_reply() {
    let mut rig = Rig::new();
    assert_eq!(rig.machine.phase(), Phase::Waiting(ARRIVAL));
    rig.now = ARRIVAL - 1;
    assert_eq!(rig.tick(), Action::None, "a microsecond early");

    let join = rig.connect();
    assert_eq!((&*join.event, join.payload.clone()), ("phx_join", json!({})));
    assert_eq!(join.join_ref, join.msg_ref, "the join's ref is the channel's join_ref");
    let joined = reply(
        &join,
        "ok",
        &json!({"allowed_topics": [], "current_watermarks": [],
        "subscription_id": "x"}),
    );
    let subscribe = sent(rig.text(&joined));
    assert_eq!(subscribe.event, "sync:subscribe");
    assert_eq!(subscribe.join_ref, join.join_ref);
    assert_ne!(subscribe.msg_ref, join.msg_ref);
    let expected = json!({"replay_batch_size": 200, "topics": [WORKER_EVENTS, NOTIFICATIONS]});
    assert_eq!(subscribe.payload, expected, "without a cursor there is no resume_after");

    rig.text(&frame(WORKER_EVENTS, &[1, 2]));
    assert!(!rig.machine.is_live(), "replay is complete when the reply comes, and not before");
    let marks = json!([{"topic": WORKER_EVENTS, "watermark": 2},
        {"topic": NOTIFICATIONS, "watermark": 9}]);
    assert_eq!(rig.text(&subscribed(&subscribe, &marks)), Action::None);
    assert!(rig.machine.is_live());

    let ok = |kind| (kind, Outcome::Ok);
    let all = [OpKind::Mint, OpKind::Connect, OpKind::Join, OpKind::Subscribe];
    assert_eq!(rig.ops(), all.map(ok));
    assert_eq!(rig.op(OpKind::Connect).intended, ARRIVAL, "from when it was due");
    assert!(rig.records.contains(&Record::ConnectBegun {
        client: CLIENT,
        at: ARRIVAL,
        attempt: 1
    }));
    let watermarks = vec![(events(), 2), (notifications(), 9)];
    let at = rig.now;
    assert!(rig.records.contains(&Record::SubscribeOk {
        client: CLIENT,
        epoch: 1,
        at,
        watermarks
    }));
    assert_eq!(rig.machine.cursor(events()), Some(2));
    assert_eq!(rig.machine.cursor(notifications()), Some(9), "where the server says it stands");
}

#[test]
fn a_connect_that_begins_late_is_measured_from_when_it_was_due() {
    let mut rig = Rig::new();
    rig.now = ARRIVAL + 3 * SECOND;
    assert_eq!(rig.tick(), Action::Connect);
    rig.with(|machine, now, world| machine.connected(now + 10, now + 30, world));
    let op = rig.op(OpKind::Connect);
    assert_eq!((op.intended, op.start, op.done), (ARRIVAL, rig.now + 10, rig.now + 30));
}

#[test]
fn answers_to_other_requests_change_nothing() {
    let mut rig = Rig::new();
    let mut join = rig.connect();
    let before = rig.records.len();
    join.msg_ref = "77".to_owned();
    assert_eq!(rig.text(&reply(&join, "ok", &json!({}))), Action::None);
    assert_eq!(rig.text(&refused(&join, "forbidden_topic")), Action::None);
    assert_eq!(rig.machine.phase(), Phase::Online);
    assert_eq!(rig.records.len(), before);
}

#[test]
fn refs_that_come_back_as_numbers_are_still_ours() {
    let mut rig = Rig::new();
    let join = rig.connect();
    let number: u64 = join.msg_ref.parse().expect("a number in a string");
    let text = json!([number, number, "sync:v1", "phx_reply", {"response": {}, "status": "ok"}]);
    assert_eq!(sent(rig.text(&text.to_string())).event, "sync:subscribe");
}
