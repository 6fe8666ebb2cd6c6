//! Sessions over a real WebSocket.

use std::sync::Arc;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use khala_evidence::record::{Breach, Cut};
use khala_wire::topic::TopicId;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Close, Connector, Goodbye, Inbound, Session};
use crate::client::dialect::phoenix::Phoenix;
use crate::clock;
use crate::target::Target;
use crate::throttle::Pace;
use crate::transport::{self, Dial, DialError, Socket, cut_by};

/// Close code of a client that leaves in good order (RFC 6455, section 7.4.1).
const CLOSE_NORMAL: u16 = 1000;

/// The contract's WebSocket lane: makes sessions over sockets.
#[derive(Clone, Debug)]
pub struct Lane {
    /// How to connect.
    pub dial: Dial,
    /// Where.
    pub target: Arc<Target>,
}

/// A session over a socket.
#[derive(Debug)]
pub struct WebSocket {
    socket: Socket,
    /// Messages that the library has handed out.
    taken: u64,
}

impl Connector for Lane {
    type Session = WebSocket;
    type Dialect = Phoenix;

    /// Switching Protocols.
    const TAKEN: u16 = 101;

    /// The cursors come with the subscribe.
    async fn connect(
        &self,
        token: &str,
        _cursors: &[(TopicId, Option<u64>)],
    ) -> Result<WebSocket, DialError> {
        let path_and_query = self.target.socket_query(token);
        transport::dial(&self.dial, &path_and_query).await.map(WebSocket::new)
    }
}

impl WebSocket {
    fn new(socket: Socket) -> Self {
        Self { socket, taken: 0 }
    }

    /// A message was handed out: the breach before it, if there is one. The library forgives a length in more
    /// bytes than it needs; browsers fail the connection over it, and take nothing that comes behind.
    fn forgiven(&mut self) -> Option<Breach> {
        self.taken += 1;
        let tap = self.socket.get_ref().tap()?;
        tap.breach().filter(|_| self.taken > tap.whole())
    }

    /// What the end of the socket was, by what stood on the wire rather than by the library's words.
    fn ended(&self, error: Option<Error>) -> Inbound {
        if let Some(breach) = self.socket.get_ref().tap().and_then(|tap| tap.breach()) {
            return Inbound::Breached(breach);
        }
        match error {
            None
            | Some(
                Error::ConnectionClosed
                | Error::AlreadyClosed
                | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
            ) => Inbound::Cut(Cut::Eof),
            Some(Error::Io(error)) => Inbound::Cut(cut_by(&error)),
            Some(Error::Utf8(_)) => Inbound::Breached(Breach::Utf8),
            Some(Error::Capacity(_)) => Inbound::Breached(Breach::TooLong),
            Some(_) => Inbound::Breached(Breach::Other),
        }
    }
}

impl Session for WebSocket {
    async fn next(&mut self) -> Inbound {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    if let Some(breach) = self.forgiven() {
                        return Inbound::Breached(breach);
                    }
                    let read_at = self.socket.get_ref().read_at().unwrap_or_else(clock::system_now);
                    return Inbound::Text { text, read_at };
                }
                Some(Ok(Message::Binary(bytes))) => {
                    let breach = self.forgiven();
                    return breach.map_or(Inbound::Binary(bytes.len()), Inbound::Breached);
                }
                Some(Ok(Message::Close(frame))) => {
                    let tap = self.socket.get_ref().tap();
                    if let Some(breach) = tap.and_then(|tap| tap.breach()) {
                        return Inbound::Breached(breach);
                    }
                    let seen = tap.and_then(|tap| tap.close()).cloned();
                    return Inbound::Closed(seen.unwrap_or_else(|| of_library(frame)));
                }
                // The library answers pings, and a pong that nobody asked for means nothing.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return self.ended(Some(error)),
                None => return self.ended(None),
            }
        }
    }

    async fn send(&mut self, text: String) -> Result<(), Cut> {
        self.socket.send(Message::text(text)).await.map_err(|error| match error {
            Error::Io(error) => cut_by(&error),
            _ => Cut::Eof,
        })
    }

    fn unread(&self) -> u64 {
        self.socket.get_ref().unread()
    }

    fn secured(&self) -> Option<(Instant, Instant)> {
        self.socket.get_ref().secured()
    }

    fn pace(&self) -> Pace {
        self.socket.get_ref().throttle().pace()
    }

    fn set_pace(&self, pace: Pace) {
        self.socket.get_ref().throttle().set(pace);
    }

    async fn close(mut self, goodbye: Goodbye) {
        let code = match goodbye {
            Goodbye::InOrder => CLOSE_NORMAL,
            Goodbye::Code(code) => code,
        };
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        if self.socket.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = self.socket.next().await {}
        }
    }

    fn reset(self) {
        // Where the option fails the close is a FIN, and the target's side will show it.
        let _ = self.socket.get_ref().abort_on_close();
    }
}

/// The tap has seen every close frame that the library has; this is for a socket without one.
fn of_library(frame: Option<CloseFrame>) -> Close {
    frame.map_or_else(Close::default, |frame| Close {
        code: Some(frame.code.into()),
        reason: frame.reason.to_string(),
    })
}
