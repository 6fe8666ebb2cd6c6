//! Cursors that a fault chose: what is sent, and how the client comes back to its own.

use khala_evidence::record::{OfflineCause, OpKind, Outcome, Place, Record};
use khala_plan::model::{ChosenCursor, Garbage};
use khala_wire::topic::{NOTIFICATIONS, WORKER_EVENTS};
use serde_json::{Value, json};

use super::rig::{
    Action, REQUEST_TIMEOUT, Rig, SECOND, Sent, frame, refused, reply, sent, stale, subscribed,
};
use crate::client::machine::Phase;

const FAULT: u16 = 1;

/// A live client that has events up to 50 and notifications up to 9, with a cursor chosen, at the
/// first subscribe after the cut.
fn back_with(cursor: ChosenCursor) -> (Rig, Sent) {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[50]));
    rig.text(&frame(NOTIFICATIONS, &[9]));
    rig.records.clear();
    assert!(rig.with(|machine, now, world| machine.cut_for_cursor(now, FAULT, now, cursor, world)));
    let subscribe = rig.join();
    assert_eq!(subscribe.event, "sync:subscribe");
    (rig, subscribe)
}

fn answered(rig: &Rig) -> u64 {
    rig.heads.shared().answered(FAULT)
}

fn subscribes(rig: &Rig) -> usize {
    let sent = |record: &&Record| matches!(record, Record::SubscribeSent { .. });
    rig.records.iter().filter(sent).count()
}

fn is_the_truth(subscribe: &Sent) {
    let own = json!({WORKER_EVENTS: 50, NOTIFICATIONS: 9});
    assert_eq!((&*subscribe.event, &subscribe.payload["resume_after"]), ("sync:subscribe", &own));
}

#[test]
fn an_old_cursor_is_so_many_events_behind_where_there_are_as_many() {
    let (mut rig, subscribe) = back_with(ChosenCursor::StaleBy(20));
    assert_eq!(subscribe.payload["resume_after"], json!({WORKER_EVENTS: 30, NOTIFICATIONS: 9}));
    assert!(rig.last_subscribe().1.iter().all(|topic| topic.by_fault));
    assert_eq!(answered(&rig), 0, "only an answer shows that the target got it");
    rig.text(&subscribed(&subscribe, &json!([])));
    assert!(rig.machine.is_live());
    assert_eq!(answered(&rig), 1);
}

#[test]
fn a_refusal_of_an_old_cursor_is_an_answer_too_and_counts_once() {
    let (mut rig, subscribe) = back_with(ChosenCursor::StaleBy(20));
    let again = sent(rig.text(&stale(&subscribe, &[WORKER_EVENTS])));
    assert_eq!(again.payload["resume_after"], json!({NOTIFICATIONS: 9}));
    rig.text(&subscribed(&again, &json!([])));
    assert_eq!(answered(&rig), 1);
}

#[test]
fn nobody_is_older_than_its_history_so_the_fault_misses() {
    let (mut rig, subscribe) = back_with(ChosenCursor::StaleBy(51));
    is_the_truth(&subscribe);
    assert!(rig.last_subscribe().1.iter().all(|topic| !topic.by_fault));
    assert_eq!(
        rig.findings(),
        ["cursor_not_placed"; 2],
        "one for each topic, told and not silently kept"
    );
    rig.text(&subscribed(&subscribe, &json!([])));
    assert_eq!(answered(&rig), 0);
}

#[test]
fn a_cursor_beyond_head_is_beyond_what_anybody_has_seen_and_no_subscribe_to_the_judge() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[50]));
    rig.heads.saw(super::rig::notifications(), 70, None);
    rig.records.clear();
    let cursor = ChosenCursor::FutureBy(100);
    rig.with(|machine, now, world| machine.cut_for_cursor(now, FAULT, now, cursor, world));
    let probe = rig.join();
    assert_eq!(probe.payload["resume_after"], json!({WORKER_EVENTS: 150, NOTIFICATIONS: 170}));
    assert_eq!(subscribes(&rig), 0);
    // What comes meanwhile is nobody's.
    rig.text(&frame(WORKER_EVENTS, &[151]));
    assert!(!rig.records.iter().any(|record| matches!(record, Record::Delivered(_))));
}

