//! One connection: its state, and the loop that waits, answers and delivers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Utf8Bytes, WebSocket};
use khala_wire::frame::encode;
use khala_wire::message::event;
use khala_wire::payload::{
    CODE_REAUTH_REQUIRED, Empty, HeartbeatPush, KIND_ERROR, ReauthRequired, Reply, Status,
    SyncFrame,
};
use khala_wire::{CHANNEL, Vsn};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::channel::{Channel, Patience};
use super::end::End;
use super::link::{Link, Wake};
use super::registry::Open;
use super::upgrade::Principal;
use crate::clock;
use crate::shared::Shared;

/// The write time-out of a connection that the defect `no_slow_eviction` spares.
const FOR_EVER: Duration = Duration::from_secs(7 * 86_400);

/// A connection after its upgrade.
pub struct Connection {
    pub(super) link: Link,
    pub(super) shared: Arc<Shared>,
    pub(super) principal: Principal,
    pub(super) vsn: Vsn,
    pub(super) channel: Option<Channel>,
    pub(super) open: Arc<Open>,
    /// When its token's end is its own, where that is so.
    expires: Option<Instant>,
}

/// When a socket ends with its token.
fn expiry(shared: &Shared, principal: &Principal) -> Option<Instant> {
    let left = principal.expires_unix_s.saturating_sub(clock::unix_s());
    let left = Duration::from_secs(u64::try_from(left).unwrap_or_default());
    shared.config.ends_expired.then(|| clock::now().checked_add(left)).flatten()
}

impl Connection {
    /// A connection over a socket that was just upgraded.
    pub fn new(socket: WebSocket, shared: Arc<Shared>, principal: Principal, vsn: Vsn) -> Self {
        let open = shared.sockets.enter(&principal);
        let link = Link::new(socket, Arc::clone(&shared), Arc::clone(&open));
        let expires = expiry(&shared, &principal);
        let mut connection = Self { link, shared, principal, vsn, channel: None, open, expires };
        if connection.spared() {
            connection.link.write_timeout = FOR_EVER;
        }
        connection
    }

