//! One batch: the JSON of both pushes, and the frames that were made of it.

use std::sync::Mutex;

use axum::extract::ws::Utf8Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use khala_wire::cursor::TopicWatermark;
use khala_wire::frame::encode;
use khala_wire::message::event;
use khala_wire::payload::{KIND_UPDATE_BATCH, SyncFrame, Update};
use khala_wire::{CHANNEL, Vsn};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::BatchKey;
use crate::sync::lock;

/// Distinct join refs for which a batch keeps its frames. Clients of one kind number their joins
/// alike, so a few suffice; others are encoded from the shared JSON.
const WRAPPED_MAX: usize = 8;
/// Why encoding a batch cannot fail.
const SERIALISES: &str = "updates are strings, numbers and parsed JSON";

/// `sync:update_batch`, borrowed from the log. Fields in alphabetical order, as on the wire.
#[derive(Serialize)]
struct BatchOut<'a> {
    head_watermarks: [TopicWatermark; 1],
    replay_complete: bool,
    updates: &'a [&'a Update],
}

struct Wrapped {
    vsn: Vsn,
    join_ref: Option<Box<RawValue>>,
    pushes: [Utf8Bytes; 2],
}

/// An encoded batch of one topic.
pub struct Batch {
    legacy: Box<RawValue>,
    frame: Box<RawValue>,
    updates: u64,
    wrapped: Mutex<Vec<Wrapped>>,
}

impl Batch {
    /// Encodes updates of a topic, in the order given. The frame holds the same, unless a defect
    /// wants it to hold `apart`.
    ///
    /// # Panics
    /// Never: updates are strings, numbers and JSON that was parsed before.
    pub fn encode(key: &BatchKey, updates: &[&Update], apart: Option<&[&Update]>) -> Self {
        let topic = key.topic.name();
        let content = |updates| {
            let head = TopicWatermark { topic: topic.to_owned(), watermark: key.head };
            let replay_complete = key.to >= key.head;
            let batch = BatchOut { head_watermarks: [head], replay_complete, updates };
            to_raw_value(&batch).expect(SERIALISES)
        };
        let legacy = content(updates);
        let apart = apart.map(content);
        let frame = to_raw_value(&SyncFrame {
            kind: KIND_UPDATE_BATCH.to_owned(),
            payload_bytes: STANDARD.encode(apart.as_ref().unwrap_or(&legacy).get()),
            schema_version: khala_wire::SCHEMA_VERSION,
            seq: updates.iter().map(|update| update.watermark).max().unwrap_or(0),
            topic: topic.to_owned(),
        })
        .expect(SERIALISES);
        let updates = updates.len() as u64;
        Self { legacy, frame, updates, wrapped: Mutex::default() }
    }

    /// How many updates it carries.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Both pushes for a channel, legacy first.
    pub fn pushes(&self, vsn: Vsn, join_ref: Option<&RawValue>) -> [Utf8Bytes; 2] {
        let same = |wrapped: &&Wrapped| {
            wrapped.vsn == vsn
                && wrapped.join_ref.as_deref().map(RawValue::get) == join_ref.map(RawValue::get)
        };
        if let Some(wrapped) = lock(&self.wrapped).iter().find(same) {
            return wrapped.pushes.clone();
        }
        let push = |event, payload: &RawValue| {
            Utf8Bytes::from(encode(vsn, join_ref, None, CHANNEL, event, &payload))
        };
        let pushes = [push(event::UPDATE_BATCH, &self.legacy), push(event::FRAME, &self.frame)];
        let mut wrapped = lock(&self.wrapped);
        if wrapped.len() < WRAPPED_MAX {
            let join_ref = join_ref.map(ToOwned::to_owned);
            wrapped.push(Wrapped { vsn, join_ref, pushes: pushes.clone() });
        }
        pushes
    }
}

#[cfg(test)]
mod tests {
    use khala_wire::Frame;
    use khala_wire::frame::string_ref;
    use khala_wire::payload::SyncFrameRef;
    use khala_wire::topic::{NOTIFICATIONS, TopicId};

    use super::*;
    use crate::store::Draft;

    #[test]
    fn the_frame_holds_the_batch_byte_for_byte() {
        let topic = TopicId::of(NOTIFICATIONS).expect("known");
        let update = Draft::of("k".into(), 1, &7).expect("json").at(topic.name(), 3);
        let batch = Batch::encode(&BatchKey { topic, first: 3, to: 3, head: 9 }, &[&update], None);
        let join_ref = string_ref(1);
        let [legacy, frame] = batch.pushes(Vsn::V2, Some(&join_ref));
        let legacy = Frame::parse(Vsn::V2, &legacy).expect("a frame");
        let frame = Frame::parse(Vsn::V2, &frame).expect("a frame");
        assert_eq!((&*legacy.event, &*frame.event), ("sync:update_batch", "sync:frame"));
        let inner: SyncFrameRef<'_> = serde_json::from_str(frame.payload.get()).expect("frame");
        let mut buffer = Vec::new();
        assert_eq!(inner.decode_into(&mut buffer).expect("decodes"), legacy.payload.get());
        assert_eq!(inner.seq, 3);
    }

    #[test]
    fn any_number_of_join_refs_is_served_and_few_are_kept() {
        let topic = TopicId::of(NOTIFICATIONS).expect("known");
        let batch = Batch::encode(&BatchKey { topic, first: 1, to: 0, head: 0 }, &[], None);
        for number in 0..100 {
            let join_ref = string_ref(number);
            let [legacy, _] = batch.pushes(Vsn::V2, Some(&join_ref));
            assert!(legacy.starts_with(&format!("[\"{number}\",null,")), "{legacy:?}");
        }
        assert_eq!(lock(&batch.wrapped).len(), WRAPPED_MAX);
    }
}