#[test]
fn where_a_cursor_beyond_head_is_accepted_the_client_leaves_and_comes_back_with_its_own() {
    let (mut rig, probe) = back_with(ChosenCursor::FutureBy(100));
    let marks = json!([{"topic": WORKER_EVENTS, "watermark": 150},
        {"topic": NOTIFICATIONS, "watermark": 109}]);
    let cut_at = rig.causes();
    assert_eq!(rig.text(&subscribed(&probe, &marks)), Action::None);
    assert_eq!(answered(&rig), 1);
    assert_eq!(rig.findings(), ["future_cursor_accepted"]);
    let accepted_at = rig.now;
    // It stays for the settle bound and two seconds more, and applies nothing.
    assert_eq!(rig.machine.deadline(), accepted_at + 4 * SECOND);
    rig.now += SECOND;
    rig.text(&frame(WORKER_EVENTS, &[153, 154]));
    rig.text(&frame(WORKER_EVENTS, &[152]));
    rig.now = rig.machine.deadline();
    let asked_at = rig.now;
    let beat = sent(rig.tick());
    assert_eq!(beat.event, "sync:heartbeat");
    rig.text(&frame(WORKER_EVENTS, &[155]));
    let ok = json!({"subscription_id": "s", "watermarks": []});
    assert_eq!(rig.text(&reply(&beat, "ok", &ok)), Action::Close);
    assert!(!rig.records.iter().any(|record| matches!(record, Record::Delivered(_))));
    let stays = rig.records.iter().filter_map(|record| match *record {
        Record::BeyondHead { topic, cursor, from, asked, first, .. } => {
            Some((topic.name(), cursor, from, asked, first))
        }
        _ => None,
    });
    let (from, asked) = (accepted_at, asked_at);
    assert_eq!(
        stays.collect::<Vec<_>>(),
        [(WORKER_EVENTS, 150, from, asked, Some(152)), (NOTIFICATIONS, 109, from, asked, None)]
    );
    assert_eq!(rig.causes(), [cut_at[0], cut_at[0]], "both ends of sockets are the fault's doing");
    assert!(matches!(cut_at[0], OfflineCause::Fault { id: FAULT, .. }));
    let own = rig.join();
    is_the_truth(&own);
    rig.text(&subscribed(&own, &json!([])));
    assert!(rig.machine.is_live());
    assert_eq!(answered(&rig), 1);
    assert_eq!(subscribes(&rig), 1);
}

#[test]
fn where_it_is_refused_the_client_subscribes_with_its_own_at_once() {
    let (mut rig, probe) = back_with(ChosenCursor::FutureBy(100));
    let own = sent(rig.text(&stale(&probe, &[WORKER_EVENTS])));
    is_the_truth(&own);
    assert_eq!(rig.findings(), ["future_cursor_refused"]);
    assert_eq!((answered(&rig), rig.heads.shared().stale()), (1, 1));
}

#[test]
fn garbage_is_what_the_contract_calls_bad_and_its_refusal_is_as_it_should_be() {
    let number = json!(5);
    let each = |cursor: Value| json!({WORKER_EVENTS: cursor, NOTIFICATIONS: cursor});
    for (garbage, sent_as) in [
        (Garbage::Negative, each(json!(-1))),
        (Garbage::Text, each(json!("5"))),
        (Garbage::Number, number),
    ] {
        let (mut rig, probe) = back_with(ChosenCursor::Garbage(garbage));
        assert_eq!(probe.payload["resume_after"], sent_as);
        let own = sent(rig.text(&refused(&probe, "bad_subscription")));
        is_the_truth(&own);
        assert_eq!(rig.findings(), Vec::<String>::new());
        assert_eq!(answered(&rig), 1);
        let word = |record: &Record| {
            matches!(record, Record::Word { place: Place::Subscribe, word, .. }
                if &**word == "bad_subscription")
        };
        assert!(rig.records.iter().any(word), "the judge hears the word");
    }
}

