//! Batches as Phoenix carries them: the `sync:update_batch` as it stands, and the `sync:frame` around it.

#[cfg(test)]
mod tests;

use std::rc::Rc;

use khala_evidence::record::{Flaw, Limit};
use khala_wire::SCHEMA_VERSION;
use khala_wire::canonical::digest64;
use khala_wire::payload::{KIND_ERROR, KIND_UPDATE_BATCH, SyncFrameRef, Text, UpdateBatchRef};
use khala_wire::shape::{self, Difference};
use khala_wire::topic::TopicId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::beside::carried;
use crate::client::batch::{Batch, Over, Spoken};
use crate::client::reader::Reader;
use crate::said;

/// What is looked at of a batch before its content.
#[derive(Deserialize)]
struct TopicsOnly<'a> {
    #[serde(borrow)]
    updates: Vec<TopicOnly<'a>>,
}

#[derive(Deserialize)]
struct TopicOnly<'a> {
    #[serde(borrow)]
    topic: Text<'a>,
    // A watermark of another type must not hide the topic.
    #[serde(default)]
    watermark: serde_json::Value,
}

/// What is looked at of a frame before its content.
#[derive(Deserialize)]
struct FrameOnly<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    topic: Text<'a>,
    #[serde(default)]
    seq: serde_json::Value,
}

/// Topic of frames that are about the session and of no stream (contract, section 3, "Closes").
const AUTH_TOPIC: &str = "sync.auth";
/// The highest number up to which a browser's JSON numbers are exact (ECMA-262, `Number.MAX_SAFE_INTEGER`).
const EXACT_MAX: u64 = (1 << 53) - 1;
/// Kinds that the contract reserves.
const KINDS_RESERVED: [&str; 2] = ["KHALA_FRAME_KIND_SUBSCRIBED", "KHALA_FRAME_KIND_HEARTBEAT"];

impl Reader {
    /// Reads a `sync:update_batch`.
    pub fn batch(&mut self, payload: &str) -> Batch {
        let key = digest64(payload.as_bytes());
        if let Some(batch) = self.read_before(key) {
            return batch;
        }
        let batch = self.read(payload, key);
        self.remember(key, batch)
    }

    /// Reads a `sync:frame`.
    pub fn frame(&mut self, payload: &str) -> Batch {
        let key = digest64(payload.as_bytes());
        if let Some(batch) = self.read_before(key) {
            return batch;
        }
        let batch = self.read_frame(payload, key);
        self.remember(key, batch)
    }

    fn read_frame(&mut self, payload: &str, key: u64) -> Batch {
        let Ok(FrameOnly { kind, topic, seq }) = serde_json::from_str(payload) else {
            return Batch::malformed(key, Vec::new(), lack(&shape::SYNC_FRAME, payload));
        };
        let (kind, topic) = (&*kind.0, &*topic.0);
        if kind != KIND_UPDATE_BATCH || topic == AUTH_TOPIC {
            return self.no_batch(kind, topic, payload, key);
        }
        let spoken = vec![Spoken::of(topic, seq.as_u64())];
        let frame: SyncFrameRef<'_> = match serde_json::from_str(payload) {
            Ok(frame) => frame,
            Err(_) => return Batch::malformed(key, spoken, lack(&shape::SYNC_FRAME, payload)),
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut batch = match frame.decode_into(&mut scratch) {
            Ok(text) => self.read(text, digest64(text.as_bytes())),
            Err(error) => Batch::malformed(key, Vec::new(), error.to_string()),
        };
        self.scratch = scratch;
        let difference = shape::SYNC_FRAME.difference(payload).unwrap_or_default();
        if !difference.unknown.is_empty() {
            let own = &spoken[0].name;
            let more = carried(payload).into_iter().filter(|it| it.name != *own);
            batch.beside = batch.beside.iter().cloned().chain(more).collect();
        }
        batch.judge_frame(&frame, &spoken[0], &difference);
        batch
    }

