//! What a batch delivers, taken out of either of its two pushes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use khala_wire::lenient::or_default;
use khala_wire::message::event;
use khala_wire::payload::KIND_UPDATE_BATCH;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::peer::Msg;

/// One update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// The topic.
    pub topic: String,
    /// Its seq.
    pub seq: u64,
    /// `doc_key`
    pub key: String,
    /// `doc_version`
    pub version: u64,
    /// `payload`
    pub payload: Value,
    /// `payload` as it came.
    pub raw: String,
    /// `payload_hash`
    pub hash: Option<String>,
    /// `hydration_required`: the payload is to be had elsewhere.
    pub by_pointer: bool,
}

impl Delivered {
    /// The worker and its seq, of an event of a worker.
    #[must_use]
    pub fn event(&self) -> Option<(&str, u64)> {
        let rest = self.key.strip_prefix("runtime/codex_worker_event:")?;
        let (worker, seq) = rest.rsplit_once(':')?;
        Some((worker, seq.parse().ok()?))
    }
}

/// The JSON inside a `sync:frame`, and its kind.
#[must_use]
pub fn inside(msg: &Msg) -> Option<(String, String)> {
    let kind = msg.payload.get("kind")?.as_str()?.to_owned();
    let bytes = STANDARD.decode(msg.payload.get("payload_bytes")?.as_str()?).ok()?;
    Some((kind, String::from_utf8(bytes).ok()?))
}

/// What a `sync:frame` delivers; nothing of another message.
#[must_use]
pub fn of_frame(msg: &Msg) -> Vec<Delivered> {
    if msg.event != event::FRAME {
        return Vec::new();
    }
    match inside(msg) {
        Some((kind, text)) if kind == KIND_UPDATE_BATCH => of_text(&text),
        _ => Vec::new(),
    }
}

/// What the JSON of a batch delivers; updates without topic or seq are left out.
#[must_use]
pub fn of_text(text: &str) -> Vec<Delivered> {
    #[derive(serde::Deserialize)]
    struct Batch {
        updates: Vec<Box<RawValue>>,
    }
    #[derive(serde::Deserialize)]
    struct Update {
        topic: String,
        watermark: u64,
        #[serde(default)]
        doc_key: String,
        #[serde(default)]
        doc_version: u64,
        payload: Option<Box<RawValue>>,
        #[serde(default)]
        payload_hash: Option<String>,
        #[serde(default, deserialize_with = "or_default")]
        hydration_required: bool,
    }
    let Ok(batch) = serde_json::from_str::<Batch>(text) else { return Vec::new() };
    let read = |raw: &RawValue| {
        let update: Update = serde_json::from_str(raw.get()).ok()?;
        let raw = update.payload.map_or_else(|| "null".to_owned(), |raw| raw.get().to_owned());
        Some(Delivered {
            topic: update.topic,
            seq: update.watermark,
            key: update.doc_key,
            version: update.doc_version,
            payload: serde_json::from_str(&raw).unwrap_or(Value::Null),
            raw,
            hash: update.payload_hash,
            by_pointer: update.hydration_required,
        })
    };
    batch.updates.iter().filter_map(|raw| read(raw)).collect()
}

/// Seqs in as few words as they take: `3-7, 9`.
#[must_use]
pub fn ranges(seqs: &[u64]) -> String {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for &seq in seqs {
        match out.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => out.push((seq, seq)),
        }
    }
    let shown = out.iter().take(6).map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if out.len() > 6 {
        text.push_str(", …");
    }
    text
}

/// Numbers of our own events, as the subject of a sentence: numbers, and not counts.
#[must_use]
pub fn ours(numbers: &[u64]) -> String {
    format!("Of our events, no. {}", ranges(numbers))
}

/// First, second, third, and so on.
#[must_use]
pub fn ordinal(nth: u64) -> String {
    let end = match (nth % 10, nth % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{nth}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_events_do_not_read_as_counts() {
        assert_eq!(ours(&[5]), "Of our events, no. 5");
        assert_eq!(ours(&[1, 2, 3, 7]), "Of our events, no. 1-3, 7");
        let ordinals = [1, 2, 3, 4, 11, 12, 13, 21].map(ordinal);
        assert_eq!(ordinals, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st"]);
    }

    #[test]
    fn seqs_are_told_in_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3, 7, 9-10");
        assert_eq!(ranges(&[]), "");
        let many: Vec<u64> = (0..20).map(|n| 2 * n).collect();
        assert!(ranges(&many).ends_with("10, …"), "{}", ranges(&many));
    }

    #[test]
    fn an_event_is_of_a_worker_and_a_document_is_not() {
        let text = r#"{"updates":[
            {"topic":"t","watermark":4,"doc_key":"runtime/codex_worker_event:a:b:7","payload":{"b":1,"a":2}},
            {"topic":"t","watermark":5,"doc_key":"runtime/codex_worker_summary:a","payload":null},
            {"topic":"t"}]}"#;
        let delivered = of_text(text);
        assert_eq!(delivered.len(), 2);
        assert_eq!(delivered[0].event(), Some(("a:b", 7)));
        assert_eq!(delivered[0].raw, r#"{"b":1,"a":2}"#);
        assert_eq!(delivered[1].event(), None);
    }
}
