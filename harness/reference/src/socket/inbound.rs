//! What a client says, and the answers: Phoenix first, then the channel's own messages.

use axum::extract::ws::Message;
use khala_wire::frame::Frame;
use khala_wire::message::event;
use khala_wire::payload::{
    CODE_BAD_SUBSCRIPTION, CODE_FORBIDDEN_TOPIC, CodeOnly, Empty, ForbiddenTopic, HeartbeatPush,
    HeartbeatReply, Joined, REASON_UNMATCHED_TOPIC, ReasonOnly, Reply, Status, Unsubscribed,
};
use khala_wire::topic::KNOWN;
use khala_wire::{CHANNEL, PHOENIX_CHANNEL};
use serde_json::value::RawValue;

use super::channel::Channel;
use super::compat;
use super::connection::{Connection, reauth_required};
use super::end::End;
use super::subscribe::{self, Refusal, Request};
use super::upgrade::Principal;
use crate::clock;
use crate::defect::Kind;

impl Connection {
    /// Answers one message.
    pub(super) async fn inbound(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Text(text) => {
                let frame = Frame::parse(self.vsn, text.as_str()).map_err(|error| {
                    tracing::debug!(%error, "bad frame");
                    End::BadInput
                })?;
                self.dispatch(&frame).await
            }
            Message::Binary(_) => Err(End::BadInput),
            // The codec answers pings itself.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(End::Peer),
        }
    }

    async fn dispatch(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        match (&*frame.channel, &*frame.event) {
            (PHOENIX_CHANNEL, event::PHOENIX_HEARTBEAT) if self.mute() => Ok(()),
            (PHOENIX_CHANNEL, event::PHOENIX_HEARTBEAT) => {
                let reply = Reply { response: Empty {}, status: Status::Ok };
                let frame = self.frame(None, frame.msg_ref, PHOENIX_CHANNEL, event::REPLY, &reply);
                self.send([frame]).await
            }
            (CHANNEL, event::JOIN) => self.join(frame).await,
            (CHANNEL, _) if self.channel.is_some() => self.on_channel(frame).await,
            (channel, event::LEAVE) => {
                // A client that races a server's close: to leave what is left already is fine.
                let reply = Reply { response: Empty {}, status: Status::Ok };
                let frame =
                    self.frame(frame.join_ref, frame.msg_ref, channel, event::REPLY, &reply);
                self.send([frame]).await
            }
            (channel, _) => {
                let response = ReasonOnly { reason: REASON_UNMATCHED_TOPIC.to_owned() };
                let reply = Reply { response, status: Status::Error };
                let frame = self.frame(None, frame.msg_ref, channel, event::REPLY, &reply);
                self.send([frame]).await
            }
        }
    }

    async fn join(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        let now = clock::now();
        let principal = &self.principal;
        let revoked = self.shared.revoked(&principal.session, &principal.device);
        let gate = self.shared.config.compatibility.as_ref();
        let refusal = if let Some(reason) = revoked {
            Some(serde_json::value::to_raw_value(&reauth_required(&reason)))
        } else {
            gate.and_then(|gate| compat::check(gate, &principal.client))
                .map(|failure| serde_json::value::to_raw_value(&failure))
        };
        if let Some(Ok(response)) = refusal {
            let reply = Reply { response, status: Status::Error };
            let frame = self.frame(frame.join_ref, frame.msg_ref, CHANNEL, event::REPLY, &reply);
            return self.send([frame]).await;
        }
        let every = self.shared.config.heartbeat_push_every;
        let join_ref = frame.join_ref.map(ToOwned::to_owned);
        let mut channel = Channel::new(join_ref, &principal.session, every, now);
        channel.spared = self.spared();
        let joined = Joined {
            allowed_topics: principal.allowed_topics(),
            current_watermarks: Vec::new(),
            subscription_id: channel.subscription_id.clone(),
        };
        let old = self.channel.replace(channel);
        self.open.set_joined(false);
        self.open.set_joined(true);
        let mut frames = vec![self.reply(frame.msg_ref, Status::Ok, joined)];
        if let Some(old) = old {
            let join_ref = old.join_ref.as_deref();
            frames.push(self.frame(join_ref, join_ref, CHANNEL, event::CLOSE, &Empty {}));
        }
        self.send(frames).await
    }

    async fn on_channel(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        let Some(channel) = self.channel.as_mut().filter(|it| !it.stuck) else { return Ok(()) };
        let current = channel.join_ref.as_deref().map(RawValue::get);
        if frame.join_ref.is_some_and(|join_ref| Some(join_ref.get()) != current) {
            return Ok(()); // meant for a channel that is gone: dropped silently
        }
        match &*frame.event {
            event::SUBSCRIBE => self.on_subscribe(frame).await,
            event::UNSUBSCRIBE => self.on_unsubscribe(frame).await,
            event::HEARTBEAT => {
                channel.alive_at = clock::now();
                if self.mute() {
                    return Ok(());
                }
                let Some(channel) = &self.channel else { return Ok(()) };
                let watermarks = channel.watermarks();
                let subscription_id = channel.subscription_id.clone();
                let reply = HeartbeatReply { subscription_id, watermarks: watermarks.clone() };
                let frames = [
                    self.push(event::HEARTBEAT, &HeartbeatPush { watermarks }),
                    self.reply(frame.msg_ref, Status::Ok, reply),
                ];
                self.send(frames).await
            }
            event::LEAVE => {
                let reply = self.reply(frame.msg_ref, Status::Ok, Empty {});
                self.send([reply]).await?;
                self.end_channel(event::CLOSE).await
            }
            other => {
                if let Some(done) = self.obey(frame.payload) {
                    let reply = self.reply(frame.msg_ref, Status::Ok, done);
                    return self.send([reply]).await;
                }
                tracing::debug!(event = other, "unknown event");
                self.end_channel(event::ERROR).await
            }
        }
    }

    async fn on_subscribe(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        match subscribe::read(frame.payload, frame.msg_ref, &self.principal) {
            Ok(request) => self.subscribe(request).await,
            Err(refusal) => match self.read_without_scopes(frame, &refusal) {
                Some(request) => self.subscribe(request).await,
                None => self.refuse(frame.msg_ref, refusal).await,
            },
        }
    }

    /// Defect `scope_ignored`: reads a subscribe as if the token opened every known topic.
    fn read_without_scopes(&mut self, frame: &Frame<'_>, refusal: &Refusal) -> Option<Request> {
        if !matches!(refusal, Refusal::Forbidden(_)) {
            return None;
        }
        let open = Principal { allowed: [true; KNOWN.len()], ..self.principal.clone() };
        let request = subscribe::read(frame.payload, frame.msg_ref, &open).ok()?;
        let taken = self.chooses(Kind::ScopeIgnored);
        if taken {
            self.shared.defects.note(Kind::ScopeIgnored);
        }
        taken.then_some(request)
    }

    /// Defect `heartbeats_unanswered`: whether a heartbeat of this joined client gets no answer.
    fn mute(&mut self) -> bool {
        let mute = self.chooses(Kind::HeartbeatsUnanswered);
        if mute {
            self.shared.defects.note(Kind::HeartbeatsUnanswered);
        }
        mute
    }

    async fn on_unsubscribe(&mut self, frame: &Frame<'_>) -> Result<(), End> {
        let topics = match subscribe::read_unsubscribe(frame.payload) {
            Ok(topics) => topics,
            Err(refusal) => return self.refuse(frame.msg_ref, refusal).await,
        };
        let haunted = self.chooses(Kind::AfterUnsubscribe);
        let Some(channel) = &mut self.channel else { return Ok(()) };
        for topic in topics {
            let slot = channel.tail(topic);
            match slot {
                Some(tail) if haunted => tail.ghost = true,
                _ => *slot = None,
            }
            self.open.set_sent(topic, None);
        }
        channel.alive_at = clock::now();
        let response = Unsubscribed {
            subscription_id: channel.subscription_id.clone(),
            topics: channel.topics(),
        };
        let reply = self.reply(frame.msg_ref, Status::Ok, response);
        self.send([reply]).await
    }

    async fn refuse(&mut self, msg_ref: Option<&RawValue>, refusal: Refusal) -> Result<(), End> {
        let reply = match refusal {
            Refusal::Bad => {
                let response = CodeOnly { code: CODE_BAD_SUBSCRIPTION.to_owned() };
                self.reply(msg_ref, Status::Error, response)
            }
            Refusal::Forbidden(forbidden_topics) => {
                let code = CODE_FORBIDDEN_TOPIC.to_owned();
                let response = ForbiddenTopic { code, forbidden_topics };
                self.reply(msg_ref, Status::Error, response)
            }
        };
        self.send([reply]).await
    }
}