    /// Reads the JSON of a batch: its topics, even where the rest is no batch, then its content.
    fn read(&self, text: &str, content: u64) -> Batch {
        let Ok(TopicsOnly { updates }) = serde_json::from_str(text) else {
            return Batch::malformed(content, Vec::new(), lack(&shape::UPDATE_BATCH, text));
        };
        let mut topics: Vec<Spoken> = Vec::new();
        for TopicOnly { topic, watermark } in &updates {
            match topics.iter_mut().find(|spoken| *spoken.name == *topic.0) {
                Some(spoken) => spoken.seq = spoken.seq.max(watermark.as_u64()),
                None => topics.push(Spoken::of(&topic.0, watermark.as_u64())),
            }
        }
        let difference = shape::batch_difference(text).unwrap_or_default();
        if let Some(missing) = difference.missing.first() {
            return Batch::malformed(content, topics, format!("a batch lacks `{missing}`"));
        }
        let batch: UpdateBatchRef<'_> = match serde_json::from_str(text) {
            Ok(batch) => batch,
            Err(error) => return Batch::malformed(content, topics, format!("a batch: {error}")),
        };
        // Of a topic that nobody knows there is nothing to say but that it came.
        let facts = batch.updates.iter().filter_map(|update| self.fact(update)).collect();
        let mut notes = unknown(&difference, "a batch");
        let (heads, short) = heads(&batch);
        let stands = batch.head_watermarks.iter();
        let stands = stands.filter_map(|head| Some((TopicId::of(&head.topic)?, head.watermark)));
        let stands = stands.collect();
        let latest = batch.updates.iter().filter_map(|update| self.latest(update)).collect();
        notes.extend(odd_updates(&batch));
        if batch.updates.is_empty() {
            notes.push(("empty_batch", "a batch came without an update".into()));
        }
        let over = over(text, &batch).into();
        // Its updates are looked at by themselves.
        let beside = if difference.unknown.is_empty() { Vec::new() } else { carried(text) };
        let is_update = |it: &Spoken| topics.iter().any(|spoken| spoken.name == it.name);
        let beside = beside.into_iter().filter(|it| !is_update(it)).collect();
        // What it carries can be read all the same.
        let against = |update| self.contradiction(update);
        let contradicts = batch.updates.iter().find_map(against).or(short);
        let malformed: Option<Rc<str>> = contradicts.map(Into::into);
        let flaw = if malformed.is_some() { Flaw::Content } else { Flaw::Shape };
        let (topics, notes) = (topics.into(), notes.into());
        let (error, named) = (None, None);
        Batch {
            topics,
            beside,
            heads,
            stands,
            facts,
            latest,
            content,
            error,
            named,
            malformed,
            flaw,
            notes,
            over,
        }
    }

    /// A frame that carries no batch: an error, a kind that is reserved, or one that nobody knows.
    fn no_batch(&mut self, kind: &str, topic: &str, payload: &str, content: u64) -> Batch {
        let difference = shape::SYNC_FRAME.difference(payload).unwrap_or_default();
        if let Some(missing) = difference.missing.first() {
            return Batch::malformed(
                content,
                Vec::new(),
                format!("a sync:frame lacks `{missing}`"),
            );
        }
        let mut notes = unknown(&difference, "a sync:frame");
        if kind == KIND_UPDATE_BATCH {
            notes.push(("batch_of_auth", format!("a batch came on topic `{topic}`").into()));
        } else if kind != KIND_ERROR && !KINDS_RESERVED.contains(&kind) {
            notes.push(("unknown_kind", format!("a sync:frame of kind `{kind}`").into()));
        }
        let error = match (kind == KIND_ERROR).then(|| self.error_in(payload)).transpose() {
            Ok(error) => error,
            Err(why) => return Batch::malformed(content, Vec::new(), why),
        };
        let mut batch = Batch { error, notes: notes.into(), ..Batch::nothing(content) };
        if topic != AUTH_TOPIC {
            batch.named = Some(topic.into());
        }
        // Whose updates it carries is looked at all the same.
        batch.beside = self.topics_in(payload);
        batch
    }

    /// The topics of which a frame that is no batch carries data, as far as that can be read.
    fn topics_in(&mut self, payload: &str) -> Rc<[Spoken]> {
        let Ok(frame) = serde_json::from_str::<SyncFrameRef<'_>>(payload) else {
            return Rc::default();
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let topics = frame.decode_into(&mut scratch).map(carried).unwrap_or_default();
        self.scratch = scratch;
        topics.into()
    }

    /// The JSON of an error, from the frame that carries it.
    fn error_in(&mut self, payload: &str) -> Result<Rc<str>, String> {
        let frame: SyncFrameRef<'_> = serde_json::from_str(payload)
            .map_err(|error| format!("a sync:frame: {}", said::error(&error)))?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let error =
            frame.decode_into(&mut scratch).map(Rc::from).map_err(|error| error.to_string());
        self.scratch = scratch;
        error
    }
}

/// What of a batch's updates the contract does not say.
fn odd_updates(batch: &UpdateBatchRef<'_>) -> Vec<(&'static str, Box<str>)> {
    let whole = || batch.updates.iter().filter(|update| update.payload.is_some());
    let to_fetch = whole().find(|update| update.hydration_required).map(|update| {
        let said = format!("update {} has its payload, and must be fetched", update.watermark);
        ("hydration_of_payload", said.into())
    });
    let unhashed = whole().find(|update| update.payload_hash.is_none()).map(|update| {
        let said = format!("update {} has a payload, and no payload_hash", update.watermark);
        ("payload_without_hash", said.into())
    });
    let seqs = batch.updates.iter().map(|update| update.watermark);
    let inexact = seqs.max().filter(|seq| *seq > EXACT_MAX).map(|seq| {
        let said = format!("seq {seq} is beyond what JSON numbers of browsers hold exactly");
        ("seq_beyond_53_bits", said.into())
    });
    to_fetch.into_iter().chain(unhashed).chain(inexact).collect()
}

