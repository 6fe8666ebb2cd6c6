//! Requests without an answer, and heartbeats.

use khala_evidence::record::{Breach, Cut, OfflineCause, OpKind, Outcome, Record, Request};
use khala_plan::surface::Surface;
use proptest::prelude::*;
use serde_json::json;

use super::rig::{
    Action, HEARTBEAT, REQUEST_TIMEOUT, Rig, SECOND, Sent, beats, push, reply, sent, settings,
    socket_beat, subscribed,
};
use crate::client::machine::{Phase, Settings};

#[test]
fn a_subscribe_without_an_answer_times_out_at_the_time_out_value() {
    let mut rig = Rig::new();
    rig.join();
    let sent_at = rig.now;
    assert_eq!(rig.machine.deadline(), sent_at + REQUEST_TIMEOUT);
    rig.now = sent_at + REQUEST_TIMEOUT - 1;
    assert_eq!(rig.tick(), Action::None);
    // However late the tick comes, the target is charged with the time-out and no more.
    rig.now = sent_at + REQUEST_TIMEOUT + 3 * SECOND;
    assert_eq!(rig.tick(), Action::Close);
    let op = rig.op(OpKind::Subscribe);
    assert_eq!((op.outcome, op.done), (Outcome::Timeout, sent_at + REQUEST_TIMEOUT));
    assert_eq!(rig.causes(), [OfflineCause::GaveUp]);
    assert_eq!(rig.delay(), 2 * SECOND);
}

#[test]
fn a_join_without_an_answer_times_out_too() {
    let mut rig = Rig::new();
    rig.connect();
    let sent_at = rig.now;
    rig.now = rig.machine.deadline();
    assert_eq!(rig.now, sent_at + REQUEST_TIMEOUT);
    assert_eq!(rig.tick(), Action::Close);
    let op = rig.op(OpKind::Join);
    assert_eq!((op.outcome, op.done), (Outcome::Timeout, sent_at + REQUEST_TIMEOUT));
    assert_eq!(rig.causes(), [OfflineCause::GaveUp]);
}

#[test]
fn an_answer_that_comes_after_the_time_out_is_nobodys() {
    let mut rig = Rig::new();
    let first = rig.join();
    rig.now = rig.machine.deadline();
    rig.tick();
    rig.join();
    // It came over the new socket, so it is told as addressed to nobody, and answers nothing.
    assert_eq!(rig.text(&subscribed(&first, &json!([]))), Action::None);
    assert!(!rig.machine.is_live());
    assert!(matches!(rig.records.last(), Some(Record::Misaddressed { .. })), "{:?}", rig.records);
}

#[test]
fn heartbeats_go_out_on_a_grid_and_their_answers_are_measured_from_it() {
    let mut rig = Rig::live();
    let connected_at = rig.now;
    for beat in 1..=3 {
        let due = connected_at + beat * HEARTBEAT;
        assert_eq!(rig.machine.deadline(), due);
        rig.now = due + 1_500;
        let (heartbeat, socket) = beats(rig.tick());
        assert_eq!((&*heartbeat.event, heartbeat.payload.clone()), ("sync:heartbeat", json!({})));
        rig.text(&reply(&socket, "ok", &json!({})));
        rig.now += 700;
        assert_eq!(
            rig.text(&push("1", "sync:heartbeat", &json!({"watermarks": []}))),
            Action::None
        );
        assert!(rig.ops().is_empty(), "the push is not the answer");
        rig.text(&reply(&heartbeat, "ok", &json!({"subscription_id": "s", "watermarks": []})));
        let op = rig.op(OpKind::Heartbeat);
        assert_eq!((op.intended, op.start, op.done), (due, due + 1_500, due + 2_200));
        rig.records.clear();
    }
}

