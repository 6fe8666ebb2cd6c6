//! Plays recorded lines against a live server and compares, frame by frame.

use std::collections::{BTreeMap, VecDeque};

use khala_wire::frame::{Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{UpdateBatch, UpdateBatchRef};
use khala_wire::token::Key;
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::normal::{assert_same_frame, normal};
use crate::recording::{self, Line, Step};
use crate::support::{Came, Client, Running, claims, key, request};

/// What must arrive in the recording's order. Everything, unless the contract orders less.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// All frames of a client.
    Strict,
    /// Batches of one topic: "within one subscription the order on the wire is the order of seq;
    /// across topics there is none".
    PerTopic,
    /// Replies among themselves and pushes among themselves: ticks come when they come.
    RepliesApart,
}

/// Frames that a recording does not show and a replay may bring.
pub struct Unrecorded {
    pub case: &'static str,
    pub client: &'static str,
    /// The stream they belong to, see [`Player::stream`].
    pub stream: &'static str,
    #[expect(dead_code, reason = "for the reader of the table")]
    pub why: &'static str,
}

struct Playing {
    client: Client,
    vsn: Vsn,
    /// Frames that came before their turn, by stream.
    early: BTreeMap<String, VecDeque<String>>,
    /// The last legacy push, which the next frame push must hold byte for byte.
    legacy: BTreeMap<String, String>,
}

/// A player of one world.
pub struct Player<'a> {
    pub lines: &'a [Line],
    pub running: &'a Running,
    pub order: Order,
    pub unrecorded: &'a [Unrecorded],
    playing: BTreeMap<String, Playing>,
}

impl<'a> Player<'a> {
    pub fn new(
        lines: &'a [Line],
        running: &'a Running,
        order: Order,
        unrecorded: &'a [Unrecorded],
    ) -> Self {
        Self { lines, running, order, unrecorded, playing: BTreeMap::new() }
    }

    /// The stream of a frame: what is in order among itself.
    fn stream(&self, vsn: Vsn, text: &str) -> String {
        let frame = Frame::parse(vsn, text).expect("a server's frame has its shape");
        match self.order {
            Order::Strict => String::new(),
            Order::RepliesApart => {
                if frame.event == event::REPLY { "replies" } else { "pushes" }.to_owned()
            }
            Order::PerTopic if matches!(&*frame.event, event::UPDATE_BATCH | event::FRAME) => {
                let payload: Value = serde_json::from_str(frame.payload.get()).expect("JSON");
                let topic = payload.get("topic").or_else(|| payload.pointer("/updates/0/topic"));
                topic.and_then(Value::as_str).expect("a topic").to_owned()
            }
            Order::PerTopic => "control".to_owned(),
        }
    }

    /// Plays one line. `rejected` is the refusal that a connect is to meet.
    pub async fn play(&mut self, line: &Line, rejected: Option<&Step>) {
        let at = format!("case {}, client {}: {:.200?}", line.case, line.client, line.step());
        match line.step() {
            Step::Connect { path } => match rejected {
                Some(step) => self.refused(line, &path, step, &at).await,
                None => self.connect(line, &path).await,
            },
            Step::Upgraded { headers } => {
                let playing = self.playing.get(&line.client).expect("connected");
                assert_headers(&headers, &playing.client.upgrade_headers, &at);
            }
            Step::Rejected { .. } => {} // compared with its connect
            Step::Sent(text) => self.client(line).send(Message::text(text)).await,
            Step::SentBytes(bytes) => {
                self.client(line).send(Message::binary(Bytes::from(bytes))).await;
            }
            Step::Received(expected) => self.receive(line, &expected, &at).await,
            Step::Closed { code, by_client } => self.closed(line, code, by_client, &at).await,
            Step::Ping => {
                self.client(line).send(Message::Ping(Bytes::from_static(b"?"))).await;
                assert!(matches!(self.client(line).next().await, Came::Pong), "{at}");
            }
            Step::Http { method, path, body, status, answer } => {
                let headers = [("x-oa-user-id", "1")];
                let found = request(self.running.addr, &method, &path, &headers, &body).await;
                assert_eq!(found.status, status, "{at}: {}", found.body);
                assert_eq!(normal(found.json()).0, normal(answer).0, "{at}");
            }
        }
    }

    fn client(&mut self, line: &Line) -> &mut Client {
        &mut self.playing.get_mut(&line.client).expect("connected").client
    }

    async fn connect(&mut self, line: &Line, path: &str) {
        let vsn = if path.contains("vsn=2.0.0") { Vsn::V2 } else { Vsn::V1 };
        let path = path.replace("<jwt>", &self.token(&line.client));
        let client = Client::connect(self.running.addr, &path).await;
        let playing = Playing { client, vsn, early: BTreeMap::new(), legacy: BTreeMap::new() };
        self.playing.insert(line.client.clone(), playing);
    }

    async fn refused(&self, line: &Line, path: &str, step: &Step, at: &str) {
        let Step::Rejected { status, headers, body } = step else { panic!("{at}: not a refusal") };
        let path = path.replace("<jwt>", &self.token(&line.client));
        let upgrade = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let found = request(self.running.addr, "GET", &path, &upgrade, "").await;
        assert_eq!((found.status, &found.body), (*status, body), "{at}");
        assert_headers(headers, &found.headers, at);
    }

