//! What is not of the contract: recorded as malformed or as a finding, never a panic.

use khala_evidence::record::{Flaw, OfflineCause, OpKind, Outcome, Place, Record};
use khala_wire::payload::KIND_UPDATE_BATCH;
use khala_wire::topic::WORKER_EVENTS;
use serde_json::json;

use super::rig::{Action, Rig, beats, events, frame, push, reply, sent, update_batch};
use crate::client::contents::Known;
use crate::client::machine::Phase;
use crate::client::reader::Reader;

#[test]
fn a_text_that_is_no_frame_is_malformed_and_the_client_goes_on() {
    for text in ["", "nope", "{}", "[]", "[1,2,3]", r#"["1",null,"sync:v1","sync:frame"]"#, "\u{0}"]
    {
        let mut rig = Rig::live();
        assert_eq!(rig.text_as_it_is(text), Action::None, "{text:?}");
        assert_eq!(rig.malformed().len(), 1, "{text:?}");
        assert!(rig.machine.is_live());
    }
}

#[test]
fn a_binary_message_is_malformed() {
    let mut rig = Rig::live();
    rig.with(|machine, now, world| machine.binary(now, 12, world));
    assert_eq!(rig.malformed(), ["a binary message of 12 bytes"]);
    assert!(rig.machine.is_live());
}

#[test]
fn a_batch_that_lacks_a_field_is_malformed_and_moves_no_cursor() {
    let no_base64 = push(
        "1",
        "sync:frame",
        &json!({"kind": KIND_UPDATE_BATCH,
        "payload_bytes": "%%%", "schema_version": 1, "seq": 4, "topic": WORKER_EVENTS}),
    );
    let no_shape = push("1", "sync:frame", &json!([1, 2]));
    let no_field = update_batch(WORKER_EVENTS, &[1]).replace("doc_key", "doc");
    let no_watermarks = push("1", "sync:heartbeat", &json!({}));
    let no_code = push("1", "sync:error", &json!({"message": "no"}));
    let no_action = push(
        "1",
        "sync:error",
        &json!({"code": "slow_consumer", "queue_depth": 1, "queue_limit": 1, "topic": "t"}),
    );
    for text in [no_base64, no_shape, no_field, no_watermarks, no_code, no_action] {
        let mut rig = Rig::live();
        assert_eq!(rig.text(&text), Action::None, "{text}");
        assert_eq!(rig.malformed().len(), 1, "{text} {:?}", rig.records);
        assert_eq!(rig.machine.cursor(events()), None);
    }
}

#[test]
fn what_has_the_shape_and_is_not_so_is_told_apart_from_what_has_none() {
    let flaws = |lie: &str| {
        let mut rig = Rig::live();
        rig.reader = Reader::new(Known {
            run_id: "run".to_owned(),
            workers: [("w".to_owned(), 0)].into(),
            addressed: Vec::new(),
        });
        let event = update_batch(WORKER_EVENTS, &[1]).replace(r#""k:1""#, lie);
        rig.text(&event.replace(r#"{"seq":1}"#, r#"{"seq":1,"worker_id":"w"}"#));
        let flaw = |record: &Record| match record {
            Record::Malformed { flaw, .. } => Some(*flaw),
            _ => None,
        };
        rig.records.iter().filter_map(flaw).collect::<Vec<_>>()
    };
    assert_eq!(flaws(r#""runtime/codex_worker_event:w:1""#), []);
    assert_eq!(flaws(r#""runtime/codex_worker_event:w:2""#), [Flaw::Content]);
    assert_eq!(flaws("[]"), [Flaw::Shape]);
}

#[test]
fn a_field_that_nobody_knows_is_a_finding_and_hides_nothing() {
    let mut rig = Rig::live();
    let more = |text: String| text.replacen("payload_bytes", "mood\":1,\"payload_bytes", 1);
    rig.text(&more(frame(WORKER_EVENTS, &[1])));
    let error = json!({"code": "slow_consumer", "action": "throttle", "queue_depth": 70,
        "queue_limit": 64, "topic": WORKER_EVENTS, "mood": 1});
    rig.text(&push("1", "sync:error", &error));
    // The batches of these tests have no hashes.
    assert_eq!(rig.findings(), ["payload_without_hash", "unknown_field", "unknown_field"]);
    assert_eq!(rig.malformed(), Vec::<String>::new());
    assert_eq!(rig.machine.cursor(events()), Some(1));
    assert!(rig.records.iter().any(|record| matches!(record, Record::SlowConsumer { .. })));
}

#[test]
fn errors_and_heartbeats_that_the_server_pushes_move_nothing() {
    let mut rig = Rig::live();
    rig.text(&push("1", "sync:error", &json!({"code": "bad_topic", "message": "no"})));
    rig.text(&push("1", "sync:heartbeat", &json!({"watermarks": []})));
    // The word is for the judge; the client goes on.
    let words = |record: &Record| matches!(record, Record::Word { place: Place::Error, .. });
    assert!(rig.records.len() == 1 && words(&rig.records[0]), "{:?}", rig.records);
    assert!(rig.machine.is_live());
}

#[test]
fn an_unknown_event_is_a_finding() {
    let mut rig = Rig::live();
    assert_eq!(rig.text(&push("1", "sync:surprise", &json!({}))), Action::None);
    assert_eq!(rig.findings(), ["unknown_event"]);
}

#[test]
fn a_reply_without_the_shape_of_a_reply_is_malformed_and_the_time_out_decides() {
    let mut rig = Rig::new();
    let subscribe = rig.join();
    let text = json!([subscribe.join_ref, subscribe.msg_ref, "sync:v1", "phx_reply", {"ok": 1}]);
    assert_eq!(rig.text(&text.to_string()), Action::None);
    assert_eq!(rig.malformed(), ["a phx_reply lacks `response`"]);
    assert_eq!(rig.machine.phase(), Phase::Online);
}

#[test]
fn an_ok_to_the_subscribe_that_cannot_be_read_is_no_replay_complete() {
    let mut rig = Rig::new();
    let subscribe = rig.join();
    assert_eq!(rig.text(&reply(&subscribe, "ok", &json!({"hello": 1}))), Action::Close);
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::ProtocolError);
    assert_eq!(rig.causes(), [OfflineCause::GaveUp]);
    assert!(!rig.records.iter().any(|record| matches!(record, Record::SubscribeOk { .. })));
}

#[test]
fn an_answer_that_lacks_what_the_contract_gives_it_is_malformed_and_taken_as_far_as_it_goes() {
    let mut rig = Rig::new();
    let join = rig.connect();
    let subscribe = sent(rig.text(&reply(&join, "ok", &json!({}))));
    assert_eq!(rig.malformed(), ["the reply to a join lacks `allowed_topics`"]);
    rig.text(&reply(&subscribe, "ok", &json!({"current_watermarks": []})));
    assert_eq!(rig.malformed()[1..], ["the reply to a subscribe lacks `subscription_id`"]);
    assert!(rig.machine.is_live());
    rig.now = rig.machine.deadline();
    let (beat, _) = beats(rig.tick());
    rig.text(&reply(&beat, "ok", &json!({"watermarks": []})));
    assert_eq!(rig.malformed()[2..], ["the reply to a sync:heartbeat lacks `subscription_id`"]);
}
