//! The Khala wire contract as types: frames, topics, cursors, tokens, command bodies.
//!
//! Both sides of a run read and write the wire through this crate: the simulated clients and the
//! embedded reference runtime. It therefore holds *shapes only*. It never opens a socket, never
//! reads a clock, and never decides whether a cursor is stale, a frame is missing or a token is
//! acceptable for a session: the runtime and the oracle each decide that for themselves, so that a
//! bug in one cannot hide in the other.

pub mod canonical;
pub mod command;
pub mod cursor;
pub mod frame;
pub mod hs256;
pub mod lenient;
pub mod marker;
pub mod message;
pub mod metrics;
pub mod payload;
pub mod poll;
pub mod shape;
pub mod signature;
pub mod snapshot;
pub mod token;
pub mod topic;
pub mod unseen;

pub use frame::{Frame, Vsn};
pub use topic::{KnownTopic, TopicKind};

/// The one Phoenix channel of the WebSocket lane.
pub const CHANNEL: &str = "sync:v1";
/// Phoenix's own pseudo-channel, which only carries the socket heartbeat.
pub const PHOENIX_CHANNEL: &str = "phoenix";
/// `protocol_version` of the compatibility set.
pub const PROTOCOL_VERSION: &str = "khala.ws.v1";
/// `schema_version` of the compatibility set and of `sync:frame`.
pub const SCHEMA_VERSION: u32 = 1;
/// Largest number of updates a batch carries (contract, section 3, "Delivery").
pub const BATCH_UPDATES_MAX: usize = 200;
/// Largest batch, in bytes of JSON (contract, section 3, "Delivery"); a client must survive more.
pub const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest update, in bytes of JSON (contract, section 3, "Delivery"); a client must survive more.
pub const UPDATE_BYTES_MAX: usize = 256 * 1024;
/// Largest payload of a command that makes a worker's event, in bytes of JSON (contract, section 4,
/// publish limits of the topic class "codex worker events").
pub const WORKER_EVENT_BYTES_MAX: usize = 128 * 1024;
/// Path of the socket as the runtime itself serves it.
pub const RUNTIME_SOCKET_PATH: &str = "/socket/websocket";
/// Path of the socket at the public edge, which maps it to [`RUNTIME_SOCKET_PATH`].
pub const PUBLIC_SOCKET_PATH: &str = "/sync/socket/websocket";