/// Topics that a batch's heads name beside its own; and what is not so, if a head is below what the batch carries.
fn heads(batch: &UpdateBatchRef<'_>) -> (Rc<[Box<str>]>, Option<String>) {
    let (mut others, mut short) = (Vec::new(), None);
    for head in &batch.head_watermarks {
        let own = batch.updates.iter().filter(|update| update.topic == head.topic);
        match own.map(|update| update.watermark).max() {
            None => others.push(Box::from(&*head.topic)),
            Some(carried) if carried > head.watermark => {
                let (topic, stands) = (said::word(&head.topic), head.watermark);
                short = Some(format!(
                    "a batch says that {topic} stands at {stands}, and carries seq {carried} of it"
                ));
            }
            Some(_) => {}
        }
    }
    (others.into(), short)
}

impl Batch {
    fn malformed(content: u64, topics: Vec<Spoken>, why: String) -> Self {
        Self { malformed: Some(why.into()), topics: topics.into(), ..Self::nothing(content) }
    }

    /// Nothing was said.
    fn nothing(content: u64) -> Self {
        Self { content, ..Self::default() }
    }

    /// Holds a frame's own fields against the batch that it carries.
    fn judge_frame(&mut self, frame: &SyncFrameRef<'_>, spoken: &Spoken, difference: &Difference) {
        let empty = self.malformed.is_none() && self.topics.is_empty();
        if !self.topics.iter().any(|inside| inside.name == spoken.name) {
            self.topics = self.topics.iter().cloned().chain([spoken.clone()]).collect();
        }
        let highest = self.facts.iter().map(|fact| fact.seq).max();
        let why = if let Some(missing) = difference.missing.first() {
            Some(format!("a sync:frame lacks `{missing}`"))
        } else if self.topics.len() > 1 {
            Some("a sync:frame and its batch name different topics".to_owned())
        } else if highest.map_or(empty && frame.seq != 0, |highest| highest != frame.seq) {
            Some("the seq of a sync:frame is not the highest in its batch".to_owned())
        } else if frame.schema_version.as_f64() != Some(f64::from(SCHEMA_VERSION)) {
            let version = said::word(&frame.schema_version.to_string());
            Some(format!("a sync:frame is of schema version {version}, not {SCHEMA_VERSION}"))
        } else {
            None
        };
        // What it carries can be read all the same, and a client that reads it has it.
        self.malformed = self.malformed.take().or(why.map(Into::into));
        let more = unknown(difference, "a sync:frame");
        if !more.is_empty() {
            self.notes = self.notes.iter().cloned().chain(more).collect();
        }
    }
}

/// The JSON of a batch's updates, as it stands.
#[derive(Deserialize)]
struct UpdatesOnly<'a> {
    #[serde(borrow)]
    updates: Vec<&'a RawValue>,
}

/// What of a batch is over a documented limit (contract, section 3, "Delivery").
fn over(text: &str, batch: &UpdateBatchRef<'_>) -> Vec<Over> {
    let of_batch = |limit: Limit, size: usize| {
        let seqs = || batch.updates.iter().map(|update| update.watermark);
        let topic = batch.updates.first().and_then(|update| TopicId::of(&update.topic));
        Over { limit, size: size as u64, topic, seqs: seqs().min().zip(seqs().max()) }
    };
    let mut found = vec![
        of_batch(Limit::BatchUpdates, batch.updates.len()),
        of_batch(Limit::BatchBytes, text.len()),
    ];
    // Hardly any batch is as long as one update may be.
    if text.len() as u64 > Limit::UpdateBytes.most()
        && let Ok(UpdatesOnly { updates }) = serde_json::from_str(text)
    {
        found.extend(updates.iter().zip(&batch.updates).map(|(raw, update)| Over {
            limit: Limit::UpdateBytes,
            size: raw.get().len() as u64,
            topic: TopicId::of(&update.topic),
            seqs: Some((update.watermark, update.watermark)),
        }));
    }
    found.retain(|over| over.size > over.limit.most());
    found
}

/// What a text lacks to be of a shape, in a few words.
fn lack(shape: &shape::Shape, json: &str) -> String {
    let what = if *shape == shape::SYNC_FRAME { "a sync:frame" } else { "a batch" };
    match shape.difference(json) {
        None => format!("{what} is no object"),
        Some(Difference { missing, .. }) => match missing.first() {
            Some(missing) => format!("{what} lacks `{missing}`"),
            None => format!("a field of {what} has another type"),
        },
    }
}

fn unknown(difference: &Difference, of: &str) -> Vec<(&'static str, Box<str>)> {
    let names = difference.unknown.iter();
    names.map(|name| ("unknown_field", format!("field `{name}` in {of}").into())).collect()
}
