//! What carries a client machine's messages: one session is what a client has from a connect that was
//! taken to its end.
//!
//! The driver speaks of sessions and of nothing below them: how a token is shown, which status says that
//! a connect was taken and how a goodbye looks is the lane's. [`web_socket`] carries sessions over a real
//! socket; `memory` over a pair of queues, so that the driver can be tested under a paused clock.
//! Another lane is another implementation: `harness/LANES.md` has two of them on paper.

#[cfg(test)]
pub mod memory;
pub mod tap;
pub mod web_socket;

use std::future::Future;
use std::time::Instant;

use khala_evidence::record::{Breach, Cut};
use khala_wire::topic::TopicId;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::client::dialect::Dialect;
use crate::throttle::Pace;
use crate::transport::DialError;

/// How a client says goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// In good order, in the lane's own way.
    InOrder,
    /// With a close code that a fault wants, on a lane that has such codes; else in good order.
    Code(u16),
}

/// What came over a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// A text message.
    Text {
        /// It.
        text: Utf8Bytes,
        /// When its last bytes were read.
        read_at: Instant,
    },
    /// A binary message of so many bytes.
    Binary(usize),
    /// The target closed the session.
    Closed(Close),
    /// The target broke the protocol below the messages: the session is failed.
    Breached(Breach),
    /// The session ended without a word.
    Cut(Cut),
}

/// A close frame as it stood on the wire, whatever a library makes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// Its code, if it had one.
    pub code: Option<u16>,
    /// Its reason; what is not UTF-8 is replaced.
    pub reason: String,
}

/// One connection of a client.
pub trait Session: 'static {
    /// What comes next; may be dropped and asked again. After [`Inbound::Closed`], [`Inbound::Breached`]
    /// or [`Inbound::Cut`] nothing comes.
    fn next(&mut self) -> impl Future<Output = Inbound>;

    /// Sends a text message; waits until it is taken.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), Cut>>;

    /// What has come and has not been read.
    fn unread(&self) -> u64;

    /// When what keeps it secret began and was there; `None` of one in clear text.
    fn secured(&self) -> Option<(Instant, Instant)> {
        None
    }

    /// How fast it is read.
    fn pace(&self) -> Pace;

    /// Changes how fast it is read.
    fn set_pace(&self, pace: Pace);

    /// Says goodbye and hears the other side out. Not bounded: the caller bounds it.
    fn close(self, goodbye: Goodbye) -> impl Future<Output = ()>;

    /// Ends it so that the target's side sees a reset.
    fn reset(self);
}

/// Makes sessions: where to connect and how.
pub trait Connector: 'static {
    /// What it makes.
    type Session: Session;

    /// What is spoken over it.
    type Dialect: Dialect;

    /// HTTP status of a connect that is taken.
    const TAKEN: u16;

    /// Connects, and shows the token, which never reaches an error. `cursors`: where the client will resume on
    /// its topics, for lanes that say so already here.
    ///
    /// # Errors
    /// As [`DialError`] says.
    fn connect(
        &self,
        token: &str,
        cursors: &[(TopicId, Option<u64>)],
    ) -> impl Future<Output = Result<Self::Session, DialError>>;
}
