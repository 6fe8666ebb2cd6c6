//! What holds for any frame, cursor, token and batch, not only for the recorded ones.
//!
//! Must never compare with what the code under test computed by the same path: round trips start
//! from generated values, and raw JSON is compared as text.

use std::collections::BTreeMap;

use khala_wire::cursor::{ResumeAfter, TopicWatermark};
use khala_wire::frame::{self, string_ref};
use khala_wire::marker::{MARKER_KEY, Marker, marker_of};
use khala_wire::message::{ClientMessage, ServerMessage, event};
use khala_wire::payload::{
    ReplyRef, Subscribe, SyncFrame, SyncFrameRef, Update, UpdateBatch, UpdateBatchRef, error_code,
};
use khala_wire::token::{CLAIMS_VERSION, Claims, DEFAULT_AUDIENCE, DEFAULT_ISSUER, Key, KeyRing};
use khala_wire::{CHANNEL, Frame, PHOENIX_CHANNEL, Vsn};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use serde_json::value::RawValue;

const NOW: i64 = 1_795_000_000;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("a JSON tree prints as JSON")
}

/// Null, a string or a number, as refs come.
fn any_ref() -> impl Strategy<Value = Option<Box<RawValue>>> {
    prop_oneof![
        Just(None),
        any::<String>().prop_map(|text| Some(raw(&text.into()))),
        any::<u32>().prop_map(|number| Some(raw(&number.into()))),
    ]
}

fn any_vsn() -> impl Strategy<Value = Vsn> {
    select(vec![Vsn::V1, Vsn::V2])
}

fn any_resume_after() -> impl Strategy<Value = ResumeAfter> {
    let entry = (any::<String>(), any::<u64>())
        .prop_map(|(topic, watermark)| TopicWatermark { topic, watermark });
    prop_oneof![
        btree_map(any::<String>(), any::<u64>(), 0..5).prop_map(ResumeAfter::Map),
        vec(entry, 0..5).prop_map(ResumeAfter::List),
    ]
}

fn any_update() -> impl Strategy<Value = Update> {
    let payload = btree_map(any::<String>(), any_json(), 0..3)
        .prop_map(|map| raw(&Value::Object(map.into_iter().collect())));
    (
        any::<String>(),
        any::<u64>(),
        any::<bool>(),
        prop::option::of(payload),
        prop::option::of(any::<String>()),
        any::<String>(),
        any::<u64>(),
    )
        .prop_map(
            |(
                doc_key,
                doc_version,
                hydration_required,
                payload,
                payload_hash,
                topic,
                watermark,
            )| {
                Update {
                    doc_key,
                    doc_version,
                    hydration_required,
                    payload,
                    payload_hash,
                    topic,
                    watermark,
                }
            },
        )
}

fn any_batch() -> impl Strategy<Value = UpdateBatch> {
    let head = (any::<String>(), any::<u64>())
        .prop_map(|(topic, watermark)| TopicWatermark { topic, watermark });
    (vec(head, 0..3), any::<bool>(), vec(any_update(), 0..6)).prop_map(
        |(head_watermarks, replay_complete, updates)| UpdateBatch {
            head_watermarks,
            replay_complete,
            updates,
        },
    )
}

prop_compose! {
    fn any_claims()(
        texts in prop::array::uniform3(any::<String>()),
        optional in prop::array::uniform6(prop::option::of(any::<String>())),
        jti in ".+",
        age in 0_i64..100_000,
        life in 1_i64..100_000,
        schema in prop::option::of(any::<u32>()),
        scopes in vec(any::<String>(), 0..4),
    ) -> Claims {
        let [build, surface, device, org, protocol, session] = optional;
        let [sub, user, _] = texts;
        Claims {
            aud: DEFAULT_AUDIENCE.to_owned(),
            exp: NOW + life,
            iat: NOW - age,
            iss: DEFAULT_ISSUER.to_owned(),
            jti,
            nbf: NOW - age,
            oa_claims_version: CLAIMS_VERSION.to_owned(),
            oa_client_build_id: build,
            oa_client_surface: surface,
            oa_device_id: device,
            oa_org_id: org,
            oa_protocol_version: protocol,
            oa_schema_version: schema,
            oa_session_id: session,
            oa_sync_scopes: scopes,
            oa_user_id: Some(user),
            sub,
        }
    }
}

/// Reads a text in every way there is; the answers are beside the point.
fn read_in_every_way(text: &str) {
    for vsn in [Vsn::V1, Vsn::V2] {
        if let Ok(frame) = Frame::parse(vsn, text) {
            let _ = (ServerMessage::read(&frame), ClientMessage::read(&frame));
            let _ = (frame.ref_number(), frame.join_ref_number());
            let _ = (marker_of(frame.payload.get()), error_code(frame.payload));
        }
    }
    let _ = marker_of(text);
    let _ = serde_json::from_str::<UpdateBatchRef<'_>>(text);
    let _ = serde_json::from_str::<ReplyRef<'_>>(text);
    if let Ok(frame) = serde_json::from_str::<SyncFrameRef<'_>>(text) {
        let _ = frame.decode_into(&mut Vec::new());
    }
}

