//! Why a WebSocket ended, which close the peer is told, and the name operators see.

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed properly.
    Peer,
    /// The peer is gone without a close.
    Reset,
    /// Bad JSON, a wrong shape or a binary frame.
    BadInput,
    /// The peer broke the WebSocket protocol.
    Protocol,
    /// Text that is not UTF-8.
    Utf8,
    /// A message over the limit.
    TooBig,
    /// No traffic in either direction for too long.
    Idle,
    /// The session or device was revoked.
    Revoked,
    /// The token has expired.
    Expired,
    /// The server stops; joined sockets are told to come back.
    Stopping {
        /// Whether a channel was joined.
        joined: bool,
    },
    /// A write made no end in time.
    WriteTimeout,
    /// Evicted as a slow consumer, and it did not even take the notice.
    Evicted,
}

impl End {
    /// Code of the close frame that the server starts; `None` when there is nobody to tell.
    pub fn close_code(self) -> Option<u16> {
        match self {
            Self::Peer | Self::Reset | Self::WriteTimeout | Self::Evicted => None,
            Self::BadInput | Self::Revoked | Self::Expired => Some(1011),
            Self::Protocol | Self::Idle => Some(1002),
            Self::Utf8 => Some(1007),
            Self::TooBig => Some(1009),
            Self::Stopping { joined: true } => Some(1012),
            Self::Stopping { joined: false } => Some(1000),
        }
    }

    /// Its name among the disconnect causes.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Peer => "client_close",
            Self::Reset => "connection_lost",
            Self::BadInput => "bad_frame",
            Self::Protocol => "protocol_error",
            Self::Utf8 => "invalid_utf8",
            Self::TooBig => "message_too_big",
            Self::Idle => "socket_idle_timeout",
            Self::Revoked => "session_revoked",
            Self::Expired => "token_expired",
            Self::Stopping { .. } => "server_stopping",
            Self::WriteTimeout => "write_timeout",
            Self::Evicted => "slow_consumer_evicted",
        }
    }
}
