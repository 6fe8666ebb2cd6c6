//! Asking and waiting, over a socket that is nobody's subscription.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use khala_evidence::record::Outcome;
use khala_wire::CHANNEL;
use khala_wire::frame::{self, Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{self, ReplyRef, Status};
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
