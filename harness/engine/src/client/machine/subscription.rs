//! Subscribing: cursors, replay, refusals, and the bootstrap that a stale cursor asks for.

use std::collections::BTreeMap;

use khala_evidence::record::{
    Micros, OfflineCause, Outcome, Place, Record, Sink, StaleReason, StaleTopic, SubscribedTopic,
};
use khala_plan::model::SnapshotPath;
use khala_wire::cursor::ResumeAfter;
use khala_wire::message::event;
use khala_wire::payload::{
    self, ReplyRef, StaleCursorSeen, StaleTopicSeen, Subscribe, SubscribedSeen, error_code,
};
use khala_wire::shape;
use khala_wire::snapshot::Snapshot;
use khala_wire::topic::TopicId;

use super::{Action, Machine, Pending, State, World};
use crate::said;

impl Machine {
    pub(super) fn subscribe<S: Sink>(
        &mut self,
        now: Micros,
        topics: Vec<TopicId>,
        world: &mut World<'_, S>,
    ) -> Action {
        let reference = self.take_ref();
        self.epoch += 1;
        self.state = State::Subscribing(Pending { reference, sent_at: now });
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
        let cursors: BTreeMap<String, u64> = topics
            .iter()
            .filter_map(|&topic| Some((topic.name().to_owned(), self.cursor(topic)?)))
            .collect();
        let subscribe = Subscribe {
            replay_batch_size: Some(self.settings.replay_batch_size),
            resume_after: (!cursors.is_empty()).then_some(ResumeAfter::Map(cursors)),
            topics: topics.iter().map(|topic| topic.name().to_owned()).collect(),
        };
        Action::Send(self.message(reference, event::SUBSCRIBE, &subscribe))
    }

    pub(super) fn subscribed<S: Sink>(
        &mut self,
        pending: Pending,
        read_at: Micros,
        now: Micros,
        reply: &ReplyRef<'_>,
        world: &mut World<'_, S>,
    ) -> Action {
        let what = "the reply to a subscribe";
        let shaped = self.shaped(&shape::SUBSCRIBED, what, reply.response, read_at, world);
        let subscribed: SubscribedSeen = match serde_json::from_str(reply.response.get()) {
            Ok(subscribed) => subscribed,
            Err(error) => {
                if shaped {
                    self.malformed(read_at, format!("{what}: {}", said::error(&error)), world);
                }
                let status = "ok, and not of the contract";
                self.answered(pending, read_at, Outcome::ProtocolError, status, world);
                self.go_offline(now, OfflineCause::GaveUp, world);
                return Action::Close;
            }
        };
        self.answered(pending, read_at, Outcome::Ok, "ok", world);
        let watermarks: Vec<(TopicId, u64)> = subscribed
            .current_watermarks
            .iter()
            .filter_map(|mark| Some((TopicId::of(&mark.topic)?, mark.watermark)))
            .collect();
        for &(topic, watermark) in &watermarks {
            // A real client persists where the server says it stands, when it has nothing else.
            self.cursors.entry(topic).or_insert(watermark);
        }
        let (client, epoch) = (self.client, self.epoch);
        world.sink.record(Record::SubscribeOk { client, epoch, at: read_at, watermarks });
        self.state = State::Live;
        self.attempts = 0;
        self.was_live = true;
        Action::None
    }

