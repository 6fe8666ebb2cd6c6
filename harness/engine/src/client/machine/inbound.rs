//! What a frame that arrived means to the client: pushes are compared and applied, replies are matched
//! with what was asked.

use khala_evidence::record::{
    Delivery, Micros, OfflineCause, Outcome, Place, PublishId, Record, Sink, Source,
};
use khala_plan::model::Push;
use khala_wire::CHANNEL;
use khala_wire::frame::{Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{self, ReplyRef, SlowConsumer, Status};
use serde_json::value::RawValue;

use super::super::reader::{Batch, Fact, Unreadable};
use super::{Action, Machine, State, World};

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
                self.finding("unreadable_frame", error.to_string(), world);
                return Action::None;
            }
        };
        match &*frame.event {
            event::FRAME | event::UPDATE_BATCH if matches!(self.state, State::Probing(..)) => {
                Action::None
            }
            event::FRAME => {
                let batch = world.reader.frame(frame.payload.get());
                self.push(Push::Frame, batch, read_at, world);
                Action::None
            }
            event::UPDATE_BATCH => {
                let batch = world.reader.batch(frame.payload.get());
                self.push(Push::UpdateBatch, batch, read_at, world);
                Action::None
            }
            event::REPLY => self.reply(&frame, read_at, now, world),
            event::CLOSE | event::ERROR
                if frame.channel == CHANNEL && frame.join_ref_number() == Some(self.join_ref) =>
            {
                self.lost(now, OfflineCause::ChannelClosed, world);
                Action::Close
            }
            event::SYNC_ERROR => {
                self.sync_error(frame.payload.get(), read_at, world);
                Action::None
            }
            event::HEARTBEAT | event::CLOSE | event::ERROR => Action::None,
            other => {
                let message = format!("event `{other}` on channel `{}`", frame.channel);
                self.finding("unknown_event", message, world);
                Action::None
            }
        }
    }

    /// One of the two pushes of a batch: compared with its twin, and applied if it is the one.
    fn push<S: Sink>(
        &mut self,
        push: Push,
        batch: Result<Batch, Unreadable>,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return self.finding("unreadable_batch", error.to_string(), world),
        };
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

    fn sync_error<S: Sink>(&mut self, payload: &str, read_at: Micros, world: &mut World<'_, S>) {
        if let Ok(error) = serde_json::from_str::<&RawValue>(payload) {
            self.word(read_at, Place::Error, payload::error_code(error), world);
        }
        // Other errors come again as the reply to what they answer.
        if let Ok(slow) = serde_json::from_str::<SlowConsumer>(payload) {
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
        for fact in facts {
            let publish = match fact.source {
                Source::Event { publish: PublishId::Planned(n), .. } => Some(n),
                _ => None,
            };
            world.heads.saw(fact.topic, fact.seq, publish);
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
        let reply: ReplyRef<'_> = match serde_json::from_str(frame.payload.get()) {
            Ok(reply) => reply,
            Err(error) => {
                self.finding("unreadable_reply", error.to_string(), world);
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
                    self.answered(pending, read_at, Outcome::Ok, world);
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
