//! Asking and waiting, over a socket that is nobody's subscription.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use khala_evidence::record::Outcome;
use khala_wire::CHANNEL;
use khala_wire::frame::{self, Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{self, KIND_UPDATE_BATCH, ReplyRef, Status, SyncFrame, UpdateBatchRef};
use serde::Serialize;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::answer;
use crate::said;
use crate::transport::Socket;

/// Reference of the join, and of all that belongs to its channel.
const JOIN_REF: u64 = 1;

/// What was answered.
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
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Where the option fails the close is a FIN, which costs a port for a minute.
        let _ = self.socket.get_ref().abort_on_close();
    }
}

impl Talk {
    /// Nothing asked yet; the first must be the join.
    pub fn new(socket: Socket, timeout: Duration) -> Self {
        Self { socket, timeout, asked: 0 }
    }

    /// Asks, and waits for the answer.
    pub async fn ask<P: Serialize>(&mut self, event: &str, payload: &P) -> Answer {
        self.asked += 1;
        let join_ref = frame::string_ref(JOIN_REF);
        let msg_ref = frame::string_ref(self.asked);
        let text = frame::encode(Vsn::V2, Some(&join_ref), Some(&msg_ref), CHANNEL, event, payload);
        let timeout = self.timeout;
        let answered = async {
            if self.socket.send(Message::text(text)).await.is_err() {
                return Answer::None;
            }
            self.answer().await
        };
        tokio::time::timeout(timeout, answered).await.unwrap_or(Answer::None)
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

    async fn answer(&mut self) -> Answer {
        while let Some(Ok(message)) = self.socket.next().await {
            let text = match message {
                Message::Text(text) => text,
                Message::Close(_) => return Answer::Ended,
                _ => continue,
            };
            let Ok(frame) = Frame::parse(Vsn::V2, &text) else { continue };
            if !frame.is_for(CHANNEL, JOIN_REF) {
                continue;
            }
            match &*frame.event {
                event::REPLY if frame.ref_number() == Some(self.asked) => {
                    let Ok(reply) = serde_json::from_str::<ReplyRef<'_>>(frame.payload.get())
                    else {
                        return Answer::None;
                    };
                    return match reply.status {
                        Status::Ok => Answer::Ok,
                        Status::Error => Answer::Error(payload::error_code(reply.response)),
                    };
                }
                event::CLOSE | event::ERROR => return Answer::Ended,
                _ => {}
            }
        }
        Answer::None
    }
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
    use super::*;

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
