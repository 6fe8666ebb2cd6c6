use khala_evidence::record::{Held, NO_CONTENT, PublishId, Source};
use khala_wire::payload::SyncFrame;
use khala_wire::snapshot::{Document, Snapshot};

use super::*;
use crate::client::contents::Known;

const EVENT: &str = r#"{"payload":{"khala_harness":{"at_us":5,"begun_us":6,"n":3,"run":"r"}},"seq":2,"worker_id":"w"}"#;

fn batch(payload: &str, seq: u64) -> String {
    let hash = khala_wire::canonical::payload_hash_of_canonical(payload);
    format!(
        r#"{{"head_watermarks":[],"replay_complete":true,"updates":[{{"doc_key":"runtime/codex_worker_event:w:2","doc_version":2,"hydration_required":false,"payload":{payload},"payload_hash":"{hash}","topic":"runtime.codex_worker_events","watermark":{seq}}}]}}"#
    )
}

fn reader() -> Reader {
    Reader::new(Known {
        run_id: "r".into(),
        workers: [("w".to_owned(), 4)].into(),
        addressed: Vec::new(),
    })
}

#[test]
fn both_pushes_of_a_batch_say_the_same() {
    let mut reader = reader();
    let text = batch(EVENT, 9);
    let frame = SyncFrame::wrap(KIND_UPDATE_BATCH, "runtime.codex_worker_events", 9, &text);
    let frame = serde_json::to_string(&frame).expect("serialises");
    let batch = reader.frame(&frame);
    assert_eq!(batch, reader.batch(&text));
    assert!(batch.facts[0].hash_fits);
    assert!(matches!(
        batch.facts[0].source,
        Source::Event { publish: PublishId::Planned(3), intended: Some(5), begun: Some(6), .. }
    ));
}

#[test]
fn content_is_the_same_in_any_key_order_and_another_for_another_payload() {
    let mut reader = reader();
    let mut content = |payload: &str| reader.batch(&batch(payload, 9)).facts[0].content;
    let reordered = r#"{"worker_id":"w","seq":2,"payload":{"khala_harness":{"run":"r","n":3,"begun_us":6,"at_us":5}}}"#;
    assert_eq!(content(EVENT), content(reordered));
    assert_ne!(content(EVENT), content(&EVENT.replace("\"seq\":2", "\"seq\":7")));
}

#[test]
fn others_are_foreign_and_our_workers_own_events_are_known_by_seq() {
    let mut reader = reader();
    let mut source = |payload: &str| reader.batch(&batch(payload, 1)).facts[0].source;
    assert_eq!(source(&EVENT.replace("\"w\"", "\"x\"")), Source::Foreign);
    assert!(matches!(
        source(&EVENT.replace("\"r\"", "\"other\"")),
        Source::Event { publish: PublishId::Lifecycle { worker: 4, seq: 2 }, .. }
    ));
}

#[test]
fn an_update_without_a_payload_is_known_by_its_key_and_has_no_content() {
    let mut reader = reader();
    let mut fact = |key: &str| {
        let text = batch("null", 1).replace("runtime/codex_worker_event:w:2", key);
        reader.batch(&text).facts[0]
    };
    let ours = fact("runtime/codex_worker_event:w:2");
    assert_eq!(ours.content, NO_CONTENT);
    assert!(matches!(
        ours.source,
        Source::Event { publish: PublishId::Lifecycle { worker: 4, seq: 2 }, .. }
    ));
    let state = fact("runtime/codex_worker_summary:w");
    assert_eq!(state.source, Source::State { worker: 4, version: 2 });
    for key in ["runtime/codex_worker_event:x:2", "runtime/codex_worker_event:w:x", "w:2"] {
        assert_eq!(fact(key).source, Source::Foreign, "{key}");
    }
}

#[test]
fn a_snapshot_is_read_for_our_workers_documents() {
    let document = |key: &str, doc_version, payload_hash: &str| Document {
        doc_key: key.to_owned(),
        doc_version,
        payload: RawValue::from_string(EVENT.to_owned()).expect("JSON"),
        payload_hash: payload_hash.to_owned(),
    };
    let hash = khala_wire::canonical::payload_hash_of_canonical(EVENT);
    let snapshot = Snapshot {
        documents: vec![
            document("runtime/codex_worker_summary:w", 7, &hash),
            document("runtime/codex_worker_summary:x", 8, &hash),
            document("runtime/codex_worker_summary:w", 9, "other"),
            document("w", 9, &hash),
        ],
        format: String::new(),
        head_watermark: 60,
        schema_version: 1,
        topic: String::new(),
    };
    let content = |version| {
        let text = format!("runtime/codex_worker_summary:w\n{version}\n{EVENT}");
        khala_wire::canonical::digest64(text.as_bytes())
    };
    let held =
        |version, hash_fits| Held { worker: 4, version, hash_fits, content: content(version) };
    assert_eq!(reader().held(&snapshot), [held(7, true), held(9, false)]);
}

