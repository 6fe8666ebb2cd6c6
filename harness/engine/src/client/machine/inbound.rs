//! What a frame that arrived means to the client: one filter, as the Phoenix clients have it, then
//! pushes are compared and applied, and replies are matched with what was asked.
//!
//! Nothing that a real client drops is delivered, answered or applied; that it came is recorded. Which
//! topics a batch is of is looked at before what it says.

use khala_evidence::record::{
    Addressee, Delivery, Micros, OfflineCause, Outcome, Place, PublishId, Record, Sink, Source,
};
use khala_plan::model::Push;
use khala_wire::frame::{Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{self, ReplyRef, SlowConsumerSeen, Status};
use khala_wire::shape;
use khala_wire::{CHANNEL, PHOENIX_CHANNEL};
use serde_json::value::RawValue;

use super::super::reader::{Batch, Fact};
use super::joins::Address;
use super::{Action, Machine, State, World};
use crate::clock::micros;

impl Machine {
    /// A text frame arrived; `read_at` is when its bytes were read, `now` when it is handled.
    pub fn text<S: Sink>(
        &mut self,
        read_at: Micros,
        now: Micros,
        text: &str,
        world: &mut World<'_, S>,
    ) -> Action {
        if self.dead_socket {
            // What was read before the cut: to the judge the client has been offline since.
            return Action::None;
        }
        let frame = match Frame::parse(Vsn::V2, text) {
            Ok(frame) => frame,
            Err(error) => {
                self.malformed(read_at, error.to_string(), world);
                return Action::None;
            }
        };
        if !self.takes(&frame, read_at, world) {
            return Action::None;
        }
        match &*frame.event {
            event::FRAME => {
                let batch = world.reader.frame(frame.payload.get());
                self.push(Push::Frame, &batch, read_at, world);
                Action::None
            }
            event::UPDATE_BATCH => {
                let batch = world.reader.batch(frame.payload.get());
                self.push(Push::UpdateBatch, &batch, read_at, world);
                Action::None
            }
            event::REPLY => self.reply(&frame, read_at, now, world),
            event::CLOSE => {
                self.lost(now, OfflineCause::ChannelClosed, world);
                Action::Close
            }
            event::ERROR => self.crashed(now, world),
            event::SYNC_ERROR => {
                self.sync_error(frame.payload.get(), read_at, world);
                Action::None
            }
            event::HEARTBEAT => {
                self.shaped(&shape::HEARTBEAT, "a sync:heartbeat", &frame, read_at, world);
                Action::None
            }
            other => {
                let message = format!("event `{other}` on channel `{}`", frame.channel);
                self.finding("unknown_event", message, world);
                Action::None
            }
        }
    }

    /// Whether a real client takes a message; records it if it should not have come.
    fn takes<S: Sink>(
        &mut self,
        frame: &Frame<'_>,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        if frame.channel == PHOENIX_CHANNEL {
            let replies = frame.event == event::REPLY;
            if !replies {
                let message = format!("event `{}` on channel `{PHOENIX_CHANNEL}`", frame.event);
                self.finding("unknown_event", message, world);
            }
            return replies;
        }
        let mine = frame.channel == CHANNEL;
        let data = !matches!(&*frame.event, event::REPLY | event::CLOSE | event::ERROR);
        let settle_us = micros(self.settings.settle_within);
        let address = if !mine {
            Address::Wrong(Addressee::Channel)
        } else if frame.join_ref.is_some() && frame.join_ref_number().is_none() {
            Address::Wrong(Addressee::UnknownJoin)
        } else {
            self.joins.address(frame.join_ref_number(), data, read_at, settle_us)
        };
        match address {
            Address::Ours => true,
            Address::Dropped => {
                if let (event::CLOSE | event::ERROR, Some(join)) =
                    (&*frame.event, frame.join_ref_number())
                {
                    self.joins.closed(join);
                }
                false
            }
            Address::Wrong(to) => {
                let (client, event) = (self.client, frame.event.as_ref().into());
                world.sink.record(Record::Misaddressed { client, at: read_at, to, event });
                false
            }
        }
    }

    /// Records how a payload differs from its shape; whether it has what it must have.
    fn shaped<S: Sink>(
        &self,
        shape: &shape::Shape,
        what: &str,
        frame: &Frame<'_>,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        let Some(difference) = shape.difference(frame.payload.get()) else {
            self.malformed(read_at, format!("{what} is no object"), world);
            return false;
        };
        for name in &difference.unknown {
            self.finding("unknown_field", format!("field `{name}` in {what}"), world);
        }
        if let Some(missing) = difference.missing.first() {
            self.malformed(read_at, format!("{what} lacks `{missing}`"), world);
            return false;
        }
        true
    }

    /// One of the two pushes of a batch: compared with its twin, and applied if it is the one.
    fn push<S: Sink>(
        &mut self,
        push: Push,
        batch: &Batch,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) {
        // Authority before content.
        let mut all_named = true;
        for spoken in batch.topics.iter() {
            if !spoken.id.is_some_and(|id| self.named.contains(&id)) {
                all_named = false;
                let (client, topic, seq) = (self.client, spoken.name.clone(), spoken.seq);
                world.sink.record(Record::Unasked { client, at: read_at, topic, seq });
            }
        }
        if let (true, Some(why)) = (all_named, &batch.malformed) {
            self.malformed(read_at, why.to_string(), world);
        }
        for (name, message) in batch.notes.iter() {
            self.finding(name, message.to_string(), world);
        }
        if matches!(self.state, State::Probing(..)) {
            return;
        }
        // A frame without facts carries an error, and its twin is a `sync:error`.
        if let Some(last) = batch.facts.last() {
            let agree = match push {
                // Two batches without a frame between them: the first one's frame is missing.
                Push::UpdateBatch => self.unpaired.replace(batch.content).is_none(),
                Push::Frame => self.unpaired.take() == Some(batch.content),
            };
            if push == Push::Frame || !agree {
                let (client, topic, seq) = (self.client, last.topic, last.seq);
                world.sink.record(Record::PushesCompared {
                    client,
                    at: read_at,
                    topic,
                    seq,
                    agree,
                });
            }
        }
        if push == self.settings.apply {
            self.deliver(&batch.facts, read_at, world);
        }
    }

    fn sync_error<S: Sink>(&mut self, text: &str, read_at: Micros, world: &mut World<'_, S>) {
        if let Ok(error) = serde_json::from_str::<&RawValue>(text) {
            let code = payload::error_code(error);
            if code.is_empty() {
                return self.malformed(read_at, "a sync:error lacks `code`".to_owned(), world);
            }
            self.word(read_at, Place::Error, code, world);
        }
        // Other errors come again as the reply to what they answer.
        if let Ok(slow) = serde_json::from_str::<SlowConsumerSeen>(text)
            && slow.code == payload::CODE_SLOW_CONSUMER
        {
            self.told_off |= slow.action == "disconnect";
            world.sink.record(Record::SlowConsumer {
                client: self.client,
                at: read_at,
                disconnect: slow.action == "disconnect",
                queue_depth: slow.queue_depth,
                queue_limit: slow.queue_limit,
            });
        }
    }

    fn deliver<S: Sink>(&mut self, facts: &[Fact], read_at: Micros, world: &mut World<'_, S>) {
        let named = facts.iter().filter(|fact| self.named.contains(&fact.topic));
        for fact in named {
            let publish = match fact.source {
                Source::Event { publish: PublishId::Planned(n), .. } => Some(n),
                _ => None,
            };
            world.heads.saw(fact.topic, fact.seq, publish);
            if let Source::State { worker, version } = fact.source {
                world.heads.saw_version(worker, version);
            }
            world.sink.record(Record::Delivered(Delivery {
                client: self.client,
                epoch: self.epoch,
                topic: fact.topic,
                seq: fact.seq,
                at: read_at,
                content: fact.content,
                hash_fits: fact.hash_fits,
                source: fact.source,
            }));
            let cursor = self.cursors.entry(fact.topic).or_default();
            *cursor = fact.seq.max(*cursor);
        }
    }

    fn reply<S: Sink>(
        &mut self,
        frame: &Frame<'_>,
        read_at: Micros,
        now: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        let reference = frame.ref_number();
        if !self.shaped(&shape::REPLY, "a phx_reply", frame, read_at, world) {
            return Action::None;
        }
        let reply: ReplyRef<'_> = match serde_json::from_str(frame.payload.get()) {
            Ok(reply) => reply,
            Err(error) => {
                self.malformed(read_at, format!("a phx_reply: {error}"), world);
                return Action::None;
            }
        };
        if let Some(action) = self.beat_answered(reference, reply.status, read_at, now, world) {
            return action;
        }
        if let Some(gone) = &self.unsubscribed
            && reference == Some(gone.reference)
        {
            if reply.status == Status::Ok {
                let (client, topics) = (self.client, gone.topics.clone());
                world.sink.record(Record::Unsubscribed { client, at: read_at, topics });
                world.heads.count_unsubscribed();
            }
            return Action::None;
        }
        match self.state {
            State::Joining(pending) if reference == Some(pending.reference) => match reply.status {
                Status::Ok => {
                    self.joins.answered(read_at);
                    self.answered(pending, read_at, Outcome::Ok, "ok", world);
                    self.subscribe_first(now, world)
                }
                Status::Error => self.refused(pending, read_at, now, &reply, world),
            },
            State::Probing(pending, chosen) if reference == Some(pending.reference) => {
                self.probed(chosen, read_at, now, &reply, world)
            }
            State::Subscribing(pending) if reference == Some(pending.reference) => {
                if let Some(fault) = self.proving.take() {
                    world.heads.count_tried(fault);
                }
                match reply.status {
                    Status::Ok => self.subscribed(pending, read_at, now, &reply, world),
                    Status::Error => self.refused(pending, read_at, now, &reply, world),
                }
            }
            // An answer to a request that has timed out, or to a heartbeat of an older socket.
            _ => Action::None,
        }
    }
}
