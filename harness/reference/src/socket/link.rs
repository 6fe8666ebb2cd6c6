//! The wire under a connection: reading, writing with an eye on the clock, closing.
//!
//! A write never waits unboundedly: while the peer takes no bytes, the caller is asked now and then
//! whether to go on, and a write that makes no end in time gives the socket up.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::{SinkExt as _, StreamExt as _, poll};
use khala_wire::topic::TopicId;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite;

use super::end::End;
use super::hoard::Hoard;
use super::registry::Open;
use crate::clock;
use crate::defect::Kind;
use crate::shared::Shared;

/// How often a write that is stuck looks at the clock.
const STUCK_TICK: Duration = Duration::from_millis(50);

/// Defect `wrong_close_code`: policy violation, which the contract never says.
const WRONG_CODE: u16 = 1008;

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
    open: Arc<Open>,
    /// Defect `unbounded_queue`.
    hoard: Option<Hoard>,
}

impl Link {
    /// A link over a socket that was just upgraded.
    pub fn new(ws: WebSocket, shared: Arc<Shared>, open: Arc<Open>) -> Self {
        let now = clock::now();
        let bell = shared.store.listen();
        let write_timeout = shared.config.write_timeout;
        let timer = Box::pin(sleep_until(now));
        let hoards = shared.defects.chose(Kind::UnboundedQueue, open.number);
        let hoard = hoards.then(|| Hoard::new(Arc::clone(&open)));
        Self { ws, bell, timer, shared, write_timeout, traffic_at: now, open, hoard }
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
        let Self { ws, hoard, bell, timer, traffic_at, .. } = self;
        let next = poll_fn(|context| {
            if let Some(hoard) = hoard.as_mut()
                && let Poll::Ready(error) = hoard.poll_give(ws, context)
            {
                return Poll::Ready(Some(Err(error)));
            }
            ws.poll_next_unpin(context)
        });
        tokio::select! {
            biased;
            message = next => match message {
                Some(Ok(message)) => {
                    *traffic_at = clock::now();
                    Ok(Wake::Inbound(message))
                }
                Some(Err(error)) => Err(classify(error)),
                None => Err(End::Reset),
            },
            () = std::future::ready(()), if more => Ok(Wake::Look),
            _ = bell.changed() => Ok(Wake::Look),
            () = timer.as_mut() => Ok(Wake::Look),
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
        let mut frames = frames.into_iter();
        if let Some(hoard) = &mut self.hoard {
            hoard.keep(frames);
            self.traffic_at = clock::now();
            return Ok(());
        }
        let ws = &mut self.ws;
        let mut writing = pin!(async move {
            for frame in frames.by_ref() {
                ws.feed(Message::Text(frame)).await?;
            }
            ws.flush().await
        });
        let sent = match poll!(writing.as_mut()) {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                let started = clock::now();
                let mut asked = started;
                let mut deadline = started + self.write_timeout;
                let mut end = End::WriteTimeout;
                loop {
                    let tick = (clock::now() + STUCK_TICK).min(deadline);
                    tokio::select! {
                        biased;
                        sent = writing.as_mut() => break sent,
                        () = sleep_until(tick) => {}
                    }
                    let now = clock::now();
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
        self.traffic_at = clock::now();
        sent.map_err(classify)
    }

    /// Notes how far a topic has been sent.
    pub fn set_sent(&mut self, topic: TopicId, sent: u64) {
        match &mut self.hoard {
            None => self.open.set_sent(topic, Some(sent)),
            Some(hoard) => {
                let limit = self.shared.config.slow_consumer.queue_limit;
                if hoard.keep_position(topic, sent, limit) {
                    self.shared.defects.note(Kind::UnboundedQueue);
                }
            }
        }
    }

    /// Ends the link: a close frame when there is one to send, and the peer's answer, both within
    /// the configured time. Whatever remains is dropped with the socket.
    pub async fn close(mut self, end: End) {
        let limit = self.shared.config.close_timeout;
        let ws = &mut self.ws;
        let closing = async {
            if let Some(right) = end.close_code() {
                let code = close_code(right, &self.shared);
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

/// The code to close with: the right one, or what the defect `wrong_close_code` says instead.
fn close_code(right: u16, shared: &Shared) -> u16 {
    if !shared.defects.acts_every(Kind::WrongCloseCode) {
        return right;
    }
    shared.defects.note(Kind::WrongCloseCode);
    WRONG_CODE
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
