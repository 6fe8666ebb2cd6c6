//! What answers and errors say: of whom, of which topics, and whether it can be so.

use khala_evidence::record::{Flaw, Place, Record, Telling};
use khala_wire::payload::{KIND_ERROR, SyncFrame};
use khala_wire::topic::{NOTIFICATIONS, WORKER_EVENTS};
use serde_json::{Value, json};

use super::rig::{
    Action, Rig, SECOND, Sent, batch_of, beats, events, frame, push, reply, sent, stale, subscribed,
};

fn words(rig: &Rig) -> Vec<(Place, String)> {
    let of = rig.records.iter().filter_map(|record| match record {
        Record::Word { place, word, .. } => Some((*place, word.to_string())),
        _ => None,
    });
    of.collect()
}

fn named(rig: &Rig) -> Vec<(Telling, String)> {
    let of = rig.records.iter().filter_map(|record| match record {
        Record::Named { topic, by, .. } => Some((*by, topic.to_string())),
        _ => None,
    });
    of.collect()
}

fn not_so(rig: &Rig) -> Vec<String> {
    let of = rig.records.iter().filter_map(|record| match record {
        Record::Malformed { flaw: Flaw::Content, why, .. } => Some(why.to_string()),
        _ => None,
    });
    of.collect()
}

fn strikes(rig: &Rig) -> usize {
    rig.records.iter().filter(|record| matches!(record, Record::SlowConsumer { .. })).count()
}

fn error_push(error: &Value) -> String {
    push("1", "sync:error", error)
}

fn error_frame(error: &Value) -> String {
    let frame = SyncFrame::wrap(KIND_ERROR, WORKER_EVENTS, 0, &error.to_string());
    push("1", "sync:frame", &serde_json::to_value(frame).expect("serialises"))
}

fn slow(action: &str) -> Value {
    json!({"code": "slow_consumer", "action": action, "queue_depth": 70, "queue_limit": 64,
        "topic": WORKER_EVENTS})
}

#[test]
fn an_error_counts_once_whichever_of_its_two_copies_come() {
    for copies in [
        vec![error_push(&slow("throttle"))],
        vec![error_frame(&slow("throttle"))],
        vec![error_push(&slow("throttle")), error_frame(&slow("throttle"))],
        vec![error_frame(&slow("throttle")), error_push(&slow("throttle"))],
    ] {
        let mut rig = Rig::live();
        for round in 1..=3 {
            copies.iter().for_each(|copy| _ = rig.text(copy));
            assert_eq!(strikes(&rig), round, "{copies:?}");
        }
    }
}

#[test]
fn copies_that_come_in_a_row_are_put_together_and_others_told_apart() {
    let mut rig = Rig::live();
    for text in [
        error_push(&slow("throttle")),
        error_push(&slow("throttle")),
        error_frame(&slow("throttle")),
        error_push(&slow("disconnect")),
        error_frame(&slow("throttle")),
    ] {
        rig.text(&text);
    }
    assert_eq!(strikes(&rig), 3);
}

#[test]
fn a_word_that_the_contract_does_not_have_is_heard_in_an_error_frame_too() {
    let mut rig = Rig::live();
    rig.text(&error_frame(&json!({"code": "surprise"})));
    rig.text(&error_frame(&json!({"message": "nothing else"})));
    assert_eq!(words(&rig), [(Place::Error, "surprise".to_owned())]);
    assert_eq!(rig.malformed(), ["an error frame lacks `code`"]);
}

#[test]
fn that_the_session_is_no_longer_good_needs_a_reason() {
    let reauth = json!({"code": "reauth_required", "message": "sign in", "reauth_required": true});
    let told = |own: Option<&str>, before: &dyn Fn(&mut Rig)| {
        let mut rig = Rig::new();
        rig.machine.speaks_for(own.map(Into::into));
        rig.go_live(&json!([]));
        rig.records.clear();
        before(&mut rig);
        rig.text(&error_push(&reauth));
        words(&rig)[0].0
    };
    assert_eq!(told(Some("s"), &|_| {}), Place::Unprovoked);
    assert_eq!(told(None, &|_| {}), Place::Error, "others may share the session");
    let revoke = |rig: &mut Rig| {
        let now = rig.now;
        rig.machine.revoking(1, now, now + SECOND);
    };
    assert_eq!(told(Some("s"), &revoke), Place::Error);
    let unanswered = |rig: &mut Rig| {
        revoke(rig);
        rig.with(|machine, _, world| machine.revoked(None, world));
    };
    assert_eq!(told(Some("s"), &unanswered), Place::Error, "it may have been revoked all the same");
    assert_eq!(told(Some("s"), &|rig| rig.now += 3_601 * SECOND), Place::Error, "the token's end");
}

