//! What is applied, what is resumed from, and what a stale cursor leaves of it.

use khala_evidence::record::{OpKind, Outcome, Record};
use khala_plan::model::Push;
use khala_plan::surface::Surface;
use khala_wire::topic::{NOTIFICATIONS, WORKER_EVENTS};
use proptest::prelude::*;
use serde_json::json;

use super::rig::{
    Action, CLIENT, Rig, events, frame, notifications, refused, sent, settings, stale, subscribed,
    update_batch,
};
use crate::client::machine::Settings;

#[test]
fn of_the_two_pushes_of_a_batch_only_the_configured_one_is_applied() {
    for (apply, applied, ignored) in [
        (Push::Frame, frame(WORKER_EVENTS, &[4]), update_batch(WORKER_EVENTS, &[5])),
        (Push::UpdateBatch, update_batch(WORKER_EVENTS, &[4]), frame(WORKER_EVENTS, &[5])),
    ] {
        let mut rig = Rig::of(Settings { apply, ..settings(Surface::Ios) });
        rig.go_live(&json!([]));
        assert_eq!(rig.text(&ignored), Action::None);
        assert_eq!(rig.machine.cursor(events()), None, "{apply:?}");
        assert_eq!(rig.text(&applied), Action::None);
        assert_eq!(rig.machine.cursor(events()), Some(4), "{apply:?}");
    }
}

#[test]
fn a_delivery_is_recorded_with_its_epoch_and_when_its_bytes_were_read() {
    let mut rig = Rig::live();
    rig.broken();
    rig.go_live(&json!([]));
    rig.records.clear();
    let text = frame(WORKER_EVENTS, &[8, 9]).replacen('1', &rig.join_ref, 1);
    rig.with(|machine, now, world| machine.text(now - 5, now, &text, world));
    let read_at = rig.now - 5;
    let seen: Vec<_> = rig
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Delivered(d) => Some((d.client, d.epoch, d.topic, d.seq, d.at)),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [8, 9].map(|seq| (CLIENT, 2, events(), seq, read_at)));
    assert_eq!(rig.heads.seq(events()), 9, "other clients hear of it");
}

#[test]
fn a_resume_asks_for_what_comes_after_the_highest_seq_applied() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[10, 12]));
    rig.text(&frame(WORKER_EVENTS, &[11]));
    rig.heads.saw(events(), 40, None);
    rig.broken();
    let subscribe = rig.join();
    assert_eq!(
        subscribe.payload,
        json!({"replay_batch_size": 200, "resume_after": {WORKER_EVENTS: 12},
            "topics": [WORKER_EVENTS, NOTIFICATIONS]}),
        "an older seq that comes later does not set the cursor back"
    );
    let (epoch, topics) = rig.last_subscribe();
    assert_eq!(epoch, 2);
    let seen: Vec<_> = topics.iter().map(|t| (t.topic, t.cursor, t.head_seen)).collect();
    assert_eq!(seen, [(events(), Some(12), 40), (notifications(), None, 0)]);
}

#[test]
fn what_is_applied_during_replay_counts_when_the_socket_breaks_before_the_reply() {
    let mut rig = Rig::new();
    rig.join();
    rig.text(&frame(WORKER_EVENTS, &[1, 2, 3]));
    rig.broken();
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::ConnectionFailed);
    assert_eq!(rig.join().payload["resume_after"], json!({WORKER_EVENTS: 3}));
}

#[test]
fn a_watermark_of_the_reply_never_moves_a_cursor_that_is_there() {
    let mut rig = Rig::new();
    let subscribe = rig.join();
    rig.text(&frame(WORKER_EVENTS, &[5]));
    rig.text(&subscribed(
        &subscribe,
        &json!([{"topic": WORKER_EVENTS, "watermark": 9},
        {"topic": "runtime.unheard_of", "watermark": 1}]),
    ));
    assert_eq!(rig.machine.cursor(events()), Some(5), "6 to 9 were never applied");
}

#[test]
fn stale_cursors_are_dropped_and_a_subscribe_without_them_follows_at_once() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[3]));
    rig.text(&frame(NOTIFICATIONS, &[6]));
    rig.broken();
    let subscribe = rig.join();
    assert_eq!(subscribe.payload["resume_after"], json!({WORKER_EVENTS: 3, NOTIFICATIONS: 6}));
    rig.records.clear();
    let again = sent(rig.text(&stale(&subscribe, &[WORKER_EVENTS])));
    assert_eq!(again.event, "sync:subscribe");
    assert_ne!(again.msg_ref, subscribe.msg_ref);
    assert_eq!(again.payload["resume_after"], json!({NOTIFICATIONS: 6}), "only the stale one goes");
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::StaleCursor);
    let (epoch, topics) = rig.last_subscribe();
    assert_eq!((epoch, topics[0].cursor, topics[1].cursor), (3, None, Some(6)));
    assert_eq!(rig.text(&subscribed(&again, &json!([]))), Action::None);
    assert!(rig.machine.is_live());
    assert!(rig.causes().is_empty(), "the socket stays");
}

#[test]
fn a_refusal_that_does_not_say_which_cursors_are_stale_drops_all() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[3]));
    rig.text(&frame(NOTIFICATIONS, &[6]));
    rig.broken();
    let subscribe = rig.join();
    let again = sent(rig.text(&refused(&subscribe, "stale_cursor")));
    assert_eq!(again.payload.get("resume_after"), None);
}

proptest! {
    #[test]
    fn cursors_never_go_back_while_nothing_is_stale(
        batches in prop::collection::vec(prop::collection::vec(0_u64..1_000, 1..5), 1..20),
    ) {
        let mut rig = Rig::live();
        let mut highest = None;
        for seqs in &batches {
            rig.text(&frame(WORKER_EVENTS, seqs));
            highest = highest.max(seqs.iter().max().copied());
            prop_assert_eq!(rig.machine.cursor(events()), highest);
        }
        rig.broken();
        let subscribe = rig.join();
        prop_assert_eq!(&subscribe.payload["resume_after"][WORKER_EVENTS], &json!(highest));
    }
}
