//! Serving a subscribe, the live tail, and what a slow consumer is told.

use std::ops::ControlFlow;
use std::time::Duration;

use khala_wire::cursor::TopicWatermark;
use khala_wire::message::event;
use khala_wire::payload::{CODE_SLOW_CONSUMER, Empty, StaleCursor, Status, Subscribed};
use khala_wire::topic::{KNOWN, TopicId};
use khala_wire::{BATCH_UPDATES_MAX, CHANNEL, TopicKind};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::channel::Tail;
use super::connection::Connection;
use super::end::End;
use super::next::{Asking, Mode, Next};
use super::stale;
use super::subscribe::Request;
use crate::defect::Kind;

/// How one topic's turn ended.
enum Turn {
    /// Nothing was left to send.
    Idle,
    /// A batch went out, and there may be more.
    Sent,
    /// Retention has taken what was to be sent.
    Overrun,
}

impl Connection {
    /// Takes a subscribe that may be served, unless a cursor is stale.
    pub(super) async fn subscribe(&mut self, request: Request) -> Result<(), End> {
        if let Some(stale) = stale::check(&self.shared, &request.cursors()) {
            return self.refuse_stale(request.msg_ref.as_deref(), &stale).await;
        }
        if self.defect_acts(Kind::SlowRecovery, &request)
            && let Some(channel) = &mut self.channel
        {
            channel.alive_at = Instant::now();
            let due = Instant::now() + self.shared.config.defect_times.slow_recovery;
            match channel.defer(due, request) {
                Ok(()) => return Ok(()),
                Err(request) => return self.serve_subscribe(request).await,
            }
        }
        self.serve_subscribe(request).await
    }

    /// Replays, then answers.
    pub(super) async fn serve_subscribe(&mut self, request: Request) -> Result<(), End> {
        let early = self.defect_acts(Kind::EarlyReplayComplete, &request);
        let lossy = self.defect_acts(Kind::DropOnReconnect, &request);
        let mut answered = Vec::with_capacity(request.topics.len());
        for (topic, cursor) in &request.topics {
            let Some(channel) = &mut self.channel else { return Ok(()) };
            let window = self.shared.store.log(*topic).window();
            let own = channel.tail(*topic).as_ref().map_or(0, |tail| tail.sent);
            // Without a cursor nothing is stale: what retention has taken is passed over.
            let start = cursor.unwrap_or(own.max(window.floor));
            let mut tail = Tail::new(start, window.head);
            tail.drop_next = lossy && cursor.is_some() && topic.kind() == TopicKind::Stream;
            if early {
                let lead = self.shared.config.defect_times.early_reply_lead;
                tail.paused_until = Some(Instant::now() + lead);
            }
            *channel.tail(*topic) = Some(tail);
            self.open.set_sent(*topic, Some(start));
            let watermark = if early {
                start.max(window.head)
            } else {
                match self.replay(*topic, request.batch_size).await? {
                    Some(watermark) => watermark,
                    None => return Ok(()),
                }
            };
            answered.push(TopicWatermark { topic: topic.name().to_owned(), watermark });
        }
        let never = self.shared.defects.armed(Kind::NeverReplayComplete)
            && self.choose(Kind::NeverReplayComplete);
        let Some(channel) = &mut self.channel else { return Ok(()) };
        channel.alive_at = Instant::now();
        if never {
            return Ok(());
        }
        let response = Subscribed {
            topics: answered.iter().map(|entry| entry.topic.clone()).collect(),
            current_watermarks: answered,
            subscription_id: channel.subscription_id.clone(),
        };
        let reply = self.reply(request.msg_ref.as_deref(), Status::Ok, response);
        self.send([reply]).await
    }

    /// Sends a topic up to its head; `None` when the channel did not survive it.
    async fn replay(&mut self, topic: TopicId, batch_size: u64) -> Result<Option<u64>, End> {
        loop {
            match self.turn(topic, batch_size, Mode::Replay).await? {
                Turn::Sent => {}
                Turn::Idle => {
                    let tail =
                        self.channel.as_mut().and_then(|channel| channel.tail(topic).as_ref());
                    return Ok(tail.map(|tail| tail.sent));
                }
                Turn::Overrun => self.overrun(topic),
            }
            if !self.tell_slow().await? {
                return Ok(None);
            }
        }
    }