#[test]
fn a_stale_cursor_that_answers_nothing_ends_what_is_subscribed() {
    let asked = Rig::new().join();
    let stale: Value = serde_json::from_str(&stale(&asked, &[WORKER_EVENTS])).expect("json");
    let error = &stale[4]["response"];
    for copy in [error_push(error), error_frame(error)] {
        let mut rig = Rig::live();
        let action = rig.text(&copy);
        assert_eq!(sent(action).event, "sync:subscribe");
        let ended = |record: &Record| matches!(record, Record::SubscribeStale { topics, .. } if topics.len() == 1);
        assert!(rig.records.iter().any(ended), "{:?}", rig.records);
    }
    // Before the reply to a subscribe it says what that will say.
    let mut rig = Rig::new();
    rig.join();
    rig.records.clear();
    assert_eq!(rig.text(&error_push(error)), Action::None);
    assert_eq!(rig.text(&error_frame(error)), Action::None);
    assert_eq!(words(&rig), [(Place::Error, "stale_cursor".to_owned())]);
    assert_eq!(rig.records.len(), 1);
}

#[test]
fn a_stale_cursor_says_that_all_must_be_fetched_again_and_why() {
    let told = |change: &dyn Fn(&mut Value)| {
        let mut rig = Rig::new();
        let asked = rig.join();
        let mut refusal: Value =
            serde_json::from_str(&stale(&asked, &[WORKER_EVENTS])).expect("json");
        change(&mut refusal[4]["response"]);
        rig.text(&refusal.to_string());
        not_so(&rig)
    };
    assert_eq!(told(&|_| {}), Vec::<String>::new());
    for value in [json!(false), Value::Null] {
        let said = told(&|response| response["full_resync_required"] = value.clone());
        assert!(said.len() == 1 && said[0].contains("full resync"), "{said:?}");
    }
    let said = told(&|response| response["reason_codes"] = json!(["replay_budget_exceeded"]));
    assert!(said.len() == 1 && said[0].contains("`retention_floor_breach`"), "{said:?}");
    let said = told(&|response| response["reason_codes"] = json!("retention_floor_breach"));
    assert!(said.len() == 1 && said[0].contains("other types"), "{said:?}");
}

#[test]
fn a_live_clients_heartbeats_are_answered_with_ok() {
    let mut rig = Rig::live();
    rig.now = rig.machine.deadline();
    let (channel, socket) = beats(rig.tick());
    let error = json!({"reason": "unmatched topic"});
    rig.text(&reply(&channel, "error", &error));
    rig.text(&reply(&socket, "error", &error));
    assert_eq!(words(&rig), vec![(Place::Heartbeat, "unmatched topic".to_owned()); 2]);
}

#[test]
fn topics_that_are_not_the_clients_are_recorded_wherever_they_are_named() {
    let other = "org:77:billing";
    let marks = json!([{"topic": other, "watermark": 7}]);
    let mut rig = Rig::new();
    let join = rig.connect();
    let subscribe = sent(rig.text(&reply(
        &join,
        "ok",
        &json!({"allowed_topics": [WORKER_EVENTS, other], "current_watermarks": [],
            "subscription_id": "sub_sync_session:s"}),
    )));
    rig.text(&subscribed(&subscribe, &marks));
    rig.text(&push("1", "sync:heartbeat", &json!({"watermarks": marks})));
    rig.now = rig.machine.deadline();
    let (beat, socket) = beats(rig.tick());
    let answer = json!({"subscription_id": "sub_sync_session:s", "watermarks": marks});
    rig.text(&reply(&beat, "ok", &answer));
    rig.text(&reply(&socket, "ok", &json!({})));
    let batch = batch_of(WORKER_EVENTS, &[1]);
    let mut batch: Value = serde_json::from_str(&batch).expect("json");
    batch["head_watermarks"] = marks;
    rig.text(&push("1", "sync:update_batch", &batch));
    let by = [
        Telling::Joined,
        Telling::Subscribed,
        Telling::Heartbeat,
        Telling::Heartbeat,
        Telling::Heads,
    ];
    assert_eq!(named(&rig), by.map(|by| (by, other.to_owned())));
}