    /// A join or subscribe was refused.
    pub(super) fn refused<S: Sink>(
        &mut self,
        pending: Pending,
        read_at: Micros,
        now: Micros,
        reply: &ReplyRef<'_>,
        world: &mut World<'_, S>,
    ) -> Action {
        let code = error_code(reply.response);
        let place = match self.state {
            State::Joining(_) => Place::Join,
            _ => Place::Subscribe,
        };
        self.word(read_at, place, code.clone(), world);
        let outcome = match code.as_str() {
            payload::CODE_STALE_CURSOR => Outcome::StaleCursor,
            payload::CODE_REAUTH_REQUIRED => Outcome::RefusedAuth,
            "invalid_client_build"
            | "unsupported_protocol_version"
            | "unsupported_schema_version"
            | "upgrade_required"
            | "unsupported_client_build" => Outcome::RefusedIncompatible,
            _ => Outcome::RefusedTopic,
        };
        if outcome == Outcome::StaleCursor {
            return self.stale(pending, read_at, now, reply, world);
        }
        let status = if code.is_empty() { "error" } else { &said::word(&code) };
        let revoked = outcome == Outcome::RefusedAuth && self.revocation.is_some();
        let outcome = if revoked { Outcome::Interrupted } else { outcome };
        self.answered(pending, read_at, outcome, status, world);
        match outcome {
            // The revocation's doing; it comes back with another session.
            Outcome::Interrupted => {
                self.go_offline(now, OfflineCause::GaveUp, world);
                Action::Close
            }
            Outcome::RefusedAuth | Outcome::RefusedIncompatible => {
                self.go_offline(now, OfflineCause::GaveUp, world);
                self.state = State::Stopped;
                Action::Stop
            }
            _ => {
                self.go_offline(now, OfflineCause::GaveUp, world);
                Action::Close
            }
        }
    }

    /// Cursors were refused: forgets them (all, if the refusal does not say which) and bootstraps.
    fn stale<S: Sink>(
        &mut self,
        pending: Pending,
        read_at: Micros,
        now: Micros,
        reply: &ReplyRef<'_>,
        world: &mut World<'_, S>,
    ) -> Action {
        let stale = match serde_json::from_str::<StaleCursorSeen>(reply.response.get()) {
            Ok(stale) => stale,
            Err(error) => {
                self.malformed(read_at, format!("a stale_cursor: {}", said::error(&error)), world);
                self.answered(
                    pending,
                    read_at,
                    Outcome::StaleCursor,
                    payload::CODE_STALE_CURSOR,
                    world,
                );
                self.cursors.clear();
                return self.subscribe(now, self.settings.topics.clone(), world);
            }
        };
        let topics: Vec<StaleTopic> = stale.stale_topics.iter().filter_map(stale_topic).collect();
        world.heads.count_stale(topics.len() as u64);
        for topic in &topics {
            self.cursors.remove(&topic.topic);
        }
        let snapshots: Vec<TopicId> = match self.settings.snapshot {
            SnapshotPath::Reset => Vec::new(),
            SnapshotPath::Http => stale
                .snapshot_plan
                .topics
                .iter()
                .filter_map(|planned| TopicId::of(&planned.topic))
                .collect(),
        };
        let (client, epoch) = (self.client, self.epoch);
        // Before the operation's end, so that the judge knows what was refused when it counts it.
        world.sink.record(Record::SubscribeStale { client, epoch, at: read_at, topics });
        self.answered(pending, read_at, Outcome::StaleCursor, payload::CODE_STALE_CURSOR, world);
        if snapshots.is_empty() {
            return self.subscribe(now, self.settings.topics.clone(), world);
        }
        self.state = State::Bootstrapping;
        Action::Bootstrap(snapshots)
    }

    /// A snapshot was taken, or not: its watermark is where the client resumes.
    pub fn snapshot<S: Sink>(
        &mut self,
        topic: TopicId,
        (start, done): (Micros, Micros),
        taken: &Result<Option<Snapshot>, Outcome>,
        world: &mut World<'_, S>,
    ) {
        let (outcome, snapshot) = match taken {
            Ok(snapshot) => (Outcome::Ok, snapshot.as_ref()),
            Err(outcome) => (*outcome, None),
        };
        let head = snapshot.map(|snapshot| snapshot.head_watermark);
        let documents = snapshot.map(|it| world.reader.held(it)).unwrap_or_default();
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

fn stale_topic(stale: &StaleTopicSeen) -> Option<StaleTopic> {
    Some(StaleTopic {
        topic: TopicId::of(&stale.topic)?,
        reason: match stale.reason.as_str() {
            payload::STALE_RETENTION_FLOOR => StaleReason::RetentionFloor,
            payload::STALE_REPLAY_BUDGET => StaleReason::ReplayBudget,
            _ => StaleReason::Other,
        },
        cursor: stale.resume_after,
        floor: Some(stale.retention_floor),
        head: Some(stale.head_watermark),
        budget: Some(stale.replay_budget_events),
        lag: Some(stale.replay_lag),
    })
}
