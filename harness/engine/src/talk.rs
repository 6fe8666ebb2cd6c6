//! Asking and waiting, over a socket that is no client's: before the run, beside it, and for what metrics do not
//! show.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use khala_evidence::record::Outcome;
use khala_wire::CHANNEL;
use khala_wire::frame::{self, Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{self, KIND_UPDATE_BATCH, ReplyRef, Status, SyncFrame, UpdateBatchRef};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::answer;
use crate::said;
use crate::transport::Socket;

/// Reference of the join, and of all that belongs to its channel.
pub const JOIN_REF: u64 = 1;

/// The answer to what was asked.
#[derive(Debug)]
pub enum Reply {
    /// Ok, with the response.
    Ok(Box<RawValue>),
    /// An error, with the response.
    Error(Box<RawValue>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// The target closed the socket.
    Closed,
    /// The target ended the channel; with the code of the last error that it pushed before, escaped and cut.
    ChannelEnded(Option<Box<str>>),
    /// Nothing came in time.
    Silent,
    /// The connection broke, for this reason; empty where it said none.
    Broken(String),
    /// What came in place of a reply, in a clause.
    Malformed(String),
}

/// What was answered, as far as only its kind matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Ok.
    Ok,
    /// An error, with its code or reason.
    Error(String),
    /// The channel or the socket came to its end.
    Ended,
    /// Nothing in time, or the connection broke.
    None,
}

impl From<Result<Reply, NoReply>> for Answer {
    fn from(reply: Result<Reply, NoReply>) -> Self {
        match reply {
            Ok(Reply::Ok(_)) => Self::Ok,
            Ok(Reply::Error(response)) => Self::Error(payload::error_code(&response)),
            Err(NoReply::Closed | NoReply::ChannelEnded(_)) => Self::Ended,
            Err(NoReply::Silent | NoReply::Broken(_) | NoReply::Malformed(_)) => Self::None,
        }
    }
}

impl Answer {
    /// It, as reports tell it.
    pub fn told(&self) -> answer::Answer {
        match self {
            Self::Ok => answer::Answer::of(Outcome::Ok, "ok"),
            Self::Error(code) if code.is_empty() => {
                answer::Answer::of(Outcome::RefusedTopic, "error")
            }
            Self::Error(code) => answer::Answer::of(Outcome::RefusedTopic, said::word(code)),
            Self::Ended => {
                answer::Answer::of(Outcome::RefusedTopic, "its socket or channel was ended")
            }
            Self::None => answer::Answer::of(Outcome::Timeout, "no answer"),
        }
    }
}

/// A socket and what was asked over it. Dropped, it is reset.
pub struct Talk {
    socket: Socket,
    timeout: Duration,
    asked: u64,
    leaves: bool,
}

impl Drop for Talk {
    fn drop(&mut self) {
        if !self.leaves {
            // Where the option fails the close is a FIN, which costs a port for a minute.
            let _ = self.socket.get_ref().abort_on_close();
        }
    }
}

impl Talk {
    /// Nothing asked yet; the first must be the join.
    pub fn new(socket: Socket, timeout: Duration) -> Self {
        Self { socket, timeout, asked: 0, leaves: false }
    }

    /// Over a socket that has joined, with [`JOIN_REF`] as both references.
    pub fn joined(socket: Socket, timeout: Duration) -> Self {
        Self { socket, timeout, asked: JOIN_REF, leaves: false }
    }

    /// Asks, and waits for the answer's kind.
    pub async fn ask<P: Serialize>(&mut self, event: &str, payload: &P) -> Answer {
        self.request(event, payload, self.timeout).await.into()
    }

    /// Asks, and waits for the answer, for so long.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn request<P: Serialize>(
        &mut self,
        event: &str,
        payload: &P,
        within: Duration,
    ) -> Result<Reply, NoReply> {
        self.asked += 1;
        let join_ref = frame::string_ref(JOIN_REF);
        let msg_ref = frame::string_ref(self.asked);
        let text = frame::encode(Vsn::V2, Some(&join_ref), Some(&msg_ref), CHANNEL, event, payload);
        let answered = async {
            let sent = self.socket.send(Message::text(text)).await;
            sent.map_err(|error| NoReply::Broken(error.to_string()))?;
            self.answer().await
        };
        tokio::time::timeout(within, answered).await.unwrap_or(Err(NoReply::Silent))
    }

    /// Leaves in good order, if the target lets it in time: a courtesy, what was answered stands without it.
    pub async fn leave(mut self, within: Duration) {
        self.leaves = true;
        let _ = tokio::time::timeout(within, self.socket.close(None)).await;
    }

    /// Reads on until an instant, whatever comes; whether the channel is there then, as far as was told.
    pub async fn listen(&mut self, until: Instant) -> bool {
        tokio::time::timeout_at(until, self.end()).await.is_err()
    }

    /// The topics of the batches that come until an instant, each once with the highest seq of its first one.
    pub async fn batches(&mut self, until: Instant) -> BTreeMap<String, u64> {
        let mut heard = BTreeMap::new();
        let listen = async {
            while let Some(Ok(message)) = self.socket.next().await {
                let Message::Text(text) = message else { continue };
                let Ok(frame) = Frame::parse(Vsn::V2, &text) else { continue };
                if frame.is_for(CHANNEL, JOIN_REF)
                    && let Some((topic, seq)) = batch(&frame)
                {
                    heard.entry(topic).or_insert(seq);
                }
            }
        };
        let _ = tokio::time::timeout_at(until, listen).await;
        heard
    }

    /// Whether a message comes until an instant that has this in it.
    pub async fn hears(&mut self, what: &str, until: Instant) -> bool {
        let heard = async {
            while let Some(Ok(message)) = self.socket.next().await {
                if matches!(message, Message::Text(text) if text.contains(what)) {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout_at(until, heard).await.unwrap_or(false)
    }

    /// Comes back when the channel or the socket has ended.
    async fn end(&mut self) {
        while let Some(Ok(message)) = self.socket.next().await {
            let text = match message {
                Message::Text(text) => text,
                Message::Close(_) => return,
                _ => continue,
            };
            let Ok(frame) = Frame::parse(Vsn::V2, &text) else { continue };
            let ends = matches!(&*frame.event, event::CLOSE | event::ERROR);
            if ends && frame.is_for(CHANNEL, JOIN_REF) {
                return;
            }
        }
    }

    /// What is not addressed to the channel, and what comes before the reply, is for the run's own clients to
    /// judge.
    async fn answer(&mut self) -> Result<Reply, NoReply> {
        let mut told = None;
        while let Some(message) = self.socket.next().await {
            let text = match message.map_err(|error| NoReply::Broken(error.to_string()))? {
                Message::Text(text) => text,
                Message::Close(_) => return Err(NoReply::Closed),
                _ => continue,
            };
            let Ok(frame) = Frame::parse(Vsn::V2, &text) else { continue };
            if !frame.is_for(CHANNEL, JOIN_REF) {
                continue;
            }
            match &*frame.event {
                event::REPLY if frame.ref_number() == Some(self.asked) => return reply(&frame),
                event::SYNC_ERROR => told = Some(said::word(&payload::error_code(frame.payload))),
                event::CLOSE | event::ERROR => return Err(NoReply::ChannelEnded(told)),
                _ => {}
            }
        }
        Err(NoReply::Broken(String::new()))
    }
}

fn reply(frame: &Frame<'_>) -> Result<Reply, NoReply> {
    let reply: ReplyRef<'_> = serde_json::from_str(frame.payload.get()).map_err(|error| {
        NoReply::Malformed(format!("its reply is not a Phoenix reply: {error}"))
    })?;
    let response = reply.response.to_owned();
    Ok(match reply.status {
        Status::Ok => Reply::Ok(response),
        Status::Error => Reply::Error(response),
    })
}

/// The topic of a batch and its highest seq, by either of its two pushes; `None` of anything else.
fn batch(frame: &Frame<'_>) -> Option<(String, u64)> {
    match &*frame.event {
        event::UPDATE_BATCH => {
            let batch: UpdateBatchRef<'_> = serde_json::from_str(frame.payload.get()).ok()?;
            let last = batch.updates.last()?;
            Some((last.topic.clone().into_owned(), last.watermark))
        }
        event::FRAME => {
            let frame: SyncFrame = serde_json::from_str(frame.payload.get()).ok()?;
            (frame.kind == KIND_UPDATE_BATCH).then_some((frame.topic, frame.seq))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::{WebSocketStream, accept_async};

    use super::*;
    use crate::handshake::Interim;
    use crate::reach::{Outgoing, Reach};
    use crate::target::extras::Extras;
    use crate::transport::{self, Dial};

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(20);
    /// A close frame without a code, masked.
    const GOODBYE: [u8; 2] = [0x88, 0x80];

    /// Both ends of a socket that counts as joined.
    async fn pair() -> (Talk, WebSocketStream<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let dial = Dial {
            reach: Reach::here(&format!("http://{address}")).expect("is here"),
            from: Outgoing::default(),
            timeout: LONG,
            user_agent: "test".to_owned(),
            extras: Extras::default(),
            backlog: None,
            interim: Interim::default(),
            message_max: 1 << 20,
        };
        let accepted = async {
            let (stream, _) = listener.accept().await.expect("accepts");
            accept_async(stream).await.expect("upgrades")
        };
        let (socket, peer) = tokio::join!(transport::dial(&dial, "/"), accepted);
        (Talk::joined(socket.expect("connects"), LONG), peer)
    }

    /// What the target's side reads to the end, and how that ends.
    async fn read(peer: &mut WebSocketStream<TcpStream>) -> (Vec<u8>, std::io::Result<usize>) {
        let mut bytes = Vec::new();
        let ended = peer.get_mut().read_to_end(&mut bytes).await;
        (bytes, ended)
    }

    #[tokio::test]
    async fn who_leaves_says_goodbye_and_whoever_is_dropped_resets() {
        let (talk, mut peer) = pair().await;
        talk.leave(LONG).await;
        let (bytes, ended) = read(&mut peer).await;
        assert_eq!(bytes[..2], GOODBYE);
        assert!(ended.is_ok(), "{ended:?}");

        let (talk, mut peer) = pair().await;
        drop(talk);
        let (bytes, ended) = read(&mut peer).await;
        assert!(bytes.is_empty(), "{bytes:?}");
        assert_eq!(ended.expect_err("is reset").kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_target_that_takes_no_goodbye_is_left_all_the_same() {
        let (mut talk, _peer) = pair().await;
        // Until the target, which reads nothing, takes nothing more.
        let full = Message::text("x".repeat(1 << 20));
        let wait = Duration::from_millis(200);
        while let Ok(Ok(())) = tokio::time::timeout(wait, talk.socket.send(full.clone())).await {}
        let left = tokio::time::timeout(LONG, talk.leave(Duration::from_millis(10))).await;
        assert!(left.is_ok(), "it is waited for without end");
    }

    fn batch_of(text: &str) -> Option<(String, u64)> {
        batch(&Frame::parse(Vsn::V2, text).expect("a frame"))
    }

    #[test]
    fn either_push_of_a_batch_says_of_which_topic_it_is() {
        let legacy = r#"["1",null,"sync:v1","sync:update_batch",{"updates":[{"topic":"t","doc_key":"d",
            "doc_version":1,"payload":null,"payload_hash":null,"watermark":7,"hydration_required":true}],
            "replay_complete":true,"head_watermarks":[]}]"#;
        let canonical = r#"["1",null,"sync:v1","sync:frame",{"topic":"t","seq":7,
            "kind":"KHALA_FRAME_KIND_UPDATE_BATCH","payload_bytes":"","schema_version":1}]"#;
        for push in [legacy, canonical] {
            assert_eq!(batch_of(push), Some(("t".to_owned(), 7)), "{push}");
        }
    }

    #[test]
    fn errors_and_heartbeats_are_no_batches() {
        let error = r#"["1",null,"sync:v1","sync:frame",{"topic":"t","seq":0,
            "kind":"KHALA_FRAME_KIND_ERROR","payload_bytes":"","schema_version":1}]"#;
        let heartbeat = r#"["1",null,"sync:v1","sync:heartbeat",{"watermarks":[]}]"#;
        for push in [error, heartbeat] {
            assert_eq!(batch_of(push), None, "{push}");
        }
    }
}
