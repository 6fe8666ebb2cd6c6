//! What a target does to a session: how it ends it, what it breaks over it, what it makes of what must be
//! refused.

use serde::{Deserialize, Serialize};

use super::{Micros, Step};

/// Why a session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfflineCause {
    /// A planned fault cut it.
    Fault {
        /// The fault's id in the schedule.
        id: u16,
        /// When the plan wanted the cut.
        intended: Micros,
    },
    /// The target closed it with a close frame.
    ClosedByTarget {
        /// The code as it stood on the wire; `None` of a close frame without one.
        code: Option<u16>,
    },
    /// It ended without a close frame: a cut cable, a killed process, a proxy's time-out.
    Broken {
        /// How that showed.
        how: Cut,
    },
    /// The target broke RFC 6455, so the client failed the connection.
    ProtocolBroken {
        /// What it broke.
        breach: Breach,
    },
    /// The client closed it, because a heartbeat had no answer by the next.
    HeartbeatTimeout,
    /// The client closed it, because its channel did not answer a heartbeat while the session answered
    /// its own: one that was sent with the channel's, and one that was sent half a heartbeat's interval
    /// or more after that had been answered.
    ChannelSilent {
        /// When the channel was asked.
        asked: Micros,
    },
    /// The client closed it, because a join or subscribe was not answered or was refused.
    GaveUp,
    /// The target closed or crashed the channel, so the client left the session.
    ChannelClosed,
}

/// How the end of a connection without a close frame showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Its end was read (FIN).
    Eof,
    /// It was reset (RST).
    Reset,
    /// What the client had to say was not taken in time.
    Unsent,
    /// Another error of the connection.
    Other,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Eof => "ended without a close frame",
            Self::Reset => "was reset",
            Self::Unsent => "took nothing more",
            Self::Other => "broke",
        })
    }
}

/// What of RFC 6455 a target broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// A frame was masked (section 5.1).
    Masked,
    /// A reserved bit was set, although no extension was negotiated (section 5.2).
    ReservedBits,
    /// An opcode that is reserved (section 5.2).
    ReservedOpcode,
    /// A continuation without a beginning, or a beginning inside a message (section 5.4).
    Fragmentation,
    /// A control frame that is fragmented or longer than 125 bytes (section 5.5).
    ControlFrame,
    /// A length in more bytes than it needs (section 5.2).
    Length,
    /// A text message that is not UTF-8 (section 8.1).
    Utf8,
    /// A close frame with a body of one byte, a reason that is not UTF-8, or a code that no endpoint may
    /// send (sections 5.5.1 and 7.4).
    CloseFrame,
    /// A message longer than the client takes.
    TooLong,
    /// The upgrade's answer names an extension that nobody offered (section 4.1).
    Extension,
    /// The upgrade's answer names a subprotocol that nobody offered (section 4.1).
    Subprotocol,
    /// The upgrade's answer has no `Sec-WebSocket-Accept`, several, or a wrong one (section 4.1).
    AcceptKey,
    /// The upgrade's answer says 101 without the headers that make it an upgrade (section 4.1).
    UpgradeHeaders,
    /// Something else that the WebSocket library refuses.
    Other,
}

impl Breach {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Masked,
        Self::ReservedBits,
        Self::ReservedOpcode,
        Self::Fragmentation,
        Self::ControlFrame,
        Self::Length,
        Self::Utf8,
        Self::CloseFrame,
        Self::TooLong,
        Self::Extension,
        Self::Subprotocol,
        Self::AcceptKey,
        Self::UpgradeHeaders,
        Self::Other,
    ];
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Masked => "a masked frame",
            Self::ReservedBits => "a reserved bit",
            Self::ReservedOpcode => "a reserved opcode",
            Self::Fragmentation => "a fragment out of place",
            Self::ControlFrame => "a control frame that is fragmented or over 125 bytes",
            Self::Length => "a length in more bytes than it needs",
            Self::Utf8 => "a text message that is not UTF-8",
            Self::CloseFrame => "a malformed close frame",
            Self::TooLong => "a message beyond the size that the client takes",
            Self::Extension => "an extension that nobody offered, in the upgrade's answer",
            Self::Subprotocol => "a subprotocol that nobody offered, in the upgrade's answer",
            Self::AcceptKey => "no accept key, several or a wrong one, in the upgrade's answer",
            Self::UpgradeHeaders => "a 101 without the headers of an upgrade",
            Self::Other => "something that the WebSocket library refuses",
        })
    }
}