#[test]
fn garbage_that_is_accepted_or_misnamed_is_a_finding() {
    let (mut rig, probe) = back_with(ChosenCursor::Garbage(Garbage::Text));
    assert_eq!(rig.text(&subscribed(&probe, &json!([]))), Action::Close);
    assert_eq!(rig.findings(), ["garbage_cursor_accepted"]);
    is_the_truth(&rig.join());
    let (mut rig, probe) = back_with(ChosenCursor::Garbage(Garbage::Text));
    rig.text(&refused(&probe, "forbidden_topic"));
    assert_eq!(rig.findings(), ["garbage_cursor_misnamed"]);
}

#[test]
fn what_is_never_answered_is_given_up_and_not_counted() {
    let (mut rig, _) = back_with(ChosenCursor::Garbage(Garbage::Negative));
    let asked_at = rig.now;
    assert_eq!(rig.machine.deadline(), asked_at + REQUEST_TIMEOUT);
    rig.now = rig.machine.deadline();
    assert_eq!(rig.tick(), Action::Close);
    assert_eq!((answered(&rig), rig.findings()), (0, vec!["cursor_unanswered".to_owned()]));
    is_the_truth(&rig.join());
}

#[test]
fn what_breaks_before_the_answer_or_has_no_socket_to_cut_is_not_hit() {
    let (mut rig, _) = back_with(ChosenCursor::StaleBy(20));
    rig.broken();
    assert!(matches!(rig.machine.phase(), Phase::Waiting(_)));
    let cursor = ChosenCursor::Garbage(Garbage::Number);
    let cut = |rig: &mut Rig| {
        rig.with(|machine, now, world| machine.cut_for_cursor(now, FAULT, now, cursor, world))
    };
    assert!(!cut(&mut rig), "it is offline");
    let subscribe = rig.join();
    rig.text(&subscribed(&subscribe, &json!([])));
    assert_eq!(answered(&rig), 0);
}

#[test]
fn what_is_tried_is_no_sample_of_a_subscribe() {
    let (mut rig, probe) = back_with(ChosenCursor::Garbage(Garbage::Negative));
    rig.now += SECOND;
    assert_eq!(rig.text(&reply(&probe, "ok", &json!("nonsense"))), Action::Close);
    assert!(!rig.ops().contains(&(OpKind::Subscribe, Outcome::Ok)));
}

#[test]
fn a_stay_whose_end_nobody_answers_or_that_the_target_ends_says_nothing() {
    let stayed = |rig: &Rig| rig.records.iter().any(|it| matches!(it, Record::BeyondHead { .. }));
    let (mut rig, probe) = back_with(ChosenCursor::FutureBy(100));
    assert_eq!(rig.text(&subscribed(&probe, &json!([]))), Action::None);
    rig.now = rig.machine.deadline();
    let asked_at = rig.now;
    sent(rig.tick());
    assert!(rig.machine.is_waiting());
    assert_eq!(rig.machine.deadline(), asked_at + REQUEST_TIMEOUT);
    rig.now = rig.machine.deadline();
    assert_eq!(rig.tick(), Action::Close);
    assert!(!stayed(&rig));
    is_the_truth(&rig.join());
    let (mut rig, probe) = back_with(ChosenCursor::FutureBy(100));
    rig.text(&subscribed(&probe, &json!([])));
    rig.broken();
    assert!(!stayed(&rig));
    is_the_truth(&rig.join());
}

#[test]
fn what_is_found_has_its_client_and_time() {
    let (mut rig, probe) = back_with(ChosenCursor::FutureBy(100));
    rig.now += SECOND;
    rig.text(&subscribed(&probe, &json!([])));
    let told = rig.records.iter().find_map(|record| match record {
        Record::Finding { client, at, .. } => Some((*client, *at)),
        _ => None,
    });
    assert_eq!(told, Some((Some(super::rig::CLIENT), rig.now)));
}
