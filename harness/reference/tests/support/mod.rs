//! A small client for tests of the live server: WebSocket over tokio-tungstenite, HTTP by hand.
//!
//! It reads the wire as it is and knows nothing of the contract, so that it cannot hide a fault of
//! the server it drives.

#![expect(clippy::disallowed_methods, reason = "a test measures by the clock of its machine")]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod slow;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use khala_reference::config::DEVELOPMENT_SYNC_KEY;
use khala_reference::{Config, Handle, Server};
use khala_wire::token::{
    CLAIMS_VERSION, Claims, DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID, Key,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test calls it missing. Generous: a loaded machine is slow,
/// and a test that waits this long has failed for another reason.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server of one test.
pub struct Running {
    pub addr: SocketAddr,
    pub handle: Handle,
    pub shutdown: CancellationToken,
    pub task: tokio::task::JoinHandle<Result<(), khala_reference::RunError>>,
}

/// Starts a server on a free port.
pub async fn start(mut config: Config) -> Running {
    // A test that stops its server does not read its sockets any more, so nobody answers closes.
    config.close_timeout = config.close_timeout.min(Duration::from_millis(200));
    let any = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(any, config).await.expect("binds");
    let (addr, handle) = (server.local_addr(), server.handle());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(server.run(shutdown.clone()));
    Running { addr, handle, shutdown, task }
}

impl Running {
    /// Stops the server and insists that it stopped in order.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let ended = timeout(PATIENCE, self.task).await.expect("stops in time");
        ended.expect("does not panic").expect("stops in order");
    }
}

/// Claims that every verifier of the default configuration accepts.
pub fn claims(session: &str, scopes: &[&str]) -> Claims {
    let now = jiff::Timestamp::now().as_second();
    Claims {
        aud: DEFAULT_AUDIENCE.into(),
        exp: now + 900,
        iat: now,
        iss: DEFAULT_ISSUER.into(),
        jti: format!("jti-{session}"),
        nbf: now,
        oa_claims_version: CLAIMS_VERSION.into(),
        oa_client_build_id: None,
        oa_client_surface: None,
        oa_device_id: Some(format!("dev-{session}")),
        oa_org_id: Some("o1".into()),
        oa_protocol_version: None,
        oa_schema_version: None,
        oa_session_id: Some(session.into()),
        oa_sync_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        oa_user_id: Some("1".into()),
        sub: "user:1".into(),
    }
}

/// The key of the default configuration.
pub fn key() -> Key {
    Key::new(DEFAULT_KID, DEVELOPMENT_SYNC_KEY)
}

/// A valid token.
pub fn token(session: &str, scopes: &[&str]) -> String {
    key().sign(&claims(session, scopes)).expect("signs")
}

/// What came from a socket.
#[derive(Debug)]
pub enum Came {
    Text(String),
    Pong,
    Close(u16),
    /// The end without a close frame.
    Gone,
}

/// One WebSocket client.
pub struct Client {
    ws: WebSocketStream<TcpStream>,
    /// Headers of the 101.
    pub upgrade_headers: Vec<(String, String)>,
}

impl Client {
    /// Connects to a path with its query.
    pub async fn connect(addr: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(addr).await.expect("connects");
        Self::over(stream, addr, path).await
    }

    /// Connects over a stream that the test has prepared.
    pub async fn over(stream: TcpStream, addr: SocketAddr, path: &str) -> Self {
        let url = format!("ws://{addr}{path}");
        let upgrade = tokio_tungstenite::client_async(url, stream);
        let (ws, response) = timeout(PATIENCE, upgrade).await.expect("answers").expect("upgrades");
        let upgrade_headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect();
        Self { ws, upgrade_headers }
    }

    /// Connects with a token that opens these topics.
    pub async fn open(addr: SocketAddr, session: &str, scopes: &[&str]) -> Self {
        let token = token(session, scopes);
        Self::connect(addr, &format!("/socket/websocket?token={token}&vsn=2.0.0")).await
    }

    pub async fn send(&mut self, message: impl Into<Message>) {
        timeout(PATIENCE, self.ws.send(message.into())).await.expect("takes it").expect("sends");
    }

    /// The next thing that comes.
    pub async fn next(&mut self) -> Came {
        let next = timeout(PATIENCE, self.ws.next()).await;
        match next.expect("something comes in time") {
            Some(Ok(Message::Text(text))) => Came::Text(text.to_string()),
            Some(Ok(Message::Pong(_))) => Came::Pong,
            Some(Ok(Message::Close(frame))) => {
                Came::Close(frame.map_or(1005, |frame| frame.code.into()))
            }
            Some(Ok(other)) => panic!("a server does not send {other:?}"),
            Some(Err(Error::ConnectionClosed)) | None => Came::Gone,
            Some(Err(Error::Protocol(_) | Error::Io(_))) => Came::Gone,
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// The next frame, which must be text.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Came::Text(text) => text,
            other => panic!("expected a frame, {other:?} came"),
        }
    }

