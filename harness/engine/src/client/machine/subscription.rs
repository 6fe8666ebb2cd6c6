//! Subscribing: cursors, replay, refusals, and the bootstrap that a stale cursor asks for.

use khala_evidence::record::{Micros, OfflineCause, Outcome, Place, Record, Sink, SubscribedTopic};
use khala_plan::model::SnapshotPath;
use khala_wire::topic::TopicId;

use super::spoken::{Ask, Came, Refusal, Stale, Subscribe, Why};
use super::{Action, Brought, Machine, Pending, State, Watermarks, World};
use crate::said;

impl Machine {
    pub(super) fn subscribe<S: Sink>(
        &mut self,
        now: Micros,
        topics: Vec<TopicId>,
        world: &mut World<'_, S>,
    ) -> Action {
        self.epoch += 1;
        self.state = State::Subscribing(Pending { sent_at: now });
        let by_fault = std::mem::take(&mut self.resume_by_fault);
        let subscribed = topics
            .iter()
            .map(|&topic| SubscribedTopic {
                topic,
                cursor: self.cursor(topic),
                head_seen: world.heads.seq(topic),
                by_fault,
            })
            .collect();
        for topic in &topics {
            if !self.named.contains(topic) {
                self.named.push(*topic);
            }
        }
        let (client, epoch) = (self.client, self.epoch);
        world.sink.record(Record::SubscribeSent { client, epoch, at: now, topics: subscribed });
        let cursors = topics.iter().filter_map(|&topic| Some((topic, self.cursor(topic)?)));
        let (cursors, batch_size) = (cursors.collect(), self.settings.replay_batch_size);
        let seen = topics.iter().map(|&topic| (topic, world.heads.seq(topic))).collect();
        Action::Ask(Ask::Subscribe(Subscribe { topics, cursors, seen, batch_size }))
    }

    pub(super) fn subscribed<S: Sink>(
        &mut self,
        pending: Pending,
        watermarks: Option<Watermarks>,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        let Some(watermarks) = watermarks else {
            let status = "ok, and not of the contract";
            self.answered(pending, came.read_at, Outcome::ProtocolError, status, world);
            self.go_offline(came.now, OfflineCause::GaveUp, world);
            return Action::Close;
        };
        self.answered(pending, came.read_at, Outcome::Ok, "ok", world);
        for &(topic, watermark) in &watermarks {
            // A real client persists where the server says it stands, when it has nothing else.
            self.cursors.entry(topic).or_insert(watermark);
        }
        let (client, epoch, at) = (self.client, self.epoch, came.read_at);
        world.sink.record(Record::SubscribeOk { client, epoch, at, watermarks });
        self.state = State::Live;
        self.attempts = 0;
        self.was_live = true;
        Action::None
    }

    /// A join or subscribe was refused.
    pub(super) fn refused<S: Sink>(
        &mut self,
        pending: Pending,
        refusal: Refusal,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        let Refusal { word, why } = refusal;
        let place = match self.state {
            State::Joining(_) => Place::Join,
            _ => Place::Subscribe,
        };
        world.word(self.client, came.read_at, place, &word);
        let word = said::word(&word);
        let outcome = match why {
            Why::Stale(stale) => return self.stale(pending, stale, &word, came, world),
            // The revocation's doing; it comes back with another session.
            Why::Auth if self.revocation.is_some() => Outcome::Interrupted,
            Why::Auth => Outcome::RefusedAuth,
            Why::Incompatible => Outcome::RefusedIncompatible,
            Why::Other => Outcome::RefusedTopic,
        };
        let status = if word.is_empty() { "error" } else { &*word };
        self.answered(pending, came.read_at, outcome, status, world);
        self.go_offline(came.now, OfflineCause::GaveUp, world);
        if matches!(outcome, Outcome::RefusedAuth | Outcome::RefusedIncompatible) {
            self.state = State::Stopped;
            return Action::Stop;
        }
        Action::Close
    }

    /// Cursors were refused: forgets them (all, if the refusal does not say which) and bootstraps.
    fn stale<S: Sink>(
        &mut self,
        pending: Pending,
        stale: Result<Stale, String>,
        word: &str,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        let stale = match stale {
            Ok(stale) => stale,
            Err(why) => {
                world.malformed(self.client, came.read_at, why);
                self.answered(pending, came.read_at, Outcome::StaleCursor, word, world);
                self.cursors.clear();
                return self.subscribe(came.now, self.settings.topics.clone(), world);
            }
        };
        let snapshots = self.forget(stale, came, world);
        // After the record of what was refused, so that the judge knows it when it counts the operation.
        self.answered(pending, came.read_at, Outcome::StaleCursor, word, world);
        self.bootstrap(snapshots, came, world)
    }

    /// The subscription in force has ended as stale, without having been asked anything.
    pub(super) fn ended_stale<S: Sink>(
        &mut self,
        stale: Stale,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        if self.state != State::Live {
            return Action::None;
        }
        self.unsubscribed = None;
        let snapshots = self.forget(stale, came, world);
        self.bootstrap(snapshots, came, world)
    }

    /// Forgets stale cursors. Which topics the client takes snapshots of.
    fn forget<S: Sink>(
        &mut self,
        stale: Stale,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Vec<TopicId> {
        let Stale { topics, snapshots } = stale;
        world.heads.count_stale(topics.len() as u64);
        for topic in &topics {
            self.cursors.remove(&topic.topic);
        }
        let (client, epoch, at) = (self.client, self.epoch, came.read_at);
        world.sink.record(Record::SubscribeStale { client, epoch, at, topics });
        match self.settings.snapshot {
            SnapshotPath::Reset => Vec::new(),
            SnapshotPath::Http => snapshots,
        }
    }

    fn bootstrap<S: Sink>(
        &mut self,
        snapshots: Vec<TopicId>,
        came: Came,
        world: &mut World<'_, S>,
    ) -> Action {
        if snapshots.is_empty() {
            return self.subscribe(came.now, self.settings.topics.clone(), world);
        }
        self.state = State::Bootstrapping;
        Action::Bootstrap(snapshots)
    }

    /// A snapshot was taken, or not: its watermark is where the client resumes.
    pub fn snapshot<S: Sink>(
        &mut self,
        topic: TopicId,
        (start, done): (Micros, Micros),
        taken: Result<Option<Brought>, Outcome>,
        world: &mut World<'_, S>,
    ) {
        let (outcome, brought) = match taken {
            Ok(brought) => (Outcome::Ok, brought),
            Err(outcome) => (outcome, None),
        };
        let (head, documents) = match brought {
            Some(Brought { head, documents }) => (Some(head), documents),
            None => (None, Vec::new()),
        };
        if let Some(head) = head {
            self.cursors.insert(topic, head);
        }
        let client = self.client;
        let taken = Record::SnapshotTaken { client, topic, start, done, outcome, head, documents };
        world.sink.record(taken);
    }

    /// All snapshots are there, or will not come: subscribes again.
    pub fn bootstrapped<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        if self.state == State::Bootstrapping && !self.dead_socket {
            self.subscribe(now, self.settings.topics.clone(), world)
        } else {
            Action::None
        }
    }
}