#[test]
fn every_answer_is_for_the_clients_own_session() {
    let mut rig = Rig::new();
    rig.machine.speaks_for(Some("s".into()));
    rig.go_live(&json!([]));
    rig.now = rig.machine.deadline();
    let (beat, socket) = beats(rig.tick());
    let answer = json!({"subscription_id": "sub_sync_session:t", "watermarks": []});
    rig.text(&reply(&beat, "ok", &answer));
    rig.text(&reply(&socket, "ok", &json!({})));
    let asked = unsubscribe(&mut rig);
    let answer = json!({"subscription_id": "sub_sync_session:t", "topics": [NOTIFICATIONS]});
    rig.text(&reply(&asked, "ok", &answer));
    let others = rig.records.iter().filter_map(|record| match record {
        Record::JoinedAs { session, by, .. } => Some((*by, session.to_string())),
        _ => None,
    });
    let by = [Telling::Heartbeat, Telling::Unsubscribed].map(|by| (by, "t".to_owned()));
    assert_eq!(others.collect::<Vec<_>>(), by);
}

fn unsubscribe(rig: &mut Rig) -> Sent {
    let until = rig.now + SECOND;
    sent(rig.machine.unsubscribe(rig.now, 1, &[events()], until))
}

#[test]
fn the_answer_to_a_subscribe_names_what_was_asked_for_and_where_it_stands() {
    let told = |topics: Value, marks: Value| {
        let mut rig = Rig::live();
        rig.text(&frame(WORKER_EVENTS, &[50]));
        rig.broken();
        let subscribe = rig.join();
        rig.records.clear();
        let answer = json!({"subscription_id": "sub_sync_session:s", "topics": topics,
            "current_watermarks": marks});
        rig.text(&reply(&subscribe, "ok", &answer));
        assert!(rig.machine.is_live());
        not_so(&rig)
    };
    let both = || json!([WORKER_EVENTS, NOTIFICATIONS]);
    let marks = |events: u64| {
        json!([{"topic": WORKER_EVENTS, "watermark": events},
            {"topic": NOTIFICATIONS, "watermark": 0}])
    };
    assert_eq!(told(both(), marks(50)), Vec::<String>::new());
    assert_eq!(told(both(), marks(51)), Vec::<String>::new());
    let below = told(both(), marks(49));
    assert!(below.len() == 1 && below[0].contains("stands at 49, below cursor 50"), "{below:?}");
    let without = told(both(), json!([{"topic": WORKER_EVENTS, "watermark": 50}]));
    assert!(without.len() == 1 && without[0].contains("does not say where"), "{without:?}");
    let fewer = told(json!([NOTIFICATIONS]), marks(50));
    assert!(fewer.len() == 1 && fewer[0].contains("which was asked for"), "{fewer:?}");
}

#[test]
fn what_the_join_does_not_allow_is_not_granted() {
    for (allowed, wrong) in [(json!([WORKER_EVENTS, NOTIFICATIONS]), 0), (json!([]), 2)] {
        let mut rig = Rig::new();
        let join = rig.connect();
        let answer = json!({"allowed_topics": allowed, "current_watermarks": [],
            "subscription_id": "sub_sync_session:s"});
        let subscribe = sent(rig.text(&reply(&join, "ok", &answer)));
        let marks = json!([{"topic": WORKER_EVENTS, "watermark": 0},
            {"topic": NOTIFICATIONS, "watermark": 0}]);
        rig.text(&subscribed(&subscribe, &marks));
        assert_eq!(not_so(&rig).len(), wrong, "{allowed}");
    }
}

#[test]
fn the_answer_to_an_unsubscribe_names_what_remains_and_nothing_else() {
    for (topics, wrong) in [
        (json!([NOTIFICATIONS]), 0),
        (json!([WORKER_EVENTS, NOTIFICATIONS]), 1),
        (json!([]), 1),
        (json!([WORKER_EVENTS]), 2),
    ] {
        let mut rig = Rig::live();
        let asked = unsubscribe(&mut rig);
        let answer = json!({"subscription_id": "sub_sync_session:s", "topics": topics});
        rig.text(&reply(&asked, "ok", &answer));
        assert_eq!(not_so(&rig).len(), wrong, "{topics}");
    }
}