    /// The next frame of serializer V2, taken apart.
    pub async fn frame(&mut self) -> (Value, Value, String, Value) {
        let text = self.text().await;
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        let event = frame[3].as_str().expect("an event").to_owned();
        (frame[0].clone(), frame[1].clone(), event, frame[4].clone())
    }

    /// Whether nothing comes for a while. Only for what must *not* happen: it never proves more
    /// than the time it was given.
    pub async fn silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.ws.next()).await.is_err()
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} is not JSON"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// One HTTP request on a connection of its own.
pub async fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(addr).await.expect("connects");
    stream.write_all(text.as_bytes()).await.expect("sends");
    timeout(PATIENCE, read_answer(&mut stream)).await.expect("answers in time")
}

/// A command with nothing but a body.
pub async fn post(addr: SocketAddr, path: &str, body: &Value) -> Answer {
    request(addr, "POST", path, &[("x-oa-user-id", "1")], &body.to_string()).await
}

async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.expect("reads");
        bytes.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let status = lines.next().expect("a status line").split(' ').nth(1).expect("a code");
            let headers: Vec<_> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let answer = Answer {
                status: status.parse().expect("a number"),
                headers,
                body: body.to_owned(),
            };
            let length = answer.header("content-length").and_then(|n| n.parse().ok());
            if length.is_none_or(|length: usize| body.len() >= length) {
                return answer;
            }
        }
        assert!(n > 0, "the connection ended within an answer: {text}");
    }
}

/// Ends a test that goes on trying for too long.
pub fn not_for_ever(since: std::time::Instant) {
    assert!(since.elapsed() < PATIENCE, "it never became true");
}

/// Joins, and says so.
pub async fn join(client: &mut Client) {
    client.send(Message::text(r#"["1","1","sync:v1","phx_join",{}]"#)).await;
    let (_, _, event, payload) = client.frame().await;
    assert_eq!((&*event, &payload["status"]), ("phx_reply", &Value::from("ok")), "{payload}");
}

/// Sends `sync:subscribe` with a payload and ref "s"; the answer is the caller's to read.
pub async fn subscribe(client: &mut Client, payload: &Value) {
    client.send(Message::text(format!(r#"["1","s","sync:v1","sync:subscribe",{payload}]"#))).await;
}

/// A worker, created.
pub async fn create_worker(addr: SocketAddr, worker: &str) {
    let body = serde_json::json!({"worker_id": worker});
    let answer = post(addr, khala_wire::command::WORKERS_PATH, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// Publishes one event; the answer's `data`.
pub async fn publish(addr: SocketAddr, worker: &str, payload: &Value) -> Value {
    let body = serde_json::json!({"event": {"event_type": "worker.progress", "payload": payload}});
    let path = khala_wire::command::worker_events_path(worker);
    let answer = post(addr, &path, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["data"].clone()
}

/// What a client was sent, in order: updates from legacy pushes, and refs of replies.
#[derive(Debug, Default)]
pub struct Heard {
    /// Every update, as JSON.
    pub updates: Vec<Value>,
    /// Refs of the replies, with the number of updates heard before each.
    pub replies: Vec<(Value, usize)>,
}

impl Heard {
    pub fn watermarks(&self) -> Vec<u64> {
        self.updates.iter().map(|update| update["watermark"].as_u64().expect("a number")).collect()
    }

    pub fn replied(&self, msg_ref: &str) -> bool {
        self.replies.iter().any(|(known, _)| known == msg_ref)
    }

    /// Takes one frame in.
    pub fn take(&mut self, frame: (Value, Value, String, Value)) {
        let (_, msg_ref, event, payload) = frame;
        match &*event {
            "sync:update_batch" => {
                self.updates.extend(payload["updates"].as_array().expect("updates").clone());
            }
            "phx_reply" => self.replies.push((msg_ref, self.updates.len())),
            _ => {}
        }
    }

    /// Listens until something is true.
    pub async fn until(&mut self, client: &mut Client, enough: impl Fn(&Self) -> bool) {
        // Heartbeats keep coming, so that waiting for each frame alone might never end.
        let listening = async {
            while !enough(self) {
                self.take(client.frame().await);
            }
        };
        timeout(PATIENCE, listening).await.expect("it becomes true in time");
    }

    /// Listens until the answer to a heartbeat that is sent now: everything that the server had
    /// for this client before is heard by then.
    pub async fn until_now(&mut self, client: &mut Client) {
        client.send(Message::text(r#"["1","now","sync:v1","sync:heartbeat",{}]"#)).await;
        self.replies.retain(|(msg_ref, _)| msg_ref != "now");
        self.until(client, |heard| heard.replied("now")).await;
    }
}
