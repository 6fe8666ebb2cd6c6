//! What a client takes and what it drops, as the Phoenix clients do; and which topics it takes.

use khala_evidence::record::{Addressee, OfflineCause, Record};
use khala_wire::payload::{KIND_UPDATE_BATCH, SyncFrame};
use khala_wire::topic::{NOTIFICATIONS, WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::json;

use super::rig::{Action, Rig, SECOND, batch_of, events, frame, push, sent, update_batch};
use crate::client::machine::Phase;

fn wrong(rig: &Rig) -> Vec<Addressee> {
    let to = |record: &Record| match record {
        Record::Misaddressed { to, .. } => Some(*to),
        _ => None,
    };
    rig.records.iter().filter_map(to).collect()
}

fn unasked(rig: &Rig) -> Vec<(String, Option<u64>)> {
    let of = |record: &Record| match record {
        Record::Unasked { topic, seq, .. } => Some((topic.to_string(), *seq)),
        _ => None,
    };
    rig.records.iter().filter_map(of).collect()
}

#[test]
fn a_push_with_the_clients_join_ref_or_none_is_taken_in_whatever_form_the_ref_comes() {
    let rig = Rig::live();
    let own = rig.join_ref;
    for join_ref in [json!(own), json!(own.parse::<u64>().expect("a number")), json!(null)] {
        let mut rig = Rig::live();
        let payload: serde_json::Value =
            serde_json::from_str(&frame(WORKER_EVENTS, &[1])).expect("json");
        rig.text_as_it_is(
            &json!([join_ref, null, "sync:v1", "sync:frame", payload[4]]).to_string(),
        );
        assert_eq!(rig.machine.cursor(events()), Some(1), "{join_ref}");
        assert_eq!(wrong(&rig), []);
    }
}

#[test]
fn what_is_addressed_to_nobody_is_neither_delivered_nor_answered_and_is_told() {
    let mut rig = Rig::new();
    let subscribe = rig.join();
    let ok = json!({"response": {"current_watermarks": [], "subscription_id": "s", "topics": []},
        "status": "ok"});
    for join_ref in ["999", "x"] {
        rig.text_as_it_is(
            &json!([join_ref, subscribe.msg_ref, "sync:v1", "phx_reply", ok]).to_string(),
        );
    }
    assert!(!rig.machine.is_live(), "the reply was another's");
    rig.text_as_it_is(&frame(WORKER_EVENTS, &[1]).replacen("\"1\"", "\"999\"", 1));
    rig.text_as_it_is(&frame(WORKER_EVENTS, &[1]).replacen("sync:v1", "sync:v2", 1));
    assert_eq!(rig.machine.cursor(events()), None);
    let unknown = Addressee::UnknownJoin;
    assert_eq!(wrong(&rig), [unknown, unknown, unknown, Addressee::Channel]);
}

#[test]
fn after_a_crash_the_client_joins_again_on_its_socket_and_the_old_join_ends_in_its_time() {
    let mut rig = Rig::live();
    let old = rig.join_ref.clone();
    assert_eq!(rig.text(&push("1", "phx_error", &json!({}))), Action::None);
    assert_eq!(rig.causes(), [OfflineCause::ChannelClosed]);
    assert_eq!(rig.machine.phase(), Phase::Online, "the socket stays");
    rig.text(&frame(WORKER_EVENTS, &[1]));
    assert_eq!(wrong(&rig), [Addressee::ClosedJoin], "data after the end of its channel");
    assert_eq!(rig.machine.deadline(), rig.now + 2 * SECOND, "the surface's own delay");
    rig.now += 2 * SECOND;
    let join = sent(rig.tick());
    assert_eq!(&*join.event, "phx_join");
    assert_ne!(join.join_ref, old);
    assert!(rig.records.iter().any(|record| matches!(record, Record::Rejoining { .. })));
}

#[test]
fn a_crash_that_follows_the_last_strike_ends_the_socket_too() {
    let mut rig = Rig::live();
    let error = json!({"code": "slow_consumer", "action": "disconnect"});
    rig.text(&push("1", "sync:error", &error));
    assert_eq!(rig.text(&push("1", "phx_error", &json!({}))), Action::Close);
    assert!(matches!(rig.machine.phase(), Phase::Waiting(_)));
}

#[test]
fn a_socket_that_ends_while_the_client_waits_to_join_again_is_reconnected() {
    let mut rig = Rig::live();
    rig.text(&push("1", "phx_error", &json!({})));
    rig.broken();
    assert!(matches!(rig.machine.phase(), Phase::Waiting(_)));
    assert_eq!(rig.causes(), [OfflineCause::ChannelClosed], "its end is told once");
    rig.go_live(&json!([]));
}

#[test]
fn which_topics_a_batch_is_of_is_looked_at_before_what_it_says() {
    let mut rig = Rig::live();
    rig.text(&update_batch("org:77:billing", &[5]));
    rig.text(&frame(WORKER_SUMMARIES, &[6]));
    // Neither says anything that could be read.
    let garbage = json!({"kind": "KHALA_FRAME_KIND_UPDATE_BATCH", "topic": "org:77:billing"});
    rig.text(&push("1", "sync:frame", &garbage));
    rig.text(&push("1", "sync:update_batch", &json!({"updates": [{"topic": "org:78"}]})));
    let seen = unasked(&rig);
    assert_eq!(
        seen,
        [
            ("org:77:billing".to_owned(), Some(5)),
            (WORKER_SUMMARIES.to_owned(), Some(6)),
            ("org:77:billing".to_owned(), None),
            ("org:78".to_owned(), None),
        ]
    );
    assert_eq!(rig.malformed(), Vec::<String>::new(), "authority comes first");
    let delivered = |record: &Record| matches!(record, Record::Delivered(_));
    assert!(!rig.records.iter().any(delivered));
}

#[test]
fn a_batch_of_two_topics_gives_what_is_the_clients_and_tells_of_the_other() {
    let mut rig = Rig::live();
    let mixed = batch_of(WORKER_EVENTS, &[1, 2]).replacen(WORKER_EVENTS, "org:77:billing", 1);
    let mixed: serde_json::Value = serde_json::from_str(&mixed).expect("json");
    rig.text(&push("1", "sync:update_batch", &mixed));
    assert_eq!(unasked(&rig), [("org:77:billing".to_owned(), Some(1))]);
}

#[test]
fn a_topic_counts_as_asked_for_from_the_subscribe_that_names_it_to_the_end_of_the_socket() {
    let mut rig = Rig::new();
    rig.connect();
    rig.text(&frame(NOTIFICATIONS, &[1]));
    assert_eq!(unasked(&rig).len(), 1, "before the join is answered");
    let mut rig = Rig::new();
    rig.join();
    rig.text(&frame(NOTIFICATIONS, &[1]));
    assert_eq!(unasked(&rig), [], "replay comes before the reply");
    rig.broken();
    rig.connect();
    rig.text(&frame(NOTIFICATIONS, &[2]));
    assert_eq!(unasked(&rig).len(), 1, "another socket has its own subscriptions");
}

#[test]
fn an_answer_of_the_channel_on_the_sockets_own_is_heard_by_nobody() {
    let mut rig = Rig::new();
    let subscribe = rig.join();
    let ok = json!({"response": {"current_watermarks": [], "subscription_id": "s", "topics": []},
        "status": "ok"});
    let moved = json!([null, subscribe.msg_ref, "phoenix", "phx_reply", ok]);
    rig.text_as_it_is(&moved.to_string());
    assert!(!rig.machine.is_live(), "a real client drops it");
    assert_eq!(wrong(&rig), [Addressee::Channel]);
    let batch = frame(WORKER_EVENTS, &[1]).replacen("sync:v1", "phoenix", 1);
    rig.text_as_it_is(&batch);
    assert_eq!(wrong(&rig), [Addressee::Channel; 2]);
    // A second answer to a heartbeat, say: nobody waits for it, and nothing is wrong with it.
    rig.text_as_it_is(&json!([null, "777", "phoenix", "phx_reply", ok]).to_string());
    assert_eq!(wrong(&rig).len(), 2);
    assert_eq!(rig.machine.cursor(events()), None);
}

#[test]
fn what_the_target_says_is_harmless_where_it_is_kept() {
    let mut rig = Rig::live();
    let evil = "x\u{1b}[1A\nGO\u{202e}".repeat(100);
    rig.text(&push("1", &evil, &json!({})));
    rig.text_as_it_is(&json!(["999", null, "sync:v1", evil, {}]).to_string());
    rig.text(
        &json!(["1", "3", "sync:v1", "phx_reply", {"response": {}, "status": evil}]).to_string(),
    );
    rig.text(&batch_of(&evil, &[1]));
    assert!(rig.records.len() >= 4, "{:?}", rig.records);
    for record in &rig.records {
        let kept = match record {
            Record::Finding { message, .. } => message,
            Record::Misaddressed { event, .. } => &**event,
            Record::Malformed { why, .. } => &**why,
            Record::Unasked { topic, .. } => &**topic,
            other => panic!("{other:?}"),
        };
        assert!(!kept.contains(['\u{1b}', '\n', '\u{202e}']), "{kept:?}");
        assert!(kept.chars().count() < 260, "{kept}");
    }
}

#[test]
fn a_batch_of_what_was_not_asked_for_is_told_once_and_not_for_each_of_its_pushes() {
    let mut rig = Rig::live();
    rig.text(&update_batch(WORKER_SUMMARIES, &[7]));
    rig.text(&frame(WORKER_SUMMARIES, &[7]));
    rig.text(&frame(WORKER_SUMMARIES, &[8]));
    let told = unasked(&rig);
    let topic = WORKER_SUMMARIES.to_owned();
    assert_eq!(
        told,
        [(topic.clone(), Some(7)), (topic, Some(8))],
        "the second came as a frame alone"
    );
}

/// The sessions for which joins were answered that are not the client's.
fn joined_as(rig: &Rig) -> Vec<&str> {
    let mut sessions = Vec::new();
    for record in &rig.records {
        if let Record::JoinedAs { session, .. } = record {
            sessions.push(&**session);
        }
    }
    sessions
}

#[test]
fn a_join_that_is_answered_for_another_session_is_recorded() {
    for (own, seen) in [(None, &[][..]), (Some("s"), &[]), (Some("t"), &["s"])] {
        let mut rig = Rig::new();
        rig.machine.speaks_for(own.map(Into::into));
        rig.go_live(&json!([]));
        // The answers to the join and to the subscribe.
        assert_eq!(joined_as(&rig), [seen, seen].concat(), "{own:?}");
    }
}

#[test]
fn data_where_none_belongs_is_told_if_its_topic_was_not_asked_for() {
    let update = |topic: &str| {
        json!({"doc_key": "k", "doc_version": 1, "hydration_required": false, "payload": {"a": 1},
            "payload_hash": null, "topic": topic, "watermark": 5})
    };
    let batch = |topic: &str| json!({"updates": [update(topic)], "replay_complete": true, "head_watermarks": []});
    let beats = |rig: &mut Rig| {
        rig.now += 30 * SECOND;
        let sent = sent(rig.tick());
        sent.msg_ref
    };
    let of_others = |how: &str, topic: &str| {
        let mut rig = Rig::live();
        rig.records.clear();
        match how {
            "event" => rig.text(&push("1", "sync:delta", &batch(topic))),
            "heartbeat" => {
                let pushed = json!({"watermarks": [], "updates": [update(topic)]});
                rig.text(&push("1", "sync:heartbeat", &pushed))
            }
            "reply" => {
                let asked = beats(&mut rig);
                let response =
                    json!({"subscription_id": "s", "watermarks": [], "more": batch(topic)});
                let ok = json!({"response": response, "status": "ok"});
                let own = rig.join_ref.clone();
                rig.text(&json!([own, asked, "sync:v1", "phx_reply", ok]).to_string())
            }
            "socket" => {
                rig.text_as_it_is(&json!([null, null, "phoenix", "hint", batch(topic)]).to_string())
            }
            "field" => {
                let mut own = batch(WORKER_EVENTS);
                own["more"] = batch(topic);
                rig.text(&push("1", "sync:update_batch", &own))
            }
            "frame" => {
                let text = batch(WORKER_EVENTS).to_string();
                let frame = SyncFrame::wrap(KIND_UPDATE_BATCH, WORKER_EVENTS, 5, &text);
                let mut frame = serde_json::to_value(frame).expect("serialises");
                frame["more"] = batch(topic);
                rig.text(&push("1", "sync:frame", &frame))
            }
            reserved => {
                let text = batch(topic).to_string();
                let frame = SyncFrame::wrap(reserved, WORKER_EVENTS, 5, &text);
                let frame = serde_json::to_value(frame).expect("serialises");
                rig.text(&push("1", "sync:frame", &frame))
            }
        };
        unasked(&rig)
    };
    let reserved = "KHALA_FRAME_KIND_HEARTBEAT";
    for how in ["event", "heartbeat", "reply", "socket", "field", "frame", reserved] {
        // One that the contract does not have, and one that nobody subscribed to.
        for topic in ["org:77:billing", WORKER_SUMMARIES] {
            assert_eq!(of_others(how, topic), [(topic.to_owned(), Some(5))], "{how}");
        }
        assert_eq!(of_others(how, WORKER_EVENTS), [], "{how}: its own");
    }
}
