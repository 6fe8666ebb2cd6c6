//! What faults do to a client beside cutting it: silence, absence, old cursors, topics given up.

use khala_evidence::record::{Cut, OfflineCause, OpKind, Outcome, Place, Record, Request};
use khala_wire::topic::{NOTIFICATIONS, WORKER_EVENTS};
use serde_json::json;

use super::rig::{
    Action, HEARTBEAT, REQUEST_TIMEOUT, Rig, SECOND, Sent, events, frame, notifications, refused,
    reply, sent, subscribed, summaries,
};
use crate::client::machine::Phase;

fn cut_silently(rig: &mut Rig) -> bool {
    rig.with(|machine, now, world| machine.cut_silently(now, 1, now, world))
}

fn unsubscribe_for(rig: &mut Rig, time: u64) -> Sent {
    let asked = sent(rig.machine.unsubscribe(rig.now, 0, &[events()], rig.now + time));
    assert_eq!(asked.event, "sync:unsubscribe");
    assert_eq!(asked.payload, json!({"topics": [WORKER_EVENTS]}));
    asked
}

#[test]
fn a_half_open_socket_is_offline_for_the_judge_and_noticed_at_the_second_heartbeat() {
    let mut rig = Rig::live();
    let connected_at = rig.now;
    rig.now += SECOND;
    let cut_at = rig.now;
    assert!(cut_silently(&mut rig));
    assert!(!cut_silently(&mut rig), "it is dead already");
    assert_eq!(rig.causes(), [OfflineCause::Fault { id: 1, intended: cut_at }]);
    assert_eq!(rig.machine.phase(), Phase::Online, "the client does not know");

    rig.now = rig.machine.deadline();
    assert_eq!(sent(rig.tick()).event, "sync:heartbeat");
    rig.now = rig.machine.deadline();
    assert_eq!(rig.now, connected_at + 2 * HEARTBEAT);
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!(rig.causes().len(), 1, "the end of a socket is recorded once, when it came");
    assert_eq!(rig.delay(), 2 * SECOND);
    rig.go_live(&json!([]));
}

#[test]
fn what_a_half_open_socket_leaves_unanswered_is_not_the_targets_doing() {
    let mut rig = Rig::new();
    rig.join();
    assert!(cut_silently(&mut rig));
    rig.now = rig.machine.deadline();
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::Interrupted);
}

#[test]
fn retiring_a_client_with_a_dead_socket_says_that_it_had_none() {
    let mut rig = Rig::live();
    cut_silently(&mut rig);
    rig.retire();
    assert!(matches!(rig.records.last(), Some(Record::Retired { connected: false, .. })));
}

#[test]
fn a_client_sent_away_comes_back_when_it_is_told_to_and_not_when_it_likes() {
    let mut rig = Rig::live();
    let (now, until) = (rig.now, rig.now + 30 * SECOND);
    assert!(rig.with(|machine, now, world| machine.cut_until(now, 2, now, until, world)));
    assert_eq!(rig.causes(), [OfflineCause::Fault { id: 2, intended: now }]);
    assert_eq!(rig.machine.phase(), Phase::Waiting(until));
    assert!(!rig.with(|machine, now, world| machine.cut_until(now, 2, now, until + 1, world)));
    assert_eq!(rig.machine.phase(), Phase::Waiting(until), "there was nothing to cut");
}

#[test]
fn chosen_cursors_count_for_one_subscribe_and_are_marked_as_chosen() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[50]));
    rig.text(&frame(NOTIFICATIONS, &[9]));
    rig.broken();
    rig.machine.resume_from([(events(), 7)]);
    let subscribe = rig.join();
    assert_eq!(subscribe.payload["resume_after"], json!({WORKER_EVENTS: 7, NOTIFICATIONS: 9}));
    let chosen = |rig: &Rig| rig.last_subscribe().1.iter().map(|t| t.by_fault).collect::<Vec<_>>();
    assert_eq!(chosen(&rig), [true, true]);
    rig.broken();
    rig.join();
    assert_eq!(chosen(&rig), [false, false]);
}

#[test]
fn topics_given_up_are_taken_up_again_when_it_is_time() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[5]));
    rig.records.clear();
    let until = rig.now + 3 * SECOND;
    let asked = unsubscribe_for(&mut rig, 3 * SECOND);
    rig.now += 10;
    rig.text(&reply(&asked, "ok", &json!({"subscription_id": "s", "topics": [NOTIFICATIONS]})));
    let at = rig.now;
    assert!(matches!(
        &rig.records[..],
        [Record::Unsubscribed { at: told, topics, .. }, Record::Answered(answered)]
            if *told == at && topics[..] == [events()]
                && (answered.request, answered.outcome) == (Request::Unsubscribe, Outcome::Ok)
    ));
    assert!(rig.machine.is_live());
    assert_eq!(rig.machine.deadline(), until);
    rig.now = until;
    let again = sent(rig.tick());
    let expected = json!({"replay_batch_size": 200, "resume_after": {WORKER_EVENTS: 5},
        "topics": [WORKER_EVENTS]});
    assert_eq!((&*again.event, again.payload.clone()), ("sync:subscribe", expected));
    rig.text(&subscribed(&again, &json!([])));
    assert!(rig.machine.is_live());
    assert!(rig.machine.deadline() > rig.now);
}