    /// One batch of each topic that has something; says whether there may be more.
    pub(super) async fn deliver(&mut self) -> Result<bool, End> {
        let Self { channel, shared, .. } = self;
        let Some(channel) = channel else { return Ok(false) };
        channel.judge(shared, Duration::ZERO);
        if !self.tell_slow().await? {
            return Ok(false);
        }
        let mut more = false;
        for topic in (0_u8..).map(TopicId).take(KNOWN.len()) {
            match self.turn(topic, BATCH_UPDATES_MAX as u64, Mode::Live).await? {
                Turn::Idle => {}
                Turn::Sent => more = true,
                Turn::Overrun => self.overrun(topic),
            }
            if !self.tell_slow().await? {
                return Ok(false);
            }
        }
        if more && let Some(channel) = &mut self.channel {
            channel.judge(&self.shared, Duration::ZERO);
        }
        Ok(more)
    }

    /// One batch of one topic.
    async fn turn(&mut self, topic: TopicId, count: u64, mode: Mode) -> Result<Turn, End> {
        let Self { channel, shared, open, .. } = self;
        let Some(channel) = channel else { return Ok(Turn::Idle) };
        let Some(tail) = &mut channel.tails[usize::from(topic.0)] else { return Ok(Turn::Idle) };
        let asking = Asking {
            shared: &*shared,
            number: open.number,
            choices: &mut channel.choices,
            topic,
            tail,
            now: Instant::now(),
        };
        let (batch, to) = match asking.next(count, mode) {
            Next::Nothing => return Ok(Turn::Idle),
            Next::Overrun => return Ok(Turn::Overrun),
            Next::Skip { to } => (None, to),
            Next::Send { batch, to } => (Some(batch), to),
        };
        if let Some(batch) = batch {
            let join_ref = channel.join_ref.as_deref().filter(|_| self.vsn == khala_wire::Vsn::V2);
            let pushes = batch.pushes(self.vsn, join_ref);
            self.send(pushes).await?;
            self.shared.metrics.served.add(batch.updates());
        }
        if let Some(tail) = self.channel.as_mut().and_then(|channel| channel.tail(topic).as_mut()) {
            tail.sent = to;
            self.open.set_sent(topic, Some(to));
        }
        Ok(Turn::Sent)
    }

    fn overrun(&mut self, topic: TopicId) {
        let head = self.shared.store.log(topic).head();
        let Some(channel) = &mut self.channel else { return };
        let sent = channel.tail(topic).as_ref().map_or(head, |tail| tail.sent);
        if !channel.lag.evicted() {
            self.shared.metrics.evictions.add(1);
        }
        channel.lag.overrun(topic, head - sent, &self.shared.config.slow_consumer);
    }

    /// Sends the notices of strikes that were given; says whether the channel is still there.
    async fn tell_slow(&mut self) -> Result<bool, End> {
        let Some(channel) = &mut self.channel else { return Ok(false) };
        let notices = channel.lag.take_notices();
        if notices.is_empty() {
            return Ok(true);
        }
        let evicted = channel.lag.evicted();
        let mut frames: Vec<_> =
            notices.iter().map(|notice| self.push(event::SYNC_ERROR, notice)).collect();
        for notice in &notices {
            if let Some(topic) = TopicId::of(&notice.topic) {
                self.shared.metrics.topic(topic).violation(CODE_SLOW_CONSUMER);
            }
        }
        if evicted && let Some(channel) = self.channel.take() {
            self.open.set_joined(false);
            let join_ref = channel.join_ref.as_deref();
            frames.push(self.frame(join_ref, join_ref, CHANNEL, event::ERROR, &Empty {}));
            let grace = self.shared.config.slow_consumer.evict_grace;
            let give_up = ControlFlow::Break((grace, End::Evicted));
            self.link.send(frames, &mut |_| give_up).await?;
            return Ok(false);
        }
        self.send(frames).await?;
        Ok(true)
    }

    async fn refuse_stale(
        &mut self,
        msg_ref: Option<&RawValue>,
        stale: &StaleCursor,
    ) -> Result<(), End> {
        let topic = stale.stale_topics.first().map_or("sync.unspecified", |first| &*first.topic);
        let mut frames = Vec::with_capacity(3);
        match self.error_pushes(topic, stale) {
            Ok(pushes) => frames.extend(pushes),
            Err(error) => tracing::error!(%error, "a stale_cursor does not serialise"),
        }
        frames.push(self.reply(msg_ref, Status::Error, stale));
        self.send(frames).await
    }

    /// Whether a defect of subscribes with a cursor takes this one.
    fn defect_acts(&mut self, kind: Kind, request: &Request) -> bool {
        self.shared.defects.armed(kind)
            && request.topics.iter().any(|(_, cursor)| cursor.is_some())
            && self.choose(kind)
    }

    fn choose(&mut self, kind: Kind) -> bool {
        let Some(channel) = &mut self.channel else { return false };
        channel.choices += 1;
        self.shared.defects.acts(kind, self.open.number, channel.choices)
    }
}
