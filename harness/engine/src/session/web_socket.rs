//! Sessions over a real WebSocket.

use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use khala_evidence::record::{Breach, Cut};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Close, Connector, Inbound, Session};
use crate::throttle::Pace;
use crate::transport::{self, Dial, DialError, Socket, cut_by};

/// A session over a socket.
#[derive(Debug)]
pub struct WebSocket(Socket);

impl Connector for Dial {
    type Session = WebSocket;

    async fn connect(&self, path_and_query: &str) -> Result<WebSocket, DialError> {
        transport::dial(self, path_and_query).await.map(WebSocket)
    }
}

impl WebSocket {
    /// The first breach that stood on the wire.
    fn breach(&self) -> Option<Breach> {
        self.0.get_ref().tap().and_then(|tap| tap.breach())
    }

    /// What the end of the socket was, by what stood on the wire rather than by the library's words.
    fn ended(&self, error: Option<Error>) -> Inbound {
        if let Some(breach) = self.breach() {
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
            let came = self.0.next().await;
            // Also one that the library puts up with: others do not.
            if let (Some(Ok(_)), Some(breach)) = (&came, self.breach()) {
                return Inbound::Breached(breach);
            }
            match came {
                Some(Ok(Message::Text(text))) => {
                    let read_at = self.0.get_ref().read_at().unwrap_or_else(Instant::now);
                    return Inbound::Text { text, read_at };
                }
                Some(Ok(Message::Binary(bytes))) => return Inbound::Binary(bytes.len()),
                Some(Ok(Message::Close(frame))) => {
                    let tap = self.0.get_ref().tap();
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
        self.0.send(Message::text(text)).await.map_err(|error| match error {
            Error::Io(error) => cut_by(&error),
            _ => Cut::Eof,
        })
    }

    fn unread(&self) -> u64 {
        self.0.get_ref().unread()
    }

    fn pace(&self) -> Pace {
        self.0.get_ref().throttle().pace()
    }

    fn set_pace(&self, pace: Pace) {
        self.0.get_ref().throttle().set(pace);
    }

    async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        if self.0.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = self.0.next().await {}
        }
    }

    fn reset(self) {
        // Where the option fails the close is a FIN, and the target's side will show it.
        let _ = self.0.get_ref().abort_on_close();
    }
}

/// The tap has seen every close frame that the library has; this is for a socket without one.
fn of_library(frame: Option<CloseFrame>) -> Close {
    frame.map_or_else(Close::default, |frame| Close {
        code: Some(frame.code.into()),
        reason: frame.reason.to_string(),
    })
}