#[test]
fn frames_without_a_batch_name_topics_too() {
    let other = "org:77:billing";
    let inside = batch_of(other, &[5]);
    let framed = |kind: &str, topic: &str| {
        let frame = SyncFrame::wrap(kind, topic, 5, &inside);
        push("1", "sync:frame", &serde_json::to_value(frame).expect("serialises"))
    };
    for kind in [KIND_ERROR, "KHALA_FRAME_KIND_SUBSCRIBED"] {
        let mut rig = Rig::live();
        rig.text(&framed(kind, other));
        assert_eq!(named(&rig), [(Telling::Frame, other.to_owned())], "{kind}");
    }
    // A batch that hides behind the topic of sessions.
    let mut rig = Rig::live();
    rig.text(&framed("KHALA_FRAME_KIND_UPDATE_BATCH", "sync.auth"));
    let unasked =
        |record: &Record| matches!(record, Record::Unasked { topic, .. } if **topic == *other);
    assert!(rig.records.iter().any(unasked), "{:?}", rig.records);
}

#[test]
fn a_session_that_is_being_revoked_is_closed_as_one_before_the_answer_comes() {
    let closed = |before: &dyn Fn(&mut Rig)| {
        let mut rig = Rig::live();
        before(&mut rig);
        rig.with(|machine, now, world| machine.closed(now, Some(1000), world));
        words(&rig)[0].0
    };
    let revoke = |rig: &mut Rig| {
        let now = rig.now;
        rig.machine.revoking(1, now, now + SECOND);
    };
    assert_eq!(closed(&|_| {}), Place::Close);
    assert_eq!(closed(&revoke), Place::CloseRevoked);
    let with_a_restart = |rig: &mut Rig| {
        revoke(rig);
        let now = rig.now;
        rig.machine.restarting(2, now);
    };
    assert_eq!(closed(&with_a_restart), Place::Close);
}

/// Where topics were said to stand, of what was news.
fn stands(rig: &Rig) -> Vec<(Telling, u64)> {
    let of = rig.records.iter().filter_map(|record| match record {
        Record::StandsAt { by, topic, head, .. } if *topic == events() => Some((*by, *head)),
        _ => None,
    });
    of.collect()
}

#[test]
fn where_a_topic_stands_is_told_when_it_is_above_all_that_the_client_knows() {
    let beat = |head: u64| {
        let watermarks = json!([{"topic": WORKER_EVENTS, "watermark": head}]);
        push("1", "sync:heartbeat", &json!({"watermarks": watermarks}))
    };
    let batch = |seq: u64, head: u64| {
        let mut batch: Value =
            serde_json::from_str(&batch_of(WORKER_EVENTS, &[seq])).expect("JSON");
        batch["head_watermarks"] = json!([{"topic": WORKER_EVENTS, "watermark": head}]);
        push("1", "sync:update_batch", &batch)
    };
    let mut rig = Rig::live();
    rig.records.clear();
    for text in [beat(9), beat(9), beat(7), batch(10, 10), batch(11, 14), batch(12, 14), beat(15)] {
        rig.text(&text);
    }
    let wanted = [(Telling::Heartbeat, 9), (Telling::Heads, 14), (Telling::Heartbeat, 15)];
    assert_eq!(stands(&rig), wanted);
    rig.now += 30 * SECOND;
    let asked = sent(rig.tick());
    let watermarks = json!([{"topic": WORKER_EVENTS, "watermark": 16}]);
    rig.text(&reply(&asked, "ok", &json!({"subscription_id": "s", "watermarks": watermarks})));
    assert_eq!(stands(&rig).last(), Some(&(Telling::Heartbeat, 16)), "a reply as well");
}

#[test]
fn a_cursor_is_the_clients_own_word_and_the_reply_to_a_subscribe_is_judged_by_itself() {
    let mut rig = Rig::new();
    rig.go_live(&json!([{"topic": WORKER_EVENTS, "watermark": 40}]));
    assert_eq!(stands(&rig), []);
    let watermarks = json!([{"topic": WORKER_EVENTS, "watermark": 40}]);
    rig.text(&push("1", "sync:heartbeat", &json!({"watermarks": watermarks})));
    assert_eq!(stands(&rig), []);
}

