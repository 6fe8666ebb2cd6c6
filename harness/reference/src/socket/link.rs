//! The wire under a connection: reading, writing with an eye on the clock, closing.
//!
//! A write never waits unboundedly: while the peer takes no bytes, the caller is asked now and then
//! whether to go on, and a write that makes no end in time gives the socket up.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::{SinkExt as _, StreamExt as _, poll};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite;

use super::end::End;
use crate::shared::Shared;

/// How often a write that is stuck looks at the clock.
const STUCK_TICK: Duration = Duration::from_millis(50);

/// What a connection was woken by.
pub enum Wake {
    /// A message from the peer.
    Inbound(Message),
    /// The bell, the timer, or the caller's own wish.
    Look,
}

/// What a stuck write should do, as its caller sees it: go on, or give up after a time.
pub type Stuck = ControlFlow<(Duration, End)>;

/// A WebSocket with its bell and its one timer.
pub struct Link {
    ws: WebSocket,
    bell: watch::Receiver<()>,
    timer: std::pin::Pin<Box<Sleep>>,
    shared: Arc<Shared>,
    /// A write that makes no end for this long gives the socket up.
    pub write_timeout: Duration,
    /// Last traffic in either direction.
    pub traffic_at: Instant,
}

impl Link {
    /// A link over a socket that was just upgraded.
    pub fn new(ws: WebSocket, shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        let bell = shared.store.listen();
        let write_timeout = shared.config.write_timeout;
        let timer = Box::pin(sleep_until(now));
        Self { ws, bell, timer, shared, write_timeout, traffic_at: now }
    }

    /// Marks the bell as heard: what rings from now on wakes the next [`Link::wait`]. Heads and
    /// flags must be read after this, or a ring between the two is lost.
    pub fn listen(&mut self) {
        self.bell.mark_unchanged();
    }

    /// Waits for the peer, the bell or a time, whichever comes first; does not wait at all when
    /// `more` is to be done anyway, but still lets the peer speak.
    ///
    /// # Errors
    /// When the peer is gone or broke the protocol.
    pub async fn wait(&mut self, more: bool, due: Instant) -> Result<Wake, End> {
        // Times mostly move away as traffic flows; a timer that fires early costs one look.
        if due < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            message = self.ws.next() => match message {
                Some(Ok(message)) => {
                    self.traffic_at = Instant::now();
                    Ok(Wake::Inbound(message))
                }
                Some(Err(error)) => Err(classify(error)),
                None => Err(End::Reset),
            },
            () = std::future::ready(()), if more => Ok(Wake::Look),
            _ = self.bell.changed() => Ok(Wake::Look),
            () = self.timer.as_mut() => Ok(Wake::Look),
        }
    }

    /// Writes frames and flushes once. While the peer takes no bytes, `stuck` is told for how long
    /// since it was last asked, and may answer with the time after which to give up.
    ///
    /// # Errors
    /// When the peer is gone, or the write made no end in time.
    pub async fn send(
        &mut self,
        frames: impl IntoIterator<Item = Utf8Bytes>,
        stuck: &mut (dyn FnMut(Duration) -> Stuck + Send),
    ) -> Result<(), End> {
        let ws = &mut self.ws;
        let mut frames = frames.into_iter();
        let mut writing = pin!(async move {
            for frame in frames.by_ref() {
                ws.feed(Message::Text(frame)).await?;
            }
            ws.flush().await
        });
        let sent = match poll!(writing.as_mut()) {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                let started = Instant::now();
                let mut asked = started;
                let mut deadline = started + self.write_timeout;
                let mut end = End::WriteTimeout;
                loop {
                    let tick = (Instant::now() + STUCK_TICK).min(deadline);
                    tokio::select! {
                        biased;
                        sent = writing.as_mut() => break sent,
                        () = sleep_until(tick) => {}
                    }
                    let now = Instant::now();
                    if now >= deadline {
                        return Err(end);
                    }
                    if self.shared.stopping() {
                        deadline = deadline.min(now + self.shared.config.close_timeout);
                    }
                    if let ControlFlow::Break((grace, why)) = stuck(now - asked)
                        && end == End::WriteTimeout
                    {
                        end = why;
                        deadline = deadline.min(now + grace);
                    }
                    asked = now;
                }
            }
        };
        self.traffic_at = Instant::now();
        sent.map_err(classify)
    }

    /// Ends the link: a close frame when there is one to send, and the peer's answer, both within
    /// the configured time. Whatever remains is dropped with the socket.
    pub async fn close(mut self, end: End) {
        let limit = self.shared.config.close_timeout;
        let ws = &mut self.ws;
        let closing = async {
            if let Some(code) = end.close_code() {
                let frame = CloseFrame { code, reason: Utf8Bytes::from_static("") };
                ws.send(Message::Close(Some(frame))).await?;
            }
            // Reading to the end lets the peer's bytes in flight arrive, so that the kernel does
            // not answer them with a reset that would overtake the close frame.
            while let Some(message) = ws.next().await {
                message?;
            }
            Ok::<(), axum::Error>(())
        };
        if !matches!(end, End::Reset | End::WriteTimeout | End::Evicted) {
            // Both outcomes are fine: the peer answered, or it has had its time.
            let _ = tokio::time::timeout(limit, closing).await;
        }
    }
}

fn classify(error: axum::Error) -> End {
    use tungstenite::Error as Ws;
    match error.into_inner().downcast_ref::<Ws>() {
        Some(Ws::Capacity(_)) => End::TooBig,
        Some(Ws::Utf8(_)) => End::Utf8,
        Some(Ws::Protocol(error)) => match error {
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake => End::Reset,
            _ => End::Protocol,
        },
        _ => End::Reset,
    }
}