proptest! {
    #[test]
    fn a_frame_is_read_as_it_was_written(
        vsn in any_vsn(),
        join_ref in any_ref(),
        msg_ref in any_ref(),
        channel in any::<String>(),
        event in any::<String>(),
        payload in any_json(),
    ) {
        let payload = raw(&payload);
        let text = frame::encode(
            vsn, join_ref.as_deref(), msg_ref.as_deref(), &channel, &event, &payload,
        );
        let read = Frame::parse(vsn, &text).expect("a frame");
        let text_of = |raw: Option<&RawValue>| raw.map(|raw| raw.get().to_owned());
        prop_assert_eq!(text_of(read.join_ref), text_of(join_ref.as_deref()));
        prop_assert_eq!(text_of(read.msg_ref), text_of(msg_ref.as_deref()));
        prop_assert_eq!((&*read.channel, &*read.event), (&*channel, &*event));
        prop_assert_eq!(read.payload.get(), payload.get());
        let again = frame::encode(
            vsn, read.join_ref, read.msg_ref, &read.channel, &read.event, &read.payload,
        );
        prop_assert_eq!(again, text);
    }

    #[test]
    fn our_own_refs_come_back_as_numbers(vsn in any_vsn(), number in any::<u64>()) {
        let own = string_ref(number);
        let text = frame::encode(vsn, Some(&own), Some(&own), CHANNEL, event::JOIN, &Value::Null);
        let read = Frame::parse(vsn, &text).expect("a frame");
        prop_assert_eq!((read.join_ref_number(), read.ref_number()), (Some(number), Some(number)));
    }

    #[test]
    fn cursors_are_read_as_they_were_written(
        resume_after in any_resume_after(),
        topics in vec(any::<String>(), 0..4),
        batch_size in prop::option::of(any::<u32>()),
    ) {
        let text = serde_json::to_string(&resume_after).expect("serialises");
        let read: ResumeAfter = serde_json::from_str(&text).expect("cursors");
        prop_assert_eq!(&read, &resume_after);

        let entries: Vec<(String, u64)> = match &resume_after {
            ResumeAfter::Map(map) => map.iter().map(|(t, &w)| (t.clone(), w)).collect(),
            ResumeAfter::List(list) => {
                list.iter().map(|entry| (entry.topic.clone(), entry.watermark)).collect()
            }
        };
        // Of a topic that is named twice, the first cursor counts.
        let mut first = BTreeMap::new();
        for (topic, watermark) in entries {
            first.entry(topic).or_insert(watermark);
        }
        for (topic, watermark) in &first {
            prop_assert_eq!(read.get(topic), Some(*watermark));
        }
        prop_assert_eq!(read.get("no generated topic has this name"), None);

        let subscribe =
            Subscribe { replay_batch_size: batch_size, resume_after: Some(resume_after), topics };
        let text = serde_json::to_string(&subscribe).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<Subscribe>(&text).expect("reads"), subscribe);
    }

    #[test]
    fn a_token_opens_what_was_signed_and_no_changed_byte_does(
        claims in any_claims(),
        secret in vec(any::<u8>(), 1..64),
        kid in any::<String>(),
        at in any::<prop::sample::Index>(),
        byte in select((0x21_u8..0x7f).collect::<Vec<_>>()),
    ) {
        let key = Key::new(kid, secret);
        let ring = KeyRing::new(vec![key.clone()], DEFAULT_ISSUER, DEFAULT_AUDIENCE);
        let token = key.sign(&claims).expect("signs");
        prop_assert_eq!(ring.verify(&token, NOW), Ok(claims));

        let mut tampered = token.clone().into_bytes();
        let at = at.index(tampered.len());
        prop_assume!(tampered[at] != byte);
        tampered[at] = byte;
        let tampered = String::from_utf8(tampered).expect("ASCII");
        prop_assert!(ring.verify(&tampered, NOW).is_err(), "byte {} of {}", at, token);
    }

    #[test]
    fn a_batch_reads_alike_borrowed_and_owned(batch in any_batch()) {
        let text = serde_json::to_string(&batch).expect("serialises");
        let owned: UpdateBatch = serde_json::from_str(&text).expect("a batch");
        let borrowed: UpdateBatchRef<'_> = serde_json::from_str(&text).expect("a batch");

        prop_assert_eq!(&owned.head_watermarks, &batch.head_watermarks);
        let heads: Vec<TopicWatermark> = borrowed
            .head_watermarks
            .iter()
            .map(|head| TopicWatermark { topic: head.topic.to_string(), watermark: head.watermark })
            .collect();
        prop_assert_eq!(&heads, &batch.head_watermarks);
        prop_assert_eq!(owned.replay_complete, batch.replay_complete);
        prop_assert_eq!(borrowed.replay_complete, batch.replay_complete);
        prop_assert_eq!(owned.updates.len(), batch.updates.len());
        prop_assert_eq!(borrowed.updates.len(), batch.updates.len());
        for (index, update) in batch.updates.iter().enumerate() {
            let (owned, borrowed) = (&owned.updates[index], &borrowed.updates[index]);
            let raw_of = |payload: Option<&RawValue>| payload.map(|raw| raw.get().to_owned());
            let original = (
                update.doc_key.as_str(),
                update.doc_version,
                update.hydration_required,
                raw_of(update.payload.as_deref()),
                update.payload_hash.as_deref(),
                update.topic.as_str(),
                update.watermark,
            );
            let as_owned = (
                owned.doc_key.as_str(),
                owned.doc_version,
                owned.hydration_required,
                raw_of(owned.payload.as_deref()),
                owned.payload_hash.as_deref(),
                owned.topic.as_str(),
                owned.watermark,
            );
            let as_borrowed = (
                &*borrowed.doc_key,
                borrowed.doc_version,
                borrowed.hydration_required,
                raw_of(borrowed.payload),
                borrowed.payload_hash.as_ref().map(|hash| &*hash.0),
                &*borrowed.topic,
                borrowed.watermark,
            );
            prop_assert_eq!(&as_owned, &original);
            prop_assert_eq!(&as_borrowed, &original);
        }
    }

    #[test]
    fn a_wrapped_push_is_decoded_to_the_byte(
        kind in any::<String>(),
        topic in any::<String>(),
        seq in any::<u64>(),
        content in any::<String>(),
    ) {
        let text = serde_json::to_string(&SyncFrame::wrap(&kind, &topic, seq, &content));
        let text = text.expect("serialises");
        let read: SyncFrameRef<'_> = serde_json::from_str(&text).expect("a sync:frame");
        prop_assert_eq!((&*read.kind, &*read.topic, read.seq), (&*kind, &*topic, seq));
        let mut buffer = b"left from the frame before".to_vec();
        prop_assert_eq!(read.decode_into(&mut buffer).expect("text"), content);
    }

    #[test]
    fn a_marker_is_found_whatever_stands_beside_it(
        run in any::<String>(),
        n in any::<u32>(),
        at_us in any::<u64>(),
        beside in btree_map(any::<String>(), any_json(), 0..4),
    ) {
        let marker = Marker { run: run.into(), n, at_us, begun_us: at_us.saturating_add(1) };
        let mut payload: serde_json::Map<String, Value> = beside.into_iter().collect();
        payload.remove(MARKER_KEY);
        let unmarked = Value::Object(payload.clone()).to_string();
        prop_assert_eq!(marker_of(&unmarked), None);
        payload.insert(MARKER_KEY.to_owned(), serde_json::to_value(&marker).expect("serialises"));
        let marked = Value::Object(payload).to_string();
        prop_assert_eq!(marker_of(&marked), Some(marker));
    }

    #[test]
    fn no_text_is_a_panic(text in any::<String>()) {
        read_in_every_way(&text);
    }

    #[test]
    fn no_json_is_a_panic(value in any_json()) {
        read_in_every_way(&value.to_string());
    }

    #[test]
    fn no_payload_of_a_known_event_is_a_panic(
        vsn in any_vsn(),
        channel in select(vec![CHANNEL, PHOENIX_CHANNEL, "other"]),
        event in select(vec![
            event::JOIN, event::LEAVE, event::REPLY, event::CLOSE, event::ERROR,
            event::PHOENIX_HEARTBEAT, event::SUBSCRIBE, event::UNSUBSCRIBE, event::HEARTBEAT,
            event::UPDATE_BATCH, event::FRAME, event::SYNC_ERROR,
        ]),
        payload in any_json(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = frame::encode(vsn, None, None, channel, event, &payload);
        read_in_every_way(&text);
        // A frame that was cut short, at any character.
        let cut = (0..=cut.index(text.len())).rev().find(|&at| text.is_char_boundary(at));
        read_in_every_way(&text[..cut.expect("0 is a boundary")]);
    }
}

#[test]
fn nesting_beyond_measure_is_an_error_and_not_a_stack_overflow() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    for payload in [deep.clone(), format!(r#"{{"khala_harness":{deep}}}"#)] {
        assert_eq!(marker_of(&payload), None);
        for event in [event::REPLY, event::UPDATE_BATCH, event::SYNC_ERROR, event::HEARTBEAT] {
            read_in_every_way(&format!(r#"[null,null,"sync:v1","{event}",{payload}]"#));
        }
    }
}
