//! TCP connect and WebSocket upgrade of a client, with explicit buffer sizes.
//!
//! The socket stamps each read, so that a message's time is when its bytes left the kernel, not
//! when the client got round to it.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use khala_evidence::record::{Breach, Cut, Outcome, Resource, TIMED_OUT};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::answer::{Answer, connection_status};
use crate::clock;
use crate::handshake::{self, Interim, Refusal};
use crate::reach::stream::Stream;
use crate::reach::{Link, Outgoing, Reach, ReachError, Turn, tls_mistake, tls_told};
use crate::said;
use crate::session::tap::Tap;
use crate::target::extras::Extras;
use crate::throttle::{Allowance, Pace, Throttle};

/// Read buffer of a client. tungstenite's default, 128 KiB, would be 640 MiB at 5,000 clients.
const READ_BUFFER: usize = 8 * 1024;
/// Writes gathered before a flush.
const WRITE_BUFFER: usize = 4 * 1024;
/// Largest backlog of writes; a client sends little.
const WRITE_BUFFER_MAX: usize = 256 * 1024;

/// A client's socket.
pub type Socket = WebSocketStream<Stamped>;

/// A stream that remembers when it was last read from.
#[derive(Debug)]
pub struct Stamped {
    inner: Stream,
    read_at: Cell<Option<Instant>>,
    throttle: Rc<Throttle>,
    allowance: Allowance,
    reads: u32,
    backlog: Option<Arc<Backlog>>,
    tap: Option<Tap>,
    secured: Option<(Instant, Instant)>,
}

/// Reads of a socket between two looks at what they left waiting: a look is a system call.
const BACKLOG_EVERY: u32 = 16;

/// Most bytes that waited in the kernel after a read at full speed, over all sockets.
#[derive(Debug, Default)]
pub struct Backlog(AtomicU64);

impl Backlog {
    /// The most since the last time.
    #[must_use]
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Stamped {
    fn look_at_backlog(&mut self) {
        self.reads = self.reads.wrapping_add(1);
        if let Some(backlog) = &self.backlog
            && self.reads.is_multiple_of(BACKLOG_EVERY)
        {
            backlog.0.fetch_max(self.inner.unread(), Ordering::Relaxed);
        }
    }

    /// Bytes that wait in the kernel; 0 where it does not say.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.inner.unread()
    }

    /// When bytes were last read.
    #[must_use]
    pub fn read_at(&self) -> Option<Instant> {
        self.read_at.get()
    }

    /// What stood on the wire since the upgrade.
    #[must_use]
    pub fn tap(&self) -> Option<&Tap> {
        self.tap.as_ref()
    }

    /// When TLS began and was there; `None` in clear text.
    #[must_use]
    pub fn secured(&self) -> Option<(Instant, Instant)> {
        self.secured
    }

    /// How fast it is read.
    #[must_use]
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Makes the coming close an abort: RST instead of FIN.
    ///
    /// # Errors
    /// When the socket option cannot be set.
    pub fn abort_on_close(&self) -> io::Result<()> {
        self.inner.abort_on_close()
    }
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let poll = match this.throttle.pace() {
            Pace::Full => {
                let poll = Pin::new(&mut this.inner).poll_read(cx, buf);
                if poll.is_ready() {
                    this.look_at_backlog();
                }
                poll
            }
            Pace::Paused | Pace::Dead => {
                this.throttle.park(cx);
                return Poll::Pending;
            }
            Pace::Rate(rate) => {
                this.throttle.park(cx);
                let bytes = std::task::ready!(this.allowance.poll(rate, cx));
                let mut part = buf.take(bytes);
                std::task::ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
                let read = part.filled().len();
                // `part` is the unfilled end of `buf`, so what it initialised and filled is buf's.
                let filled = part.filled().to_vec();
                buf.put_slice(&filled);
                this.allowance.spend(read, rate);
                Poll::Ready(Ok(()))
            }
        };
        if buf.filled().len() > before {
            this.read_at.set(Some(clock::system_now()));
            if let Some(tap) = &mut this.tap {
                tap.feed(&buf.filled()[before..]);
            }
        }
        poll
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.throttle.pace() == Pace::Dead {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Where and how to connect.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The way to the target.
    pub reach: Reach,
    /// From where, and with what.
    pub from: Outgoing,
    /// How long connect and upgrade may take together.
    pub timeout: Duration,
    /// `User-Agent`.
    pub user_agent: String,
    /// What the upgrade carries beside its own.
    pub extras: Extras,
    /// Where the socket shows what its reads left waiting.
    pub backlog: Option<Arc<Backlog>>,
    /// What the real client makes of an interim answer to the upgrade.
    pub interim: Interim,
    /// Longest message that the real client takes, in bytes.
    pub message_max: u64,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nothing answered in time.
    #[error("no answer from {0} within {1:?}")]
    Timeout(String, Duration),
    /// There is no connection.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The connection broke.
    #[error("the connection to {0} broke: {why}", why = tls_told(.1))]
    Connection(String, io::Error),
    /// The upgrade was answered with another status than 101.
    #[error("the upgrade was refused with {0}")]
    Refused(Refusal),
    /// The answer breaks RFC 6455, so that a browser fails the connection.
    #[error("the upgrade's answer has {0}")]
    Breached(Breach),
    /// What came was no answer to an HTTP request.
    #[error("the answer was not a WebSocket upgrade: {0}")]
    Protocol(String),
}

impl DialError {
    /// How the connect ended.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let outcome = self.outcome();
        match (self, outcome) {
            (_, Outcome::Exhausted(resource)) => Answer::of(outcome, format!("out of {resource}")),
            (Self::Reach(error), _) => Answer {
                example: Some(said::text(&error.to_string())),
                ..Answer::of(outcome, error.status())
            },
            (Self::Timeout(..), _) => Answer::of(outcome, TIMED_OUT),
            (Self::Connection(_, error), _) => Answer::of(outcome, connection_status(error)),
            (Self::Refused(refusal), _) => Answer {
                example: said::body(refusal.body.as_bytes()),
                retry_after: refusal.retry_after.as_deref().map(said::word),
                ..Answer::of(outcome, refusal.status.to_string())
            },
            (Self::Breached(breach), _) => Answer::of(outcome, format!("an upgrade with {breach}")),
            (Self::Protocol(why), _) => Answer {
                example: Some(said::text(why)),
                ..Answer::of(outcome, "no answer of HTTP")
            },
        }
    }

