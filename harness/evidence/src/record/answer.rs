//! What is asked of the target, and how that ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Micros;

/// What the harness asks of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A client's token.
    Mint,
    /// A client's connect; over WebSocket, the upgrade included.
    #[serde(rename = "upgrade")]
    Connect,
    /// A client's join; over WebSocket, `phx_join`.
    Join,
    /// A client's subscribe; over WebSocket, `sync:subscribe`.
    Subscribe,
    /// A client's unsubscribe; over WebSocket, `sync:unsubscribe`.
    Unsubscribe,
    /// A client's snapshot of a topic.
    Snapshot,
    /// A command of the load.
    Publish,
    /// A worker's creation.
    CreateWorker,
    /// A worker's end.
    StopWorker,
    /// The fan-out metrics.
    Metrics,
    /// A revocation of sessions, by a fault.
    Revoke,
    /// A prune of a topic, by a fault.
    Trim,
    /// The token of a session on which a fault tries what must be refused.
    TriedMint,
    /// The connect of such a session.
    #[serde(rename = "tried_upgrade")]
    TriedConnect,
    /// A join on it.
    TriedJoin,
    /// A subscribe on it.
    TriedSubscribe,
    /// A heartbeat over it.
    TriedHeartbeat,
    /// A command over it.
    TriedCommand,
}

impl Request {
    /// The name that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mint => "mint",
            Self::Connect => "upgrade",
            Self::Join => "join",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Snapshot => "snapshot",
            Self::Publish => "publish",
            Self::CreateWorker => "create_worker",
            Self::StopWorker => "stop_worker",
            Self::Metrics => "metrics",
            Self::Revoke => "revoke",
            Self::Trim => "trim",
            Self::TriedMint => "tried_mint",
            Self::TriedConnect => "tried_upgrade",
            Self::TriedJoin => "tried_join",
            Self::TriedSubscribe => "tried_subscribe",
            Self::TriedHeartbeat => "tried_heartbeat",
            Self::TriedCommand => "tried_command",
        }
    }
}

/// A request that ended. Texts of the target are escaped and cut by who records it, and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Whose it was, if a client's.
    pub client: Option<u32>,
    /// What was asked.
    pub request: Request,
    /// When it was begun.
    pub start: Micros,
    /// When it ended.
    pub at: Micros,
    /// How it counts.
    pub outcome: Outcome,
    /// What the answer was, or what came in its stead: `101`, `503`, `ok`, `stale_cursor`, `timeout`,
    /// `connection refused`.
    pub status: Box<str>,
    /// What stood in a refusal.
    pub example: Option<Box<str>>,
    /// Its `Retry-After`.
    pub retry_after: Option<Box<str>>,
}

/// The status of what was not answered in time, by whoever had waited long enough: the harness, or the kernel
/// beneath a connection.
pub const TIMED_OUT: &str = "timeout";

impl Answered {
    /// Whether nothing is wrong with it but that it was not answered in time.
    #[must_use]
    pub fn is_late(&self) -> bool {
        let waited = matches!(self.outcome, Outcome::Timeout | Outcome::ConnectionFailed);
        waited && &*self.status == TIMED_OUT
    }
}

/// Which operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpKind {
    /// A token was asked for.
    Mint,
    /// Until there is a session; over WebSocket, TCP connect and upgrade.
    Connect,
    /// From the TCP connection to the end of the TLS handshake, within a connect.
    TlsHandshake,
    /// Until the target has taken the client in; over WebSocket, `phx_join`.
    Join,
    /// Until replay is complete; over WebSocket, `sync:subscribe`.
    Subscribe,
    /// A client's heartbeat.
    Heartbeat,
}

/// A timed operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// The client.
    pub client: u32,
    /// Which operation.
    pub kind: OpKind,
    /// When it was due.
    pub intended: Micros,
    /// When it was begun.
    pub start: Micros,
    /// When it ended.
    pub done: Micros,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As asked.
    Ok,
    /// No answer in time: enters histograms at the time-out's value, and counts as an error.
    Timeout,
    /// Refused for the token or the session.
    RefusedAuth,
    /// Refused for a topic or the subscription's shape.
    RefusedTopic,
    /// Refused for the client's build, protocol or schema.
    RefusedIncompatible,
    /// Refused with `stale_cursor`.
    StaleCursor,
    /// The connection could not be made, or broke.
    ConnectionFailed,
    /// The answer was not of the contract.
    ProtocolError,
    /// Ended by the harness itself (a fault, the end of the run): not the target's doing.
    Interrupted,
    /// The generator ran out of something of its own, so that it could not be tried: not the target's
    /// doing either.
    Exhausted(Resource),
}

impl Outcome {
    /// Whether it says nothing about the target.
    #[must_use]
    pub fn is_our_own_doing(self) -> bool {
        matches!(self, Self::Interrupted | Self::Exhausted(_))
    }
}

/// What a generator can run out of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// File descriptors of the process or of the system.
    Descriptors,
    /// Ports to connect from.
    Ports,
    /// Memory for sockets.
    Memory,
    /// Addresses that it may connect from.
    Addresses,
    /// Names that it could look up.
    Names,
    /// Connects and writes that the allow file grants it.
    Allowance,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "file descriptors",
            Self::Ports => "ports to connect from",
            Self::Memory => "memory for sockets",
            Self::Addresses => "addresses to connect from",
            Self::Names => "names that can be looked up",
            Self::Allowance => "connects or writes that the allow file grants",
        })
    }
}
