//! The recording's lines, with the serializer that each frame's socket speaks.

use std::collections::HashMap;

use khala_wire::Vsn;
use serde::Deserialize;

use super::note::Note;

const JSONL: &str = include_str!("../golden/khala-ws.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    case: String,
    dir: Dir,
    // Absent on notes of what happened outside any socket.
    client: Option<String>,
    #[serde(rename = "t")]
    _seconds: Option<f64>,
    note: Option<String>,
    frame: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Dir {
    Note,
    Sent,
    Received,
}

/// One line.
pub struct Line {
    /// From 1, as editors count.
    pub number: usize,
    /// What was being tried.
    pub case: String,
    /// The socket's name; `""` outside any.
    pub client: String,
    /// What the line holds.
    pub content: Content,
}

/// What a line holds.
pub enum Content {
    /// About the frames.
    Note(String),
    /// A frame from the client to the runtime.
    Sent { vsn: Vsn, text: String },
    /// A frame from the runtime to the client.
    Received { vsn: Vsn, text: String },
}

/// Reads the whole recording.
///
/// # Panics
/// When a line does not have the recorder's shape, or a frame's socket was never opened.
pub fn lines() -> Vec<Line> {
    // A client's name is used for one socket after the other; the last CONNECT counts.
    let mut vsns: HashMap<String, Vsn> = HashMap::new();
    let mut lines = Vec::new();
    for (index, text) in JSONL.lines().enumerate() {
        let number = index + 1;
        let raw: RawLine =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("line {number}: {error}"));
        let client = raw.client.unwrap_or_default();
        let content = match (raw.dir, raw.note, raw.frame) {
            (Dir::Note, Some(note), None) => {
                if let Note::Connect { url } = Note::read(&note) {
                    vsns.remove(&client);
                    if let Some(vsn) = Vsn::from_query(query(url, "vsn")) {
                        vsns.insert(client.clone(), vsn);
                    }
                }
                Content::Note(note)
            }
            (Dir::Sent, None, Some(text)) => Content::Sent { vsn: vsns[&client], text },
            (Dir::Received, None, Some(text)) => Content::Received { vsn: vsns[&client], text },
            _ => panic!("line {number} is neither a note nor a frame"),
        };
        lines.push(Line { number, case: raw.case, client, content });
    }
    lines
}

fn query<'a>(url: &'a str, key: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}