    /// What to look at, in a clause, where that is known.
    #[must_use]
    pub fn mend(&self) -> Option<&'static str> {
        match self {
            Self::Reach(error) => error.mend(),
            // A server of TLS 1.3 says what it thinks of a client's certificate after the handshake.
            Self::Connection(_, error) => tls_mistake(error).map(|(_, mend)| mend),
            _ => None,
        }
    }

    /// Whether the target was heard.
    #[must_use]
    pub fn was_heard(&self) -> bool {
        match self {
            Self::Timeout(..) | Self::Connection(..) => false,
            Self::Reach(error) => error.was_heard(),
            Self::Refused(_) | Self::Breached(_) | Self::Protocol(_) => true,
        }
    }

    /// How the operation counts.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Timeout(..) => Outcome::Timeout,
            Self::Connection(_, error) => {
                exhausted(error).map_or(Outcome::ConnectionFailed, Outcome::Exhausted)
            }
            Self::Reach(error) => {
                error.exhausted().map_or(Outcome::ConnectionFailed, Outcome::Exhausted)
            }
            Self::Refused(refusal) if matches!(refusal.status, 401 | 403) => Outcome::RefusedAuth,
            Self::Refused(_) | Self::Breached(_) | Self::Protocol(_) => Outcome::ProtocolError,
        }
    }
}

/// How the end of a connection shows in an error of it.
#[must_use]
pub fn cut_by(error: &io::Error) -> Cut {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Cut::Eof,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Cut::Reset,
        io::ErrorKind::TimedOut => Cut::Unsent,
        _ => Cut::Other,
    }
}

/// What of the generator's own an error says has run out.
#[must_use]
pub fn exhausted(error: &io::Error) -> Option<Resource> {
    let errno = Errno::from_io_error(error)?;
    match errno {
        Errno::MFILE | Errno::NFILE => Some(Resource::Descriptors),
        // A bind to an address without a port left, or a connect from one.
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => Some(Resource::Ports),
        Errno::NOBUFS | Errno::NOMEM => Some(Resource::Memory),
        _ => None,
    }
}

/// Connects and upgrades. `path_and_query` holds the token: it never reaches an error.
///
/// # Errors
/// As [`DialError`] says.
pub async fn dial(dial: &Dial, path_and_query: &str) -> Result<Socket, DialError> {
    let turn = dial.reach.turn().await?;
    match tokio::time::timeout(dial.timeout, upgrade(dial, turn, path_and_query)).await {
        Ok(result) => result,
        Err(_) => Err(DialError::Timeout(dial.reach.place().authority(), dial.timeout)),
    }
}

async fn upgrade(dial: &Dial, turn: Turn, path_and_query: &str) -> Result<Socket, DialError> {
    let host = dial.reach.place().authority();
    let connection = |error| DialError::Connection(host.clone(), error);
    let Link { stream, tls } = dial.reach.connect_in(turn, dial.from).await?;
    let mut stamped = Stamped {
        inner: stream,
        read_at: Cell::new(None),
        throttle: Rc::default(),
        allowance: Allowance::default(),
        reads: 0,
        backlog: dial.backlog.clone(),
        tap: None,
        secured: tls,
    };
    let request = handshake::Request {
        host: &host,
        path_and_query,
        user_agent: &dial.user_agent,
        headers: dial.extras.head(),
        builds: dial.extras.builds(),
    };
    let rest =
        handshake::upgrade(&mut stamped, &request, dial.interim).await.map_err(
            |error| match error {
                handshake::Error::Io(error) => connection(error),
                handshake::Error::Refused(refusal) => DialError::Refused(refusal),
                handshake::Error::Breached(breach) => DialError::Breached(breach),
                handshake::Error::NoHttp(why) => DialError::Protocol(why),
            },
        )?;
    let mut tap = Tap::new(dial.message_max);
    tap.feed(&rest);
    stamped.tap = Some(tap);
    let message_max = usize::try_from(dial.message_max).unwrap_or(usize::MAX);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(Some(message_max))
        .max_frame_size(Some(message_max));
    Ok(WebSocketStream::from_partially_read(stamped, rest, Role::Client, Some(config)).await)
}