#[test]
fn a_refused_unsubscribe_is_not_recorded_as_one() {
    let mut rig = Rig::live();
    let asked = unsubscribe_for(&mut rig, SECOND);
    assert_eq!(rig.text(&refused(&asked, "bad_subscription")), Action::None);
    // That it was refused is for the judge.
    let word = |record: &Record| matches!(record, Record::Word { place: Place::Unsubscribe, .. });
    let of = |record: &Record| match record {
        Record::Answered(it) => Some((it.request, it.outcome)),
        _ => None,
    };
    assert!(rig.records.len() == 2 && word(&rig.records[0]), "{:?}", rig.records);
    assert_eq!(of(&rig.records[1]), Some((Request::Unsubscribe, Outcome::RefusedTopic)));
    assert!(rig.machine.is_live());
}

#[test]
fn an_unsubscribe_that_is_never_answered_is_told_and_its_topics_are_taken_up_again() {
    let mut rig = Rig::live();
    rig.records.clear();
    let asked_at = rig.now;
    let asked = unsubscribe_for(&mut rig, SECOND);
    // Whether they were given up is not known yet when it is time to take them up again.
    rig.now = asked_at + SECOND;
    assert_eq!(rig.tick(), Action::None);
    assert!(rig.records.is_empty(), "{:?}", rig.records);
    let due = asked_at + REQUEST_TIMEOUT;
    assert_eq!(rig.machine.deadline(), due);
    // However late the tick comes, the target is charged with the time-out and no more.
    rig.now = due + 3 * SECOND;
    let again = sent(rig.tick());
    let [Record::Answered(told), ..] = &rig.records[..] else { panic!("{:?}", rig.records) };
    assert_eq!(
        (told.request, told.outcome, &*told.status, told.start, told.at),
        (Request::Unsubscribe, Outcome::Timeout, "timeout", asked_at, due)
    );
    assert!(rig.causes().is_empty(), "the real clients stay");
    assert_eq!(again.event, "sync:subscribe");
    // What comes now answers nothing that is still asked.
    let before = rig.records.len();
    rig.text(&reply(&asked, "ok", &json!({"subscription_id": "s", "topics": [NOTIFICATIONS]})));
    let told = |record: &Record| matches!(record, Record::Unsubscribed { .. });
    assert!(!rig.records[before..].iter().any(told), "{:?}", rig.records);
}

#[test]
fn only_a_live_client_gives_up_topics_and_only_its_own() {
    let mut rig = Rig::new();
    let until = rig.now + 60 * SECOND;
    assert_eq!(rig.machine.unsubscribe(rig.now, 0, &[events()], until), Action::None);
    rig.join();
    assert_eq!(
        rig.machine.unsubscribe(rig.now, 0, &[events()], until),
        Action::None,
        "not yet live"
    );
    let mut rig = Rig::live();
    assert_eq!(
        rig.machine.unsubscribe(rig.now, 0, &[summaries()], until),
        Action::None,
        "not its own"
    );
    unsubscribe_for(&mut rig, 60 * SECOND);
    assert_eq!(
        rig.machine.unsubscribe(rig.now, 0, &[notifications()], until),
        Action::None,
        "one at a time"
    );
}

#[test]
fn a_reconnect_takes_up_all_topics_again() {
    let mut rig = Rig::live();
    unsubscribe_for(&mut rig, 60 * SECOND);
    rig.broken();
    assert_eq!(rig.join().payload["topics"], json!([WORKER_EVENTS, NOTIFICATIONS]));
}

#[test]
fn a_client_that_is_dead_without_knowing_subscribes_to_nothing() {
    let mut rig = Rig::live();
    let until = rig.now + SECOND;
    unsubscribe_for(&mut rig, SECOND);
    cut_silently(&mut rig);
    rig.records.clear();
    rig.now = until;
    assert_eq!(rig.tick(), Action::None);
    assert!(rig.machine.deadline() > rig.now, "and does not spin");
    assert!(rig.records.is_empty(), "{:?}", rig.records);
}

#[test]
fn what_a_dead_socket_had_in_its_buffer_is_not_delivered() {
    let mut rig = Rig::live();
    cut_silently(&mut rig);
    rig.records.clear();
    assert_eq!(rig.text(&frame(WORKER_EVENTS, &[5])), Action::None);
    assert!(rig.records.is_empty(), "{:?}", rig.records);
    assert_eq!(rig.machine.cursor(events()), None);
}

#[test]
fn the_end_of_a_socket_is_a_restarts_doing_when_one_is_due_and_not_long_after() {
    let restarting = |rig: &mut Rig| {
        let due = rig.now + SECOND;
        rig.machine.restarting(3, due);
        due
    };
    let mut rig = Rig::live();
    let due = restarting(&mut rig);
    rig.now = due + 10;
    rig.with(|machine, now, world| machine.closed(now, Some(1012), world));
    assert_eq!(rig.causes(), [OfflineCause::Fault { id: 3, intended: due }]);
    assert_eq!(rig.delay(), 2 * SECOND, "it comes back by its own back-off");
    rig.go_live(&json!([]));
    rig.broken();
    assert_eq!(
        rig.causes()[1],
        OfflineCause::Broken { how: Cut::Eof },
        "one restart ends one socket"
    );

    let mut rig = Rig::live();
    let due = restarting(&mut rig);
    rig.now = due + 16 * SECOND;
    rig.broken();
    assert_eq!(rig.causes(), [OfflineCause::Broken { how: Cut::Eof }], "it outlived the restart");
}
