//! The live tail, one batch at a time, and what a slow consumer is told.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use khala_wire::message::event;
use khala_wire::payload::{CODE_SLOW_CONSUMER, Empty};
use khala_wire::topic::TopicId;
use khala_wire::{BATCH_UPDATES_MAX, CHANNEL, TopicKind, Vsn};

use super::channel::Patience;
use super::connection::Connection;
use super::end::End;
use super::next::{Asking, Mode, Next};
use crate::clock;
use crate::defect::Kind;
use crate::fanout::{Batch, BatchKey};

/// How one topic's turn ended.
pub(super) enum Turn {
    /// Nothing was left to send.
    Idle,
    /// A batch went out, and there may be more.
    Sent,
    /// Retention has taken what was to be sent.
    Overrun,
}

impl Connection {
    /// One batch of each topic that has something; says whether there may be more.
    pub(super) async fn deliver(&mut self) -> Result<bool, End> {
        let Self { channel, shared, .. } = self;
        let Some(channel) = channel.as_mut().filter(|channel| !channel.stuck) else {
            return Ok(false);
        };
        channel.judge(&Patience::of(shared), Duration::ZERO);
        if !self.tell_slow().await? {
            return Ok(false);
        }
        let mut more = false;
        for topic in TopicId::all() {
            self.starve(topic, clock::now());
            match self.turn(topic, BATCH_UPDATES_MAX as u64, Mode::Live).await? {
                Turn::Idle => {}
                Turn::Sent => {
                    more = true;
                    if self.misbehave_after(topic).await? {
                        return Ok(false);
                    }
                }
                Turn::Overrun if self.spared() => {
                    self.shared.defects.note(Kind::NoSlowEviction);
                    self.pass_over(topic);
                }
                Turn::Overrun => self.evict(topic),
            }
            if !self.tell_slow().await? {
                return Ok(false);
            }
        }
        if more && let Some(channel) = &mut self.channel {
            channel.judge(&Patience::of(&self.shared), Duration::ZERO);
        }
        Ok(more)
    }

    /// What defects do after a live batch; says whether the channel is stuck from now on.
    async fn misbehave_after(&mut self, topic: TopicId) -> Result<bool, End> {
        let now = clock::now();
        if let Some(tail) = self.channel.as_mut().and_then(|it| it.tail(topic).as_mut()) {
            tail.busy_at = Some(now);
        }
        if topic.kind() == TopicKind::Stream && self.chooses(Kind::EvictHealthy) {
            self.shared.defects.note(Kind::EvictHealthy);
            self.evict(topic);
        }
        if let Some(foreign) = self.foreign()
            && self.chooses(Kind::CrossTopicLeak)
        {
            self.shared.defects.note(Kind::CrossTopicLeak);
            self.send_head_of(foreign).await?;
        }
        let stuck = self.chooses(Kind::StuckChannel);
        if stuck && let Some(channel) = &mut self.channel {
            self.shared.defects.note(Kind::StuckChannel);
            channel.stuck = true;
        }
        Ok(stuck)
    }

    /// Defect `cross_topic_leak`: a topic with something to leak that is not open to the principal.
    fn foreign(&self) -> Option<TopicId> {
        if !self.shared.defects.armed(Kind::CrossTopicLeak) {
            return None;
        }
        let closed = |topic: &TopicId| !self.principal.allowed[topic.index()];
        let mut topics = TopicId::all().filter(closed);
        topics.find(|topic| self.shared.store.log(*topic).window().oldest.is_some())
    }

    /// One batch of one topic.
    pub(super) async fn turn(
        &mut self,
        topic: TopicId,
        count: u64,
        mode: Mode,
    ) -> Result<Turn, End> {
        let Self { channel, shared, open, .. } = self;
        let Some(channel) = channel else { return Ok(Turn::Idle) };
        let Some(tail) = &mut channel.tails[topic.index()] else { return Ok(Turn::Idle) };
        let asking = Asking {
            shared,
            number: open.number,
            choices: &mut channel.choices,
            topic,
            tail,
            now: clock::now(),
        };
        let (batch, to) = match asking.next(count, mode) {
            Next::Nothing => return Ok(Turn::Idle),
            Next::Overrun => return Ok(Turn::Overrun),
            Next::Skip { to } => (None, to),
            Next::Send { batch, to } => (Some(batch), to),
        };
        if let Some(batch) = batch {
            self.send_batch(&batch).await?;
        }
        if let Some(slot) = self.channel.as_mut().map(|channel| channel.tail(topic)) {
            if slot.as_ref().is_some_and(|tail| tail.ghost) {
                *slot = None;
                self.shared.defects.note(Kind::AfterUnsubscribe);
            } else if let Some(tail) = slot {
                tail.sent = to;
                self.link.set_sent(topic, to);
            }
        }
        Ok(Turn::Sent)
    }