#[test]
fn a_heartbeat_without_an_answer_by_the_next_is_a_dead_socket() {
    let mut rig = Rig::live();
    rig.now = rig.machine.deadline();
    sent(rig.tick());
    rig.now = rig.machine.deadline() - 1;
    assert_eq!(rig.tick(), Action::None);
    assert_eq!(rig.machine.phase(), Phase::Online);
    rig.now += 1;
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!(rig.causes(), [OfflineCause::HeartbeatTimeout]);
    assert_eq!(rig.delay(), 2 * SECOND);
}

/// A live client whose heartbeat is due a second time: of the first, the socket's was answered `after`
/// and the channel's not at all.
fn channel_in_doubt(after: u64) -> (Rig, Sent) {
    let mut rig = Rig::live();
    rig.now = rig.machine.deadline();
    let (channel, socket) = beats(rig.tick());
    rig.now += after;
    assert_eq!(rig.text(&reply(&socket, "ok", &json!({}))), Action::None);
    rig.now = rig.machine.deadline();
    (rig, channel)
}

#[test]
fn a_channel_that_is_silent_while_the_socket_answers_twice_is_left() {
    let (mut rig, _) = channel_in_doubt(SECOND);
    let asked = rig.now - HEARTBEAT;
    let again = socket_beat(rig.tick());
    assert!(rig.causes().is_empty(), "one answer proves nothing");
    rig.now += 700;
    assert_eq!(rig.text(&reply(&again, "ok", &json!({}))), Action::Close);
    assert_eq!(rig.causes(), [OfflineCause::ChannelSilent { asked }]);
    assert_eq!(rig.delay(), 2 * SECOND);
    assert!(rig.ops().is_empty());
}

#[test]
fn a_channel_that_answers_before_the_socket_does_again_is_late_and_not_stuck() {
    let (mut rig, channel) = channel_in_doubt(SECOND);
    let again = socket_beat(rig.tick());
    rig.text(&reply(&channel, "ok", &json!({})));
    assert_eq!(rig.text(&reply(&again, "ok", &json!({}))), Action::None);
    let op = rig.op(OpKind::Heartbeat);
    assert_eq!(op.done - op.start, HEARTBEAT);
    assert!(rig.machine.is_live());
    rig.now = rig.machine.deadline();
    beats(rig.tick());
}

#[test]
fn a_socket_that_does_not_answer_again_is_dead() {
    let (mut rig, _) = channel_in_doubt(SECOND);
    socket_beat(rig.tick());
    rig.now = rig.machine.deadline();
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!(rig.causes(), [OfflineCause::HeartbeatTimeout]);
}

#[test]
fn a_socket_that_does_not_answer_its_own_heartbeat_is_dead_whatever_its_channel_says() {
    let mut rig = Rig::live();
    rig.now = rig.machine.deadline();
    let (channel, _) = beats(rig.tick());
    rig.text(&reply(&channel, "ok", &json!({})));
    assert!(rig.machine.is_live() && rig.causes().is_empty());
    rig.now = rig.machine.deadline();
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!(rig.causes(), [OfflineCause::HeartbeatTimeout]);
}

#[test]
fn a_socket_that_answered_late_says_nothing_of_its_channel() {
    // The target may have been frozen until then: the channel had less than half an interval.
    let (mut rig, _) = channel_in_doubt(HEARTBEAT / 2 + 1);
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!(rig.causes(), [OfflineCause::HeartbeatTimeout]);
}

#[test]
fn a_client_that_was_not_live_when_it_asked_is_owed_nothing_by_its_channel() {
    let heartbeat = std::time::Duration::from_secs(1);
    let mut rig = Rig::of(Settings { heartbeat, ..settings(Surface::Desktop) });
    let subscribe = rig.join();
    rig.now = rig.machine.deadline();
    let (_, socket) = beats(rig.tick());
    rig.text(&reply(&socket, "ok", &json!({})));
    rig.text(&subscribed(&subscribe, &json!([])));
    assert!(rig.machine.is_live());
    rig.now = rig.machine.deadline();
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!(rig.causes(), [OfflineCause::HeartbeatTimeout]);
}

