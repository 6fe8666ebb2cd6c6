//! Frames read as messages: what a client may send and what a server may send.
//!
//! The hot path does not come through here (it reads [`crate::payload`]'s borrowed types); codec
//! tests, the reference runtime and slow paths do.

use serde::{Deserialize, Serialize};

use crate::frame::Frame;
use crate::payload::{
    CodeOnly, CompatibilityFailure, Empty, ForbiddenTopic, HeartbeatPush, HeartbeatReply, Joined,
    ReasonOnly, ReauthRequired, Reply, SlowConsumer, StaleCursor, Subscribe, Subscribed, SyncFrame,
    Unsubscribe, Unsubscribed, UpdateBatch,
};
use crate::{CHANNEL, PHOENIX_CHANNEL};

/// Event names.
pub mod event {
    /// Join a channel.
    pub const JOIN: &str = "phx_join";
    /// Leave a channel.
    pub const LEAVE: &str = "phx_leave";
    /// Answer to a message with a ref.
    pub const REPLY: &str = "phx_reply";
    /// The channel is closed; the socket stays.
    pub const CLOSE: &str = "phx_close";
    /// The channel crashed; the socket stays.
    pub const ERROR: &str = "phx_error";
    /// Phoenix's socket heartbeat, on the channel `phoenix`.
    pub const PHOENIX_HEARTBEAT: &str = "heartbeat";
    /// Subscribe to topics.
    pub const SUBSCRIBE: &str = "sync:subscribe";
    /// Leave topics.
    pub const UNSUBSCRIBE: &str = "sync:unsubscribe";
    /// The channel's heartbeat, both ways.
    pub const HEARTBEAT: &str = "sync:heartbeat";
    /// Legacy push of a batch.
    pub const UPDATE_BATCH: &str = "sync:update_batch";
    /// Canonical push of a batch or an error.
    pub const FRAME: &str = "sync:frame";
    /// Legacy push of an error.
    pub const SYNC_ERROR: &str = "sync:error";
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClientMessage {
    /// `phx_join` on `sync:v1`.
    Join(Empty),
    /// `phx_leave` on `sync:v1`.
    Leave(Empty),
    /// `sync:subscribe`.
    Subscribe(Subscribe),
    /// `sync:unsubscribe`.
    Unsubscribe(Unsubscribe),
    /// `sync:heartbeat`.
    Heartbeat(Empty),
    /// `heartbeat` on `phoenix`.
    PhoenixHeartbeat(Empty),
}

/// Why a frame is not one of the messages that the contract names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The channel is not `sync:v1` or `phoenix`.
    #[error("channel `{0}` is not served")]
    Channel(String),
    /// The event is not in the contract.
    #[error("event `{0}` is not in the contract")]
    Event(String),
    /// The payload does not have the event's shape.
    #[error("payload of `{event}` does not have its shape: {why}")]
    Payload {
        /// The event.
        event: String,
        /// What the parser said.
        why: String,
    },
}

fn read<'a, T: Deserialize<'a>>(frame: &Frame<'a>) -> Result<T, Unreadable> {
    serde_json::from_str(frame.payload.get()).map_err(|error| Unreadable::Payload {
        event: frame.event.to_string(),
        why: error.to_string(),
    })
}

impl ClientMessage {
    /// Reads a frame that a client sent.
    ///
    /// # Errors
    /// When the channel, the event or the payload's shape is not in the contract.
    pub fn read(frame: &Frame<'_>) -> Result<Self, Unreadable> {
        match (&*frame.channel, &*frame.event) {
            (PHOENIX_CHANNEL, event::PHOENIX_HEARTBEAT) => read(frame).map(Self::PhoenixHeartbeat),
            (CHANNEL, event::JOIN) => read(frame).map(Self::Join),
            (CHANNEL, event::LEAVE) => read(frame).map(Self::Leave),
            (CHANNEL, event::SUBSCRIBE) => read(frame).map(Self::Subscribe),
            (CHANNEL, event::UNSUBSCRIBE) => read(frame).map(Self::Unsubscribe),
            (CHANNEL, event::HEARTBEAT) => read(frame).map(Self::Heartbeat),
            (CHANNEL, other) => Err(Unreadable::Event(other.to_owned())),
            (channel, _) => Err(Unreadable::Channel(channel.to_owned())),
        }
    }
}

/// Every response that the contract names, told apart by its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Response {
    /// To a join.
    Joined(Joined),
    /// To a subscribe.
    Subscribed(Subscribed),
    /// To a client's `sync:heartbeat`.
    Heartbeat(HeartbeatReply),
    /// To an unsubscribe.
    Unsubscribed(Unsubscribed),
    /// Refused: stale cursor.
    StaleCursor(Box<StaleCursor>),
    /// Refused: topics outside the scopes.
    ForbiddenTopic(ForbiddenTopic),
    /// Refused: session revoked.
    ReauthRequired(ReauthRequired),
    /// Refused: incompatible client.
    Compatibility(Box<CompatibilityFailure>),
    /// Refused with a code alone.
    Code(CodeOnly),
    /// Refused by Phoenix itself.
    Reason(ReasonOnly),
    /// To a leave and to a Phoenix heartbeat.
    Empty(Empty),
}

/// Every `sync:error` that the contract names, told apart by its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SyncError {
    /// The cursor of a subscribe.
    StaleCursor(Box<StaleCursor>),
    /// The client cannot keep up.
    SlowConsumer(SlowConsumer),
    /// The session was revoked.
    ReauthRequired(ReauthRequired),
}

/// What a server sends.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum ServerMessage {
    /// `phx_reply`.
    Reply(Reply<Response>),
    /// `sync:update_batch`.
    UpdateBatch(UpdateBatch),
    /// `sync:frame`.
    Frame(SyncFrame),
    /// `sync:heartbeat`.
    Heartbeat(HeartbeatPush),
    /// `sync:error`.
    Error(SyncError),
    /// `phx_close`.
    Close(Empty),
    /// `phx_error`.
    ChannelError(Empty),
}

impl ServerMessage {
    /// Reads a frame that a server sent.
    ///
    /// # Errors
    /// When the event or the payload's shape is not in the contract.
    pub fn read(frame: &Frame<'_>) -> Result<Self, Unreadable> {
        match &*frame.event {
            event::REPLY => read(frame).map(Self::Reply),
            event::UPDATE_BATCH => read(frame).map(Self::UpdateBatch),
            event::FRAME => read(frame).map(Self::Frame),
            event::HEARTBEAT => read(frame).map(Self::Heartbeat),
            event::SYNC_ERROR => read(frame).map(Self::Error),
            event::CLOSE => read(frame).map(Self::Close),
            event::ERROR => read(frame).map(Self::ChannelError),
            other => Err(Unreadable::Event(other.to_owned())),
        }
    }
}