const FRAME: &str = r#"{"kind":"KHALA_FRAME_KIND_UPDATE_BATCH","payload_bytes":"!","schema_version":1,"seq":1,"topic":"t"}"#;

#[test]
fn what_does_not_have_the_shape_is_malformed_and_says_why() {
    let mut reader = reader();
    for (text, why) in [
        ("{}", "a batch lacks `head_watermarks`"),
        ("[]", "a batch is no object"),
        (
            r#"{"head_watermarks":[],"replay_complete":true,"updates":[{"topic":"t"}]}"#,
            "a batch lacks `doc_key`",
        ),
        (
            r#"{"head_watermarks":[],"replay_complete":1,"updates":[]}"#,
            "a batch: invalid type: integer `1`, expected a boolean at line 1 column 41",
        ),
    ] {
        assert_eq!(reader.batch(text).malformed.as_deref(), Some(why), "{text}");
    }
    for (text, why) in [
        (
            FRAME.to_owned(),
            "payload_bytes of a sync:frame is not base64 of UTF-8 JSON: Invalid byte 33, offset 0.",
        ),
        (FRAME.replace(r#""seq":1,"#, ""), "a sync:frame lacks `seq`"),
        ("[1,2]".to_owned(), "a sync:frame is no object"),
    ] {
        let batch = reader.frame(&text);
        assert!(
            batch.malformed.as_deref().is_some_and(|found| found.starts_with(&why[..20])),
            "{batch:?}"
        );
    }
}

#[test]
fn topics_are_read_even_where_the_content_cannot_be() {
    let mut reader = reader();
    let names =
        |batch: &Batch| batch.topics.iter().map(|it| it.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&reader.frame(FRAME)), ["t"]);
    let broken = r#"{"updates":[{"topic":"org:77:billing","watermark":"x"}]}"#;
    let batch = reader.batch(broken);
    assert_eq!(
        (names(&batch), batch.malformed.is_some()),
        (vec!["org:77:billing".to_owned()], true)
    );
}

#[test]
fn frames_without_a_batch_speak_of_no_topic() {
    let mut reader = reader();
    for kind in ["SUBSCRIBED", "HEARTBEAT"] {
        let batch = reader.frame(&FRAME.replace("UPDATE_BATCH", kind));
        assert!(batch.topics.is_empty() && batch.malformed.is_none(), "{batch:?}");
        assert!(batch.notes.is_empty(), "{batch:?}");
    }
    let error = FRAME.replace("UPDATE_BATCH", "ERROR");
    let broken = reader.frame(&error);
    assert!(broken.topics.is_empty() && broken.malformed.is_some(), "{broken:?}");
    let payload = r#""payload_bytes":""#;
    let (before, after) = error.split_once(payload).expect("a payload");
    let after = after.split_once('"').expect("its end").1;
    let told = reader.frame(&format!(r#"{before}{payload}eyJjb2RlIjoieCJ9"{after}"#));
    assert_eq!(told.error.as_deref(), Some(r#"{"code":"x"}"#), "{told:?}");
    assert!(told.topics.is_empty() && told.malformed.is_none(), "{told:?}");
    let odd = reader.frame(&FRAME.replace("UPDATE_BATCH", "SURPRISE"));
    assert_eq!(odd.notes[0].0, "unknown_kind");
    let auth = reader.frame(&FRAME.replace(r#""t""#, r#""sync.auth""#));
    assert!(auth.topics.is_empty() && auth.notes[0].0 == "batch_of_auth", "{auth:?}");
}

#[test]
fn a_head_below_what_the_batch_carries_is_not_so_and_other_topics_are_named() {
    let mut reader = reader();
    let with = |heads: &str| batch(EVENT, 9).replace(r#""head_watermarks":[]"#, heads);
    let text = with(r#""head_watermarks":[]"#);
    let updates: serde_json::Value = serde_json::from_str(&text).expect("json");
    let topic = updates["updates"][0]["topic"].as_str().expect("a topic").to_owned();
    let heads = |own: u64| {
        with(&format!(
            r#""head_watermarks":[{{"topic":"{topic}","watermark":{own}}},{{"topic":"org:77:billing","watermark":3}}]"#
        ))
    };
    let right = reader.batch(&heads(9));
    assert_eq!((right.malformed.as_deref(), &*right.heads), (None, &["org:77:billing".into()][..]));
    let short = reader.batch(&heads(8));
    assert_eq!(short.flaw, Flaw::Content);
    assert!(short.malformed.as_deref().is_some_and(|why| why.contains("stands at 8")), "{short:?}");
}

#[test]
fn a_frame_of_an_empty_batch_has_no_seq_and_every_frame_its_schema() {
    let mut reader = reader();
    let empty = r#"{"head_watermarks":[],"replay_complete":true,"updates":[]}"#;
    let framed = |seq: u64, schema: serde_json::Value| {
        let frame = khala_wire::payload::SyncFrame::wrap(KIND_UPDATE_BATCH, "t", seq, empty);
        let mut frame = serde_json::to_value(frame).expect("serialises");
        frame["schema_version"] = schema;
        frame.to_string()
    };
    assert_eq!(reader.frame(&framed(0, 1.into())).malformed, None);
    for (seq, schema, why) in [
        (1_000_000, 1.into(), "the seq of a sync:frame"),
        (0, "1".into(), "is of schema version"),
        (0, serde_json::Value::Null, "is of schema version null"),
    ] {
        let batch = reader.frame(&framed(seq, schema));
        assert!(batch.malformed.as_deref().is_some_and(|said| said.contains(why)), "{batch:?}");
    }
}

#[test]
fn a_seq_that_a_browser_cannot_hold_is_a_note() {
    let mut reader = reader();
    let notes = |reader: &mut Reader, seq| reader.batch(&batch(EVENT, seq)).notes.len();
    assert_eq!(notes(&mut reader, (1 << 53) - 1), 0);
    assert_eq!(notes(&mut reader, 1 << 53), 1);
}

#[test]
fn an_update_that_contradicts_itself_is_read_and_of_another_kind_than_what_has_no_shape() {
    let mut reader = reader();
    let lie = reader.batch(&batch(EVENT, 9).replace("event:w:2", "event:w:3"));
    assert_eq!((lie.flaw, lie.facts.len()), (Flaw::Content, 1));
    assert!(lie.malformed.as_ref().is_some_and(|why| why.contains("doc_key")), "{lie:?}");
    assert_eq!(reader.batch("{}").flaw, Flaw::Shape);
}

#[test]
fn a_frame_that_contradicts_its_batch_is_malformed_and_an_unknown_field_is_a_note() {
    let mut reader = reader();
    let text = batch(EVENT, 9);
    let frame = |topic: &str, seq| {
        let frame = SyncFrame::wrap(KIND_UPDATE_BATCH, topic, seq, &text);
        serde_json::to_string(&frame).expect("serialises")
    };
    let good = "runtime.codex_worker_events";
    assert_eq!(reader.frame(&frame(good, 9)).malformed, None);
    for text in [frame(good, 8), frame("runtime.notifications", 9)] {
        let batch = reader.frame(&text);
        assert!(batch.malformed.is_some() && batch.facts.len() == 1, "{batch:?}");
    }
    let newer = frame(good, 9).replace(r#""schema_version":1"#, r#""schema_version":2"#);
    let why = reader.frame(&newer).malformed;
    assert_eq!(why.as_deref(), Some("a sync:frame is of schema version 2, not 1"));
    let more = text.replace(r#""replay_complete""#, r#""mood":1,"replay_complete""#);
    let batch = reader.batch(&more);
    assert_eq!(batch.notes[..], [("unknown_field", "field `mood` in a batch".into())]);
    assert_eq!(batch.facts.len(), 1);
}

#[test]
fn what_is_over_a_documented_limit_is_told_and_read_all_the_same() {
    let mut reader = reader();
    let over = |batch: &Batch| batch.over.iter().map(|it| it.limit).collect::<Vec<_>>();
    let plain = reader.batch(&batch(EVENT, 9));
    assert_eq!(over(&plain), []);
    let padded = |bytes: u64| {
        let pad = "x".repeat(usize::try_from(bytes).expect("fits"));
        EVENT.replace(r#""seq":2"#, &format!(r#""pad":"{pad}","seq":2"#))
    };
    let large = reader.batch(&batch(&padded(Limit::UpdateBytes.most()), 9));
    assert_eq!(over(&large), [Limit::UpdateBytes]);
    let Over { size, topic, seqs, .. } = large.over[0];
    assert!(size > Limit::UpdateBytes.most(), "{size}");
    assert_eq!((topic, seqs), (Some(TopicId::WORKER_EVENTS), Some((9, 9))));
    assert_eq!((large.facts.len(), large.facts[0].hash_fits), (1, true));
    let huge = reader.batch(&batch(&padded(Limit::BatchBytes.most()), 9));
    assert_eq!(over(&huge), [Limit::BatchBytes, Limit::UpdateBytes]);
    let one = batch(EVENT, 9);
    let (from, to) = (one.find(r#"{"doc_key"#).expect("one"), one.len() - 2);
    for (updates, limits) in [(200, vec![]), (201, vec![Limit::BatchUpdates])] {
        let each: Vec<_> = (1..=updates)
            .map(|seq| one[from..to].replace(r#""watermark":9"#, &format!(r#""watermark":{seq}"#)))
            .collect();
        let text = format!("{}{}]}}", &one[..from], each.join(","));
        let many = reader.batch(&text);
        assert_eq!((over(&many), many.facts.len()), (limits, updates));
    }
}