fn beat_of(head: u64) -> Value {
    json!({"watermarks": [{"topic": WORKER_EVENTS, "watermark": head}]})
}

/// The client heartbeats and is answered, with a push or without.
fn beaten(rig: &mut Rig, head: u64) {
    rig.now = rig.machine.deadline();
    let (asked, ping) = beats(rig.tick());
    let watermarks = beat_of(head)["watermarks"].clone();
    rig.text(&reply(&ping, "ok", &json!({})));
    rig.text(&reply(&asked, "ok", &json!({"subscription_id": "s", "watermarks": watermarks})));
}

#[test]
fn a_heartbeat_behind_what_was_sent_an_interval_ago_is_not_so() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[50]));
    beaten(&mut rig, 49);
    assert_eq!(not_so(&rig), Vec::<String>::new(), "it may be of a moment ago");
    rig.text(&frame(WORKER_EVENTS, &[51]));
    beaten(&mut rig, 50);
    rig.text(&push("1", "sync:heartbeat", &beat_of(50)));
    assert_eq!(not_so(&rig), Vec::<String>::new(), "51 came only since the last");
    rig.text(&push("1", "sync:heartbeat", &beat_of(49)));
    beaten(&mut rig, 50);
    let found = not_so(&rig);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("a sync:heartbeat says that"), "{found:?}");
    assert!(found[0].contains("stands at 49, and seq 50 had been sent before"), "{found:?}");
    assert!(found[1].contains("stands at 50, and seq 51 had been sent before"), "{found:?}");
}

#[test]
fn what_was_sent_of_a_topic_that_was_given_up_since_is_no_measure_of_heartbeats() {
    let mut rig = Rig::live();
    rig.text(&frame(WORKER_EVENTS, &[50]));
    beaten(&mut rig, 50);
    beaten(&mut rig, 50);
    let asked = unsubscribe(&mut rig);
    let answer = json!({"subscription_id": "sub_sync_session:s", "topics": [NOTIFICATIONS]});
    rig.text(&reply(&asked, "ok", &answer));
    rig.text(&push("1", "sync:heartbeat", &beat_of(40)));
    assert_eq!(not_so(&rig), Vec::<String>::new());
}

#[test]
fn the_answer_to_a_subscribe_may_stand_behind_what_came_before_it_and_not_below_its_cursor() {
    for (mark, wrong) in [(52, 0), (51, 0), (50, 0), (49, 1)] {
        let mut rig = Rig::live();
        rig.text(&frame(WORKER_EVENTS, &[50]));
        rig.broken();
        let subscribe = rig.join();
        rig.text(&frame(WORKER_EVENTS, &[51, 52]));
        rig.records.clear();
        let marks = json!([{"topic": WORKER_EVENTS, "watermark": mark},
            {"topic": NOTIFICATIONS, "watermark": 0}]);
        rig.text(&subscribed(&subscribe, &marks));
        let found = not_so(&rig);
        assert_eq!(found.len(), wrong, "{mark}: {found:?}");
        assert!(found.iter().all(|it| it.contains("stands at 49, below cursor 50")));
    }
}

#[test]
fn a_replay_whose_heads_lie_behind_what_others_had_been_sent_is_told() {
    for (head, found) in [(52, vec!["replay_head_behind"]), (70, vec![]), (71, vec![])] {
        let mut rig = Rig::live();
        rig.text(&frame(WORKER_EVENTS, &[50]));
        rig.broken();
        rig.heads.saw(events(), 70, None);
        rig.join();
        rig.records.clear();
        let mut batch: Value =
            serde_json::from_str(&batch_of(WORKER_EVENTS, &[51, 52])).expect("JSON");
        batch["head_watermarks"] = json!([{"topic": WORKER_EVENTS, "watermark": head}]);
        let framed =
            SyncFrame::wrap("KHALA_FRAME_KIND_UPDATE_BATCH", WORKER_EVENTS, 52, &batch.to_string());
        rig.text(&push("1", "sync:frame", &serde_json::to_value(framed).expect("serialises")));
        let of_heads = |name: &String| name.starts_with("replay_");
        let told: Vec<_> = rig.findings().into_iter().filter(of_heads).collect();
        assert_eq!(told, found, "{head}");
    }
}
