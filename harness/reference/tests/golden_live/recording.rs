//! The recording: lines by case, and what they ask a player to do.

use std::collections::BTreeMap;

use khala_wire::frame::{Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{Update, UpdateBatch};
use serde::Deserialize;
use serde_json::Value;

/// One line as it stands in the file.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    pub case: String,
    #[serde(default)]
    pub client: String,
    dir: String,
    frame: Option<String>,
    note: Option<String>,
}

/// What a line means.
#[derive(Clone, Debug)]
pub enum Step {
    /// Connect to a path with query; the token is to be filled in.
    Connect { path: String },
    /// The upgrade succeeded, with these headers among others.
    Upgraded { headers: Vec<(String, String)> },
    /// The upgrade was refused.
    Rejected { status: u16, headers: Vec<(String, String)>, body: String },
    /// The client sent text.
    Sent(String),
    /// The client sent bytes.
    SentBytes(Vec<u8>),
    /// The server sent text.
    Received(String),
    /// The socket ended: the code that the server sent, and whether the client had begun.
    Closed { code: Option<u16>, by_client: bool },
    /// A ping was answered.
    Ping,
    /// A command and its answer.
    Http { method: String, path: String, body: String, status: u16, answer: Value },
}

/// All lines.
pub fn load() -> Vec<Line> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/tests/golden/khala-ws.jsonl");
    let text = std::fs::read_to_string(path).expect("the recording is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

impl Line {
    pub fn step(&self) -> Step {
        match (&*self.dir, &self.frame, &self.note) {
            ("sent", Some(frame), _) => match frame.strip_prefix("BIN ") {
                Some(hex) => Step::SentBytes(bytes(hex)),
                None => Step::Sent(frame.clone()),
            },
            ("received", Some(frame), _) => Step::Received(frame.clone()),
            ("note", _, Some(note)) => read_note(note),
            _ => panic!("a line of no known kind: {self:?}"),
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex"))
        .collect()
}

fn read_note(note: &str) -> Step {
    let (word, rest) = note.split_once(' ').unwrap_or((note, ""));
    match word {
        "CONNECT" => {
            Step::Connect { path: rest.strip_prefix("ws://host").expect("a URL").to_owned() }
        }
        "UPGRADED" => Step::Upgraded { headers: python_dict(rest) },
        "REJECTED" => Step::Rejected {
            status: rest.split(' ').nth(1).expect("a status").parse().expect("a number"),
            headers: python_dict(rest.split(" body=").next().expect("split yields one")),
            body: between(rest, "bytearray(b'", "')").expect("a body").to_owned(),
        },
        "CLOSED" => Step::Closed {
            code: between(rest, "rcvd=Close(code=", ",")
                .map(|code| code.parse().expect("a number")),
            // The recorder prints its own close as an enumerator, an echoed one as a number.
            by_client: rest.contains("sent=Close(code=<CloseCode"),
        },
        "PING/PONG" => Step::Ping,
        "HTTP" => {
            let (request, answer) = rest.split_once(" => ").expect("an answer");
            let mut request = request.splitn(3, ' ');
            let (status, answer) = answer.split_once(' ').expect("a status and a body");
            Step::Http {
                method: request.next().expect("a method").to_owned(),
                path: request.next().expect("a path").to_owned(),
                body: request.next().unwrap_or_default().to_owned(),
                status: status.parse().expect("a number"),
                answer: serde_json::from_str(answer).expect("JSON"),
            }
        }
        _ => panic!("a note of no known kind: {note}"),
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found)
}

/// `'name': 'value'` pairs.
fn python_dict(text: &str) -> Vec<(String, String)> {
    let parts: Vec<_> = text.split('\'').collect();
    parts
        .chunks(4)
        .filter_map(|chunk| match chunk {
            [_, name, _, value, ..] => Some(((*name).to_owned(), (*value).to_owned())),
            _ => None,
        })
        .collect()
}

/// Session and scopes that a client's token had, read from the answer to its join.
pub fn identity(lines: &[Line], client: &str) -> (String, Vec<String>) {
    let joined = lines.iter().filter(|line| line.client == client).find_map(|line| {
        let frame: Value = serde_json::from_str(line.frame.as_deref()?).ok()?;
        let payload = frame.get(4).or_else(|| frame.get("payload"))?;
        let response = payload.get("response")?;
        let session = response["subscription_id"].as_str()?.strip_prefix("sub_sync_session:")?;
        let scopes = response["allowed_topics"].as_array()?;
        let scopes = scopes.iter().map(|scope| scope.as_str().expect("text").to_owned()).collect();
        Some((session.to_owned(), scopes))
    });
    let all = khala_wire::topic::KNOWN.map(|topic| topic.name.to_owned()).to_vec();
    joined.unwrap_or_else(|| (format!("sess_{client}"), all))
}

/// Every update of the recording's first world, by topic and watermark.
pub fn updates(lines: &[Line], cases: &[&str]) -> BTreeMap<(String, u64), Update> {
    let mut updates = BTreeMap::new();
    for line in lines.iter().filter(|line| cases.contains(&&*line.case)) {
        let Some(text) = line.frame.as_deref() else { continue };
        let Ok(frame) = Frame::parse(Vsn::V2, text) else { continue };
        if frame.event != event::UPDATE_BATCH {
            continue;
        }
        let batch: UpdateBatch = serde_json::from_str(frame.payload.get()).expect("a batch");
        for update in batch.updates {
            updates.insert((update.topic.clone(), update.watermark), update);
        }
    }
    updates
}