    /// The newest update of a topic, out of turn: the position stays where it is.
    pub(super) async fn send_head_of(&mut self, topic: TopicId) -> Result<(), End> {
        let log = self.shared.store.log(topic);
        let head = log.head();
        let Some(entries) = log.entries(head, head) else { return Ok(()) };
        let key = BatchKey { topic, first: head, to: head, head };
        let updates: Vec<_> = entries.iter().map(|entry| &entry.update).collect();
        let batch = Batch::encode(&key, &updates, None);
        self.send_batch(&batch).await
    }

    async fn send_batch(&mut self, batch: &Batch) -> Result<(), End> {
        let join_ref = self.channel.as_ref().and_then(|channel| channel.join_ref.as_deref());
        let pushes = batch.pushes(self.vsn, join_ref.filter(|_| self.vsn == Vsn::V2));
        let shared = Arc::clone(&self.shared);
        let one_by_one = self.chooses(Kind::SlowStallsNeighbours);
        let _turn =
            if one_by_one { Some(shared.turnstile.pass(&shared.defects).await) } else { None };
        self.send(pushes).await?;
        self.shared.metrics.served.add(batch.updates());
        Ok(())
    }

    /// Goes on from the floor: what retention has taken is not sent, and nobody is told.
    pub(super) fn pass_over(&mut self, topic: TopicId) {
        let floor = self.shared.store.log(topic).window().floor;
        let Some(channel) = &mut self.channel else { return };
        if let Some(tail) = channel.tail(topic) {
            tail.sent = tail.sent.max(floor);
            self.open.set_sent(topic, Some(tail.sent));
        }
    }

    /// Evicts at once, without strikes.
    fn evict(&mut self, topic: TopicId) {
        let head = self.shared.store.log(topic).head();
        let Some(channel) = &mut self.channel else { return };
        let sent = channel.tail(topic).as_ref().map_or(head, |tail| tail.sent);
        if !channel.lag.evicted() {
            self.shared.metrics.evictions.add(1);
        }
        let limits = &self.shared.config.slow_consumer;
        channel.lag.evict(topic, head.saturating_sub(sent), limits);
    }

    /// Sends the notices of strikes that were given; says whether the channel is still there.
    pub(super) async fn tell_slow(&mut self) -> Result<bool, End> {
        let Some(channel) = &mut self.channel else { return Ok(false) };
        let notices = channel.lag.take_notices();
        if notices.is_empty() {
            return Ok(true);
        }
        let evicted = channel.lag.evicted();
        let mut frames: Vec<_> =
            notices.iter().map(|notice| self.push(event::SYNC_ERROR, notice)).collect();
        for topic in notices.iter().filter_map(|notice| TopicId::of(&notice.topic)) {
            self.shared.metrics.topic(topic).violation(CODE_SLOW_CONSUMER);
        }
        if !evicted {
            self.send(frames).await?;
            return Ok(true);
        }
        if let Some(channel) = self.channel.take() {
            self.open.set_joined(false);
            let join_ref = channel.join_ref.as_deref();
            frames.push(self.frame(join_ref, join_ref, CHANNEL, event::ERROR, &Empty {}));
        }
        let grace = self.shared.config.slow_consumer.evict_grace;
        let give_up = ControlFlow::Break((grace, End::Evicted));
        self.link.send(frames, &mut |_| give_up).await?;
        Ok(false)
    }

    /// Defect `no_slow_eviction`: this connection may be as slow as it likes.
    pub(super) fn spared(&self) -> bool {
        self.shared.defects.chose(Kind::NoSlowEviction, self.open.number)
    }

    /// An opportunity of a defect on this channel.
    pub(super) fn chooses(&mut self, kind: Kind) -> bool {
        let Some(channel) = &mut self.channel else { return false };
        if !self.shared.defects.armed(kind) {
            return false;
        }
        channel.choices += 1;
        self.shared.defects.acts(kind, self.open.number, channel.choices)
    }
}
