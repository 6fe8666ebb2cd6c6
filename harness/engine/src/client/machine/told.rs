//! What the machine does about what it is told.
//!
//! Which topics a batch is of is looked at before what it says.

use khala_evidence::record::{Delivery, Outcome, PublishId, Record, Sink, Source, Telling};

use super::super::batch::{Fact, Over, Spoken};
use super::spoken::{Came, Event, Heard, Refusal, ToldOff};
use super::{Action, Machine, State, World};
use crate::said;

impl Machine {
    /// Something came, and this is what it means.
    pub fn told<S: Sink>(
        &mut self,
        event: Event<'_>,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        if !self.hears() {
            return Action::None;
        }
        match event {
            Event::Joined => self.joined(came, world),
            Event::Subscribed(watermarks) => self.subscribe_answered(watermarks, came, world),
            Event::Refused(refusal) => self.asked_in_vain(refusal, came, world),
            Event::Stale(stale) => self.ended_stale(stale, came, world),
            Event::Beaten { ok, heads } => {
                self.beaten(ok, heads, came, world);
                Action::None
            }
            Event::Pinged => self.pinged(came, world),
            Event::Passed(ok) => self.passed(ok, came, world),
            Event::Ended { cause, may_rejoin } => self.ended(cause, may_rejoin, came, world),
            Event::Unsubscribed(ok) => {
                self.unsubscribe_answered(ok, came, world);
                Action::None
            }
            Event::Heard(heard) => {
                self.heard(heard, came, world);
                Action::None
            }
            Event::Overheard(topics) => {
                for spoken in topics.iter().filter(|spoken| !self.is_asked_for(spoken)) {
                    self.unasked(spoken, came, world);
                }
                Action::None
            }
            Event::Delivered(facts) => {
                self.deliver(facts, came, world);
                Action::None
            }
            Event::ToldOff(ToldOff { last, depth, limit }) => {
                self.told_off |= last;
                if last {
                    world.heads.count_told_off();
                }
                world.sink.record(Record::SlowConsumer {
                    client: self.client,
                    at: came.read_at,
                    disconnect: last,
                    queue_depth: depth,
                    queue_limit: limit,
                });
                Action::None
            }
        }
    }

    /// Whether what comes is still the client's: of a session that a fault has killed, what was read before is
    /// not, since to the judge the client has been offline since.
    #[must_use]
    pub fn hears(&self) -> bool {
        !self.dead_socket
    }

    /// Whether what batches carry is the client's to apply; not while it tries cursors that are not its own.
    #[must_use]
    pub fn applies(&self) -> bool {
        !matches!(self.state, State::Probing(..) | State::Beyond(_))
    }

    fn joined<S: Sink>(&mut self, came: Came, world: &mut World<'_, S>) -> Action {
        let State::Joining(pending) = self.state else { return Action::None };
        self.answered(pending, came.read_at, Outcome::Ok, "ok", world);
        self.subscribe_first(came.now, world)
    }

    fn subscribe_answered<S: Sink>(
        &mut self,
        watermarks: Option<super::Watermarks>,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        match self.state {
            State::Probing(pending, chosen) => {
                self.tried_and_taken(pending, chosen, watermarks, came, world)
            }
            State::Subscribing(pending) => {
                self.proven(world);
                self.subscribed(pending, watermarks, came, world)
            }
            _ => Action::None,
        }
    }

    fn asked_in_vain<S: Sink>(
        &mut self,
        refusal: Refusal,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        match self.state {
            State::Probing(pending, chosen) => {
                self.tried_in_vain(pending, chosen, &refusal, came, world)
            }
            State::Joining(pending) => self.refused(pending, refusal, came, world),
            State::Subscribing(pending) => {
                self.proven(world);
                self.refused(pending, refusal, came, world)
            }
            _ => Action::None,
        }
    }

    /// The subscribe with a fault's old cursors has its answer, whatever it is.
    fn proven<S: Sink>(&mut self, world: &mut World<'_, S>) {
        if let Some(fault) = self.proving.take() {
            world.heads.count_answered(fault);
        }
    }

    fn unsubscribe_answered<S: Sink>(&mut self, ok: bool, came: Came, world: &mut World<'_, S>) {
        let Some(gone) = &self.unsubscribed else { return };
        world.heads.count_answered(gone.fault);
        if ok {
            let (client, topics) = (self.client, gone.topics.clone());
            world.sink.record(Record::Unsubscribed { client, at: came.read_at, topics });
        }
        let (outcome, status) = match ok {
            true => (Outcome::Ok, "ok"),
            false => (Outcome::RefusedTopic, "refused"),
        };
        self.left(came.read_at, outcome, status, world);
    }

    /// A copy of a batch: authority before content.
    fn heard<S: Sink>(&mut self, heard: Heard<'_>, came: Came, world: &mut World<'_, S>) {
        let Heard { batch, again, applied } = heard;
        let (client, at) = (self.client, came.read_at);
        let mut all_named = true;
        for spoken in batch.topics.iter().chain(batch.beside.iter()) {
            if !self.is_asked_for(spoken) {
                all_named = false;
                // Another copy, just before it, may have said the same.
                if !again {
                    self.unasked(spoken, came, world);
                }
            }
        }
        if let (true, Some(why)) = (all_named, &batch.malformed) {
            let why = Box::from(&**why);
            world.sink.record(Record::Malformed { client, at, flaw: batch.flaw, why });
        }
        for name in batch.heads.iter().filter(|_| !again) {
            self.settings.named(client, at, name, Telling::Heads, world);
        }
        if let Some(name) = batch.named.as_ref().filter(|_| !again) {
            self.settings.named(client, at, name, Telling::Frame, world);
        }
        for (name, message) in batch.notes.iter() {
            world.finding(client, name, at, message.to_string());
        }
        if applied {
            for &Over { limit, size, topic, seqs } in batch.over.iter() {
                world.sink.record(Record::OverLimit { client, at, limit, size, topic, seqs });
            }
        }
        if let State::Beyond(_) = self.state {
            batch.facts.iter().for_each(|fact| self.came_beyond(fact.topic, fact.seq));
        }
    }

    /// Whether a subscribe on this session named a topic.
    fn is_asked_for(&self, spoken: &Spoken) -> bool {
        spoken.id.is_some_and(|id| self.named.contains(&id))
    }

    fn unasked<S: Sink>(&self, spoken: &Spoken, came: Came, world: &mut World<'_, S>) {
        let (client, at, seq) = (self.client, came.read_at, spoken.seq);
        let topic = said::word(&spoken.name);
        world.sink.record(Record::Unasked { client, at, topic, seq });
    }

    fn deliver<S: Sink>(&mut self, facts: &[Fact], came: Came, world: &mut World<'_, S>) {
        if !self.applies() {
            return;
        }
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
                at: came.read_at,
                content: fact.content,
                hash_fits: fact.hash_fits,
                source: fact.source,
            }));
            let cursor = self.cursors.entry(fact.topic).or_default();
            *cursor = fact.seq.max(*cursor);
        }
    }
}