    /// Serves the connection to its end.
    pub async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        if end == End::Revoked && self.shared.config.revocation_notice {
            self.tell_revoked().await;
        }
        self.open.set_joined(false);
        self.link.close(end).await;
        self.shared.sockets.leave(&self.open);
        self.shared.metrics.disconnected(end.cause());
        tracing::debug!(number = self.open.number, cause = end.cause(), "socket ended");
    }

    async fn step(&mut self) -> Result<(), End> {
        self.link.listen();
        if self.shared.stopping() {
            return Err(End::Stopping { joined: self.channel.is_some() });
        }
        if self.open.revoked().is_some() {
            return Err(End::Revoked);
        }
        if self.expires.is_some_and(|expires| expires <= clock::now()) {
            return Err(End::Expired);
        }
        let more = self.deliver().await?;
        self.keep_time().await?;
        let due = self.due();
        match self.link.wait(more, due).await? {
            Wake::Inbound(message) => self.inbound(message).await,
            Wake::Look => Ok(()),
        }
    }

    /// When there is something to do without being asked.
    fn due(&self) -> Instant {
        let idle = self.link.traffic_at + self.shared.config.socket_idle_timeout;
        let idle = self.expires.map_or(idle, |expires| expires.min(idle));
        let channel = self.channel.as_ref().filter(|channel| !channel.stuck);
        channel.map_or(idle, |channel| channel.due().min(idle))
    }

    /// Does what has become due.
    async fn keep_time(&mut self) -> Result<(), End> {
        let now = clock::now();
        if self.link.traffic_at + self.shared.config.socket_idle_timeout <= now {
            return Err(End::Idle);
        }
        let Some(channel) = self.channel.as_mut().filter(|it| !it.stuck) else { return Ok(()) };
        if let Some(request) = channel.take_deferred(now) {
            return self.serve_subscribe(request).await;
        }
        if channel.next_tick > now {
            return Ok(());
        }
        let every = self.shared.config.heartbeat_push_every.max(Duration::from_millis(1));
        let mut tick = channel.next_tick;
        while tick + every <= now {
            tick += every;
        }
        channel.next_tick = tick + every;
        // Judged at the time the tick was due, not when the server got round to it: a server that
        // is late does not time its clients out.
        if tick.saturating_duration_since(channel.alive_at)
            > self.shared.config.channel_idle_timeout
        {
            return self.end_channel(event::CLOSE).await;
        }
        let push = HeartbeatPush { watermarks: channel.watermarks() };
        let frame = self.push(event::HEARTBEAT, &push);
        self.send([frame]).await
    }

    /// A frame for this socket. Serializer V1 knows no join ref.
    pub(super) fn frame<P: Serialize>(
        &self,
        join_ref: Option<&RawValue>,
        msg_ref: Option<&RawValue>,
        channel: &str,
        event: &str,
        payload: &P,
    ) -> Utf8Bytes {
        let join_ref = join_ref.filter(|_| self.vsn == Vsn::V2);
        encode(self.vsn, join_ref, msg_ref, channel, event, payload).into()
    }

    /// A push on the joined channel.
    pub(super) fn push<P: Serialize>(&self, event: &str, payload: &P) -> Utf8Bytes {
        let join_ref = self.channel.as_ref().and_then(|channel| channel.join_ref.as_deref());
        self.frame(join_ref, None, CHANNEL, event, payload)
    }

    /// A reply on the joined channel.
    pub(super) fn reply<R: Serialize>(
        &self,
        msg_ref: Option<&RawValue>,
        status: Status,
        response: R,
    ) -> Utf8Bytes {
        let join_ref = self.channel.as_ref().and_then(|channel| channel.join_ref.as_deref());
        let reply = Reply { response, status };
        self.frame(join_ref, msg_ref, CHANNEL, event::REPLY, &reply)
    }

    /// An error push with its error frame. The frame's content is the push's, byte for byte.
    pub(super) fn error_pushes<P: Serialize>(
        &self,
        topic: &str,
        error: &P,
    ) -> Result<[Utf8Bytes; 2], serde_json::Error> {
        let json = serde_json::value::to_raw_value(error)?;
        let frame = SyncFrame::wrap(KIND_ERROR, topic, 0, json.get());
        Ok([self.push(event::SYNC_ERROR, &json), self.push(event::FRAME, &frame)])
    }

    /// Writes frames, judging the channel while the socket takes no bytes.
    pub(super) async fn send(
        &mut self,
        frames: impl IntoIterator<Item = Utf8Bytes, IntoIter: Send> + Send,
    ) -> Result<(), End> {
        let Self { link, shared, channel, open, .. } = self;
        let close_timeout = shared.config.close_timeout;
        link.send(frames, &mut |refused| {
            if open.revoked().is_some() {
                return ControlFlow::Break((close_timeout, End::Revoked));
            }
            match channel {
                Some(channel) => channel.stuck(&Patience::of(shared), refused),
                None => ControlFlow::Continue(()),
            }
        })
        .await
    }

    /// Ends the channel with `phx_close` or `phx_error`; the socket stays.
    pub(super) async fn end_channel(&mut self, event: &str) -> Result<(), End> {
        let Some(channel) = self.channel.take() else { return Ok(()) };
        self.open.set_joined(false);
        let join_ref = channel.join_ref.as_deref();
        let frame = self.frame(join_ref, join_ref, CHANNEL, event, &Empty {});
        self.send([frame]).await
    }

    async fn tell_revoked(&mut self) {
        if self.channel.is_none() {
            return;
        }
        let error = reauth_required(self.open.revoked().unwrap_or_default());
        let Ok(pushes) = self.error_pushes("sync.auth", &error) else { return };
        // The close follows either way, so a failed notice changes nothing.
        let _ = self.send(pushes).await;
    }
}

/// What a revoked session is told.
pub(super) fn reauth_required(reason: &str) -> ReauthRequired {
    ReauthRequired {
        code: CODE_REAUTH_REQUIRED.to_owned(),
        message: "session access was revoked; sign in again".to_owned(),
        reason: reason.to_owned(),
        reauth_required: true,
    }
}
