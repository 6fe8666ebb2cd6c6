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
use khala_wire::topic::TopicId;
use khala_wire::{CHANNEL, PHOENIX_CHANNEL};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::reader::{Batch, Fact, Over};
use super::joins::Address;
use super::{Action, Machine, State, World};
use crate::clock::micros;
use crate::said;

/// Before the session in a subscription's id (contract, section 3, join).
const SUBSCRIPTION_OF: &str = "sub_sync_session:";

/// Of the response to a join what says for whom it is.
#[derive(Deserialize)]
struct JoinedFor {
    subscription_id: String,
}

/// Pushes of a topic that may wait for their twins: one more, and the first one's is missing.
const UNPAIRED_MAX: usize = 4;

/// What a push says of those before it.
struct Paired {
    /// How many have no twin.
    torn: usize,
    /// Whether it and its twin say the same; `None` of the first of a pair.
    agree: Option<bool>,
}

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
                self.malformed(read_at, said::error(&error), world);
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
                self.shaped(&shape::HEARTBEAT, "a sync:heartbeat", frame.payload, read_at, world);
                Action::None
            }
            other => {
                let message = format!("event `{}` on channel `{CHANNEL}`", said::word(other));
                self.finding("unknown_event", read_at, message, world);
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
        let mine = frame.channel == CHANNEL;
        if frame.channel == PHOENIX_CHANNEL {
            let reference = frame.ref_number();
            match &*frame.event {
                event::REPLY if self.asked_the_socket(reference) => return true,
                // To another request a real client hears nothing on this channel, whatever its ref.
                event::REPLY if !self.awaits(reference) => return false,
                event::REPLY
                | event::FRAME
                | event::UPDATE_BATCH
                | event::SYNC_ERROR
                | event::HEARTBEAT => {}
                other => {
                    let other = said::word(other);
                    let message = format!("event `{other}` on channel `{PHOENIX_CHANNEL}`");
                    self.finding("unknown_event", read_at, message, world);
                    return false;
                }
            }
        }
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
                let (client, event) = (self.client, said::word(&frame.event));
                world.sink.record(Record::Misaddressed { client, at: read_at, to, event });
                false
            }
        }
    }

    /// Whether the client awaits an answer to a request of the channel with this ref.
    fn awaits(&self, reference: Option<u64>) -> bool {
        let pending = match self.state {
            State::Joining(pending) | State::Subscribing(pending) | State::Probing(pending, _) => {
                Some(pending.reference)
            }
            State::Beyond(stay) => stay.awaits(),
            _ => None,
        };
        let unsubscribing = self.unsubscribed.as_ref().map(|gone| gone.reference);
        let refs = [pending, unsubscribing, self.asked_the_channel()];
        reference.is_some() && refs.contains(&reference)
    }

    /// Records how a payload differs from its shape; whether it has what it must have.
    pub(super) fn shaped<S: Sink>(
        &self,
        shape: &shape::Shape,
        what: &str,
        payload: &RawValue,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        let Some(difference) = shape.difference(payload.get()) else {
            self.malformed(read_at, format!("{what} is no object"), world);
            return false;
        };
        for name in &difference.unknown {
            let name = said::word(name);
            self.finding("unknown_field", read_at, format!("field `{name}` in {what}"), world);
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
        let mut others = self.unpaired.values().flatten();
        let told = others.any(|(of, twin)| *of != push && *twin == batch.content);
        for spoken in batch.topics.iter() {
            if !spoken.id.is_some_and(|id| self.named.contains(&id)) {
                all_named = false;
                if told {
                    // Its twin, just before it, said the same.
                    continue;
                }
                let (client, topic, seq) = (self.client, said::word(&spoken.name), spoken.seq);
                world.sink.record(Record::Unasked { client, at: read_at, topic, seq });
            }
        }
        if let (true, Some(why)) = (all_named, &batch.malformed) {
            let (client, why) = (self.client, Box::from(&**why));
            world.sink.record(Record::Malformed { client, at: read_at, flaw: batch.flaw, why });
        }
        for (name, message) in batch.notes.iter() {
            self.finding(name, read_at, message.to_string(), world);
        }
        if push == self.settings.apply {
            for &Over { limit, size, topic, seqs } in batch.over.iter() {
                let client = self.client;
                let over = Record::OverLimit { client, at: read_at, limit, size, topic, seqs };
                world.sink.record(over);
            }
        }
        match self.state {
            State::Probing(..) => return,
            State::Beyond(_) => {
                batch.facts.iter().for_each(|fact| self.came_beyond(fact.topic, fact.seq));
                return;
            }
            _ => {}
        }
        // A frame without facts carries an error, and its twin is a `sync:error`.
        if let Some(last) = batch.facts.last() {
            let Paired { torn, agree } = self.pair(last.topic, push, batch.content);
            let (client, topic, seq) = (self.client, last.topic, last.seq);
            for agree in std::iter::repeat_n(false, torn).chain(agree) {
                let compared = Record::PushesCompared { client, at: read_at, topic, seq, agree };
                world.sink.record(compared);
            }
            if agree == Some(true) && push == Push::UpdateBatch {
                let message = "a sync:frame came before its sync:update_batch".to_owned();
                self.finding("frame_before_batch", read_at, message, world);
            }
        }
        if push == self.settings.apply {
            self.deliver(&batch.facts, read_at, world);
        }
    }

    /// Records it if a join is answered for a session that is not the client's own.
    fn joined_as<S: Sink>(&self, response: &RawValue, read_at: Micros, world: &mut World<'_, S>) {
        let told = serde_json::from_str::<JoinedFor>(response.get());
        let told = told.ok().map(|told| told.subscription_id);
        let told = told.as_deref().and_then(|id| id.strip_prefix(SUBSCRIPTION_OF));
        if let (Some(own), Some(told)) = (&self.session, told)
            && **own != *told
        {
            let session = said::word(told);
            world.sink.record(Record::JoinedAs { client: self.client, at: read_at, session });
        }
    }

    /// Puts a push of a topic together with its twin. The contract has the batch first (section 3, "Delivery"),
    /// and not that nothing comes between the two: of several that wait each is held against its own, in the
    /// order in which they came. One that comes second is its frame's twin all the same, if they say the same.
    fn pair(&mut self, topic: TopicId, push: Push, content: u64) -> Paired {
        let waiting = self.unpaired.entry(topic).or_default();
        if waiting.front().is_none_or(|(kind, _)| *kind == push) {
            waiting.push_back((push, content));
            let torn = usize::from(waiting.len() > UNPAIRED_MAX);
            waiting.drain(..torn);
            return Paired { torn, agree: None };
        }
        if let Some(own) = waiting.iter().position(|(_, same)| *same == content) {
            waiting.drain(..=own);
            return Paired { torn: own, agree: Some(true) };
        }
        if push == Push::Frame {
            waiting.pop_front();
            return Paired { torn: 0, agree: Some(false) };
        }
        let torn = waiting.len();
        waiting.clear();
        waiting.push_back((push, content));
        Paired { torn, agree: None }
    }

    fn sync_error<S: Sink>(&mut self, text: &str, read_at: Micros, world: &mut World<'_, S>) {
        if let Ok(error) = serde_json::from_str::<&RawValue>(text) {
            let code = payload::error_code(error);
            if code.is_empty() {
                return self.malformed(read_at, "a sync:error lacks `code`".to_owned(), world);
            }
            if code == payload::CODE_SLOW_CONSUMER {
                self.shaped(&shape::SLOW_CONSUMER, "a slow_consumer", error, read_at, world);
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
        if !self.shaped(&shape::REPLY, "a phx_reply", frame.payload, read_at, world) {
            return Action::None;
        }
        let reply: ReplyRef<'_> = match serde_json::from_str(frame.payload.get()) {
            Ok(reply) => reply,
            Err(error) => {
                self.malformed(read_at, format!("a phx_reply: {}", said::error(&error)), world);
                return Action::None;
            }
        };
        if let Some(action) = self.beat_answered(reference, &reply, read_at, now, world) {
            return action;
        }
        if let Some(gone) = &self.unsubscribed
            && reference == Some(gone.reference)
        {
            world.heads.count_answered(gone.fault);
            if reply.status == Status::Ok {
                let (client, topics) = (self.client, gone.topics.clone());
                world.sink.record(Record::Unsubscribed { client, at: read_at, topics });
            }
            return Action::None;
        }
        match self.state {
            State::Joining(pending) if reference == Some(pending.reference) => match reply.status {
                Status::Ok => {
                    self.joins.answered(read_at);
                    let what = "the reply to a join";
                    self.shaped(&shape::JOINED, what, reply.response, read_at, world);
                    self.joined_as(reply.response, read_at, world);
                    self.answered(pending, read_at, Outcome::Ok, "ok", world);
                    self.subscribe_first(now, world)
                }
                Status::Error => self.refused(pending, read_at, now, &reply, world),
            },
            State::Beyond(stay) if reference.is_some() && reference == stay.awaits() => {
                self.answered_beyond(stay, reply.status, read_at, now, world)
            }
            State::Probing(pending, chosen) if reference == Some(pending.reference) => {
                self.probed(pending, chosen, read_at, now, &reply, world)
            }
            State::Subscribing(pending) if reference == Some(pending.reference) => {
                if let Some(fault) = self.proving.take() {
                    world.heads.count_answered(fault);
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