/// Where the target says a word of which the contract has a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The close frame that it sends first.
    Close,
    /// The same, of a session whose revocation has been asked for.
    CloseRevoked,
    /// The HTTP status with which it refuses the connect of a bad token.
    #[serde(rename = "upgrade")]
    Connect,
    /// The error reply to a join.
    Join,
    /// The error reply to a subscribe.
    Subscribe,
    /// The error reply to an unsubscribe of topics that the client had subscribed to.
    Unsubscribe,
    /// The error reply to a heartbeat of a client that is live, the subscription's or the session's.
    Heartbeat,
    /// A `sync:error`, or an error frame.
    Error,
    /// The same, of an error for which nothing that the client or the harness did can be the reason.
    Unprovoked,
}

/// Where a topic is named, beside batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    /// The reply to a join.
    #[default]
    Joined,
    /// The reply to a subscribe.
    Subscribed,
    /// The reply to an unsubscribe.
    Unsubscribed,
    /// A heartbeat, or the reply to one.
    Heartbeat,
    /// The head watermarks of a batch.
    Heads,
    /// A frame that carries no batch.
    Frame,
    /// A document.
    Document,
}

impl Telling {
    pub(super) fn is_joined(&self) -> bool {
        *self == Self::Joined
    }
}

impl std::fmt::Display for Telling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Joined => "the reply to a join",
            Self::Subscribed => "the reply to a subscribe",
            Self::Unsubscribed => "the reply to an unsubscribe",
            Self::Heartbeat => "a heartbeat",
            Self::Heads => "the heads of a batch",
            Self::Frame => "a frame that carries no batch",
            Self::Document => "a document",
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Close => "a close frame",
            Self::CloseRevoked => "a close frame of a session that was being revoked",
            Self::Connect => "a refused upgrade",
            Self::Join => "a refused join",
            Self::Subscribe => "a refused subscribe",
            Self::Unsubscribe => "a refused unsubscribe",
            Self::Heartbeat => "a refused heartbeat",
            Self::Error => "a sync:error",
            Self::Unprovoked => "an error for which there was no reason",
        })
    }
}

/// What is wrong with a message that is not one of the contract's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// No JSON, another shape, a required field missing.
    #[default]
    Shape,
    /// It can be read, and what it says is not so.
    Content,
}

impl Flaw {
    pub(super) fn is_shape(&self) -> bool {
        *self == Self::Shape
    }
}

/// To whom a message that the real clients drop was addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressee {
    /// A channel that the client never asked to join.
    Channel,
    /// A join that this session never made.
    UnknownJoin,
    /// A join whose channel had been closed.
    ClosedJoin,
    /// The join before the one in force, longer after it than the settle bound.
    OldJoin,
}

impl std::fmt::Display for Addressee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Channel => "a channel that the client never joined",
            Self::UnknownJoin => "a join_ref that this socket never used",
            Self::ClosedJoin => "a join whose channel had been closed",
            Self::OldJoin => "a join that another had replaced",
        })
    }
}

/// How far a bad token got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum TokenAnswer {
    /// It was refused.
    Refused {
        /// At this step.
        step: Step,
    },
    /// It could subscribe.
    Accepted,
    /// It was good when it could subscribe, and the session still answered a heartbeat with ok longer than
    /// the settle bound after it was not any more.
    Lives,
    /// There was no answer: the connection broke, or the wait was over.
    None {
        /// At this step; those before it were taken.
        step: Step,
    },
}

/// What the target made of a command over a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandAnswer {
    /// It said ok.
    Obeyed,
    /// It refused: an error reply, the channel's or the session's end.
    Refused,
    /// It said nothing.
    None,
}