    /// The token that the recorder gave a client, by what its name says.
    fn token(&self, client: &str) -> String {
        let (session, scopes) = recording::identity(self.lines, client);
        let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
        let mut claims = claims(&session, &scopes);
        let now = claims.iat;
        match client {
            "garbage" => return "garbage".to_owned(),
            "bad-sig" => {
                return Key::new(key().kid(), "another key").sign(&claims).expect("signs");
            }
            "bad-kid" => {
                return Key::new("sync-auth-v0", "another key").sign(&claims).expect("signs");
            }
            "expired" => claims.exp = now - 1,
            "wrong-aud" => claims.aud = "elsewhere".into(),
            "no-sess" => claims.oa_session_id = None,
            "empty-scope" => claims.oa_sync_scopes.clear(),
            "future" => claims.nbf = now + 3_600,
            _ => {}
        }
        key().sign(&claims).expect("signs")
    }

    async fn receive(&mut self, line: &Line, expected: &str, at: &str) {
        let found = self.next_of_stream(line, expected, at).await;
        assert_same_frame(expected, &found, at);
        self.assert_frame_holds_batch(line, &found, at);
    }

    /// The next frame of the expected one's stream; others wait for their turn.
    async fn next_of_stream(&mut self, line: &Line, expected: &str, at: &str) -> String {
        let vsn = self.playing[&line.client].vsn;
        let stream = self.stream(vsn, expected);
        loop {
            let playing = self.playing.get_mut(&line.client).expect("connected");
            if let Some(text) = playing.early.get_mut(&stream).and_then(VecDeque::pop_front) {
                return text;
            }
            let text = match playing.client.next().await {
                Came::Text(text) => text,
                other => panic!("{at}: {other:?} came"),
            };
            let stream = self.stream(vsn, &text);
            let playing = self.playing.get_mut(&line.client).expect("connected");
            playing.early.entry(stream).or_default().push_back(text);
        }
    }

    /// Both pushes of a batch: the second holds the first, byte for byte.
    fn assert_frame_holds_batch(&mut self, line: &Line, text: &str, at: &str) {
        let playing = self.playing.get_mut(&line.client).expect("connected");
        let frame = Frame::parse(playing.vsn, text).expect("a frame");
        if frame.event == event::UPDATE_BATCH {
            let batch: UpdateBatchRef<'_> =
                serde_json::from_str(frame.payload.get()).expect("a batch");
            let topic = batch.updates[0].topic.to_string();
            playing.legacy.insert(topic, frame.payload.get().to_owned());
        } else if frame.event == event::FRAME {
            let payload: khala_wire::payload::SyncFrameRef<'_> =
                serde_json::from_str(frame.payload.get()).expect("a frame");
            if let Some(legacy) = playing.legacy.remove(&*payload.topic) {
                let mut buffer = Vec::new();
                assert_eq!(payload.decode_into(&mut buffer).expect("text"), legacy, "{at}");
            }
        }
    }

    async fn closed(&mut self, line: &Line, code: Option<u16>, by_client: bool, at: &str) {
        let mut playing = self.playing.remove(&line.client).expect("connected");
        if by_client {
            use tokio_tungstenite::tungstenite::protocol::CloseFrame;
            let frame = CloseFrame { code: 1000.into(), reason: "".into() };
            playing.client.send(Message::Close(Some(frame))).await;
        }
        let found = loop {
            match playing.client.next().await {
                Came::Text(text) => {
                    let stream = self.stream(playing.vsn, &text);
                    playing.early.entry(stream).or_default().push_back(text);
                }
                Came::Close(code) => break Some(code),
                Came::Gone => break None,
                Came::Pong => {}
            }
        };
        assert_eq!(found, code, "{at}");
        for (stream, frames) in &playing.early {
            let allowed = self.unrecorded.iter().any(|entry| {
                (entry.case, entry.client, entry.stream) == (&*line.case, &*line.client, &**stream)
            });
            assert!(frames.is_empty() || allowed, "{at}: unexpected {frames:?}");
        }
    }

    /// Reads a client's batches up to a watermark: live pushes that the recorder left out.
    pub async fn skip_to(&mut self, client: &str, topic: &str, watermark: u64) {
        let playing = self.playing.get_mut(client).expect("connected");
        loop {
            let text = playing.client.text().await;
            let frame = Frame::parse(playing.vsn, &text).expect("a frame");
            if frame.event == event::FRAME {
                let payload: khala_wire::payload::SyncFrameRef<'_> =
                    serde_json::from_str(frame.payload.get()).expect("a frame");
                assert_eq!(payload.topic, topic);
                if payload.seq == watermark {
                    return;
                }
                continue;
            }
            assert_eq!(frame.event, event::UPDATE_BATCH);
            let _: UpdateBatch = serde_json::from_str(frame.payload.get()).expect("a batch");
        }
    }

    /// Waits until a client was sent both pushes of a batch of a topic, and keeps them for later.
    pub async fn await_early(&mut self, client: &str, topic: &str) {
        loop {
            let playing = self.playing.get_mut(client).expect("connected");
            if playing.early.get(topic).is_some_and(|frames| frames.len() >= 2) {
                return;
            }
            let (text, vsn) = (playing.client.text().await, playing.vsn);
            let stream = self.stream(vsn, &text);
            let playing = self.playing.get_mut(client).expect("connected");
            playing.early.entry(stream).or_default().push_back(text);
        }
    }
}

/// All recorded headers are there; others may be as well.
fn assert_headers(expected: &[(String, String)], found: &[(String, String)], at: &str) {
    for (name, value) in expected {
        let matches = |(known, text): &&(String, String)| {
            known.eq_ignore_ascii_case(name) && text.eq_ignore_ascii_case(value)
        };
        assert!(found.iter().find(matches).is_some(), "{at}: {name}: {value} not in {found:?}");
    }
}