#[test]
fn a_stalled_generator_is_not_taken_for_a_dead_socket() {
    let mut rig = Rig::live();
    // The tick comes one interval and a half late: the next heartbeat would be due before the
    // first could be answered.
    rig.now = rig.machine.deadline() + HEARTBEAT + HEARTBEAT / 2;
    sent(rig.tick());
    assert!(rig.machine.deadline() > rig.now, "the target must have time to answer");
    assert_eq!(rig.tick(), Action::None);
    assert!(rig.causes().is_empty());
}

#[test]
fn a_refused_heartbeat_is_an_error_and_no_reason_to_leave() {
    let mut rig = Rig::live();
    rig.now = rig.machine.deadline();
    let heartbeat = sent(rig.tick());
    rig.text(&reply(&heartbeat, "error", &json!({"reason": "unmatched topic"})));
    assert_eq!(rig.op(OpKind::Heartbeat).outcome, Outcome::ProtocolError);
    assert!(rig.machine.is_live());
}

#[test]
fn a_new_socket_owes_no_answer_to_a_heartbeat_of_the_old_one() {
    let mut rig = Rig::live();
    rig.now = rig.machine.deadline();
    let old = sent(rig.tick());
    rig.broken();
    rig.go_live(&json!([]));
    rig.records.clear();
    assert_eq!(rig.machine.deadline(), rig.now + HEARTBEAT, "counted from the new socket");
    rig.text(&reply(&old, "ok", &json!({})));
    assert!(rig.ops().is_empty());
    rig.now = rig.machine.deadline();
    assert_eq!(sent(rig.tick()).event, "sync:heartbeat");
}

#[test]
fn a_dead_socket_found_while_a_subscribe_is_pending_ends_the_subscribe_as_well() {
    let heartbeat = std::time::Duration::from_secs(1);
    let mut rig = Rig::of(Settings { heartbeat, ..settings(Surface::Desktop) });
    rig.join();
    rig.now = rig.machine.deadline();
    assert_eq!(sent(rig.tick()).event, "sync:heartbeat");
    rig.now = rig.machine.deadline();
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!(rig.causes(), [OfflineCause::HeartbeatTimeout]);
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::ConnectionFailed);
}

proptest! {
    #[test]
    fn a_live_client_that_is_left_alone_is_woken_once_a_heartbeat(times in 1_u64..50) {
        let mut rig = Rig::live();
        let start = rig.now;
        for beat in 1..=times {
            prop_assert_eq!(rig.machine.deadline(), start + beat * HEARTBEAT);
            rig.now = rig.machine.deadline();
            let (channel, socket) = beats(rig.tick());
            rig.text(&reply(&channel, "ok", &json!({})));
            rig.text(&reply(&socket, "ok", &json!({})));
        }
        prop_assert!(rig.machine.is_live());
    }
}

#[test]
fn a_join_whose_socket_ends_is_told_with_how_it_ended() {
    let of = |end: fn(&mut Rig)| {
        let mut rig = Rig::new();
        rig.connect();
        end(&mut rig);
        let status = |record: &Record| match record {
            Record::Answered(it) if it.request == Request::Join => Some(it.status.to_string()),
            _ => None,
        };
        rig.records.iter().find_map(status).expect("the join has an end")
    };
    assert_eq!(
        of(|rig| rig.with(|machine, now, world| machine.broken(now, Cut::Reset, world))),
        "its socket was reset"
    );
    assert_eq!(of(Rig::broken), "its socket ended without a close frame");
    assert_eq!(
        of(|rig| rig.with(|machine, now, world| machine.closed(now, Some(1013), world))),
        "its socket was closed with 1013"
    );
    assert_eq!(
        of(|rig| rig.with(|machine, now, world| machine.closed(now, None, world))),
        "its socket was closed without a code"
    );
    assert_eq!(
        of(|rig| rig.with(|machine, now, world| machine.breached(now, Breach::Masked, world))),
        "its socket was given up for a masked frame"
    );
}
