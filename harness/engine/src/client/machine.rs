//! One simulated client as a state machine without I/O.
//!
//! It is told what happened ([`Machine::tick`], [`Machine::text`], …) with the time it happened,
//! records what it saw, and answers with the one [`Action`] to take. It never waits, never reads a
//! clock, and never judges: the oracle does, from the records.
//!
//! It behaves as the surface's real client: mints before every connect, obeys the surface's
//! back-off, applies by `(topic, seq)`, resumes from what it applied, resets on `stale_cursor`,
//! stops on 401/403 and on compatibility failures, and takes a heartbeat without an answer by the
//! next one for a dead socket.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_evidence::record::{
    Delivery, Micros, OfflineCause, Op, OpKind, Outcome, PublishId, Record, Sink, Source,
    SubscribedTopic,
};
use khala_plan::backoff::Backoff;
use khala_plan::model::Push;
use khala_wire::CHANNEL;
use khala_wire::cursor::ResumeAfter;
use khala_wire::frame::{self, Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{
    self, Empty, ReplyRef, StaleCursor, Status, Subscribe, Subscribed, error_code,
};
use khala_wire::topic::TopicId;
use serde::Serialize;

use super::reader::Reader;
use crate::clock::micros;
use crate::heads::LocalHeads;

/// What all clients of a cohort have in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Root of the jitter.
    pub seed: u64,
    /// What is subscribed to.
    pub topics: Vec<TopicId>,
    /// When it reconnects.
    pub backoff: Backoff,
    /// How often it heartbeats.
    pub heartbeat: Duration,
    /// `replay_batch_size`.
    pub replay_batch_size: u32,
    /// How long a join or subscribe may take.
    pub request_timeout: Duration,
    /// Which push of a batch is applied.
    pub apply: Push,
}

/// What a client reads and writes beside its own state.
pub struct World<'a, S> {
    /// Takes the records.
    pub sink: &'a mut S,
    /// Reads batches.
    pub reader: &'a mut Reader,
    /// What other clients have seen.
    pub heads: &'a LocalHeads,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Mint a token and connect.
    Connect,
    /// Send a text frame.
    Send(String),
    /// Close the socket with code 1000; the machine is offline already.
    Close,
    /// Never connect again.
    Stop,
}

/// What the driver has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A connect is due at this time.
    Waiting(Micros),
    /// A token and a socket are being made.
    Connecting,
    /// There is a socket.
    Online,
    /// Nothing, ever.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { until: Micros },
    Connecting,
    Joining(Pending),
    Subscribing(Pending),
    Live,
    Stopped,
}

/// A request without an answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    reference: u64,
    sent_at: Micros,
}

/// One simulated client.
#[derive(Debug)]
pub struct Machine {
    client: u32,
    settings: std::rc::Rc<Settings>,
    state: State,
    /// Connects since it was last live.
    attempts: u32,
    /// When the connect in progress was due.
    connect_due: Micros,
    /// Last applied seq, by topic; survives reconnects.
    cursors: BTreeMap<TopicId, u64>,
    /// Number of the last subscribe.
    epoch: u32,
    next_ref: u64,
    join_ref: u64,
    heartbeat_due: Micros,
    heartbeat: Option<(u64, Micros, Micros)>,
    retired: bool,
}

impl Machine {
    /// A client that connects for the first time at `arrival`.
    #[must_use]
    pub fn new(client: u32, settings: std::rc::Rc<Settings>, arrival: Micros) -> Self {
        Self {
            client,
            settings,
            state: State::Waiting { until: arrival },
            attempts: 0,
            connect_due: arrival,
            cursors: BTreeMap::new(),
            epoch: 0,
            next_ref: 1,
            join_ref: 0,
            heartbeat_due: Micros::MAX,
            heartbeat: None,
            retired: false,
        }
    }

    /// What the driver has to wait for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Waiting { until } => Phase::Waiting(until),
            State::Connecting => Phase::Connecting,
            State::Joining(_) | State::Subscribing(_) | State::Live => Phase::Online,
            State::Stopped => Phase::Stopped,
        }
    }

    /// When [`Machine::tick`] wants to be called, at the latest.
    #[must_use]
    pub fn deadline(&self) -> Micros {
        match self.state {
            State::Waiting { until } => until,
            State::Joining(pending) | State::Subscribing(pending) => {
                self.times_out_at(pending).min(self.heartbeat_due)
            }
            State::Live => self.heartbeat_due,
            State::Connecting | State::Stopped => Micros::MAX,
        }
    }

    /// Whether replay is complete on the socket there is.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Last applied seq of a topic.
    #[must_use]
    pub fn cursor(&self, topic: TopicId) -> Option<u64> {
        self.cursors.get(&topic).copied()
    }

    /// Last applied seqs of all topics it subscribes to.
    pub fn cursors(&self) -> impl Iterator<Item = (TopicId, Option<u64>)> + '_ {
        self.settings.topics.iter().map(|&topic| (topic, self.cursor(topic)))
    }

    /// Time has come this far.
    pub fn tick<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        match self.state {
            State::Waiting { until } if now >= until => {
                self.state = State::Connecting;
                self.connect_due = until;
                self.attempts += 1;
                let (client, attempt) = (self.client, self.attempts);
                world.sink.record(Record::ConnectBegun { client, at: now, attempt });
                Action::Connect
            }
            State::Joining(pending) | State::Subscribing(pending)
                if now >= self.times_out_at(pending) =>
            {
                self.answered(pending, self.times_out_at(pending), Outcome::Timeout, world);
                self.go_offline(now, OfflineCause::GaveUp, world);
                Action::Close
            }
            State::Joining(_) | State::Subscribing(_) | State::Live
                if now >= self.heartbeat_due =>
            {
                self.heartbeat(now, world)
            }
            _ => Action::None,
        }
    }

    fn times_out_at(&self, pending: Pending) -> Micros {
        pending.sent_at + micros(self.settings.request_timeout)
    }

    fn heartbeat<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        if self.heartbeat.is_some() {
            self.go_offline(now, OfflineCause::HeartbeatTimeout, world);
            return Action::Close;
        }
        let reference = self.take_ref();
        self.heartbeat = Some((reference, self.heartbeat_due, now));
        // Due times are planned from the join, so a late one does not move the next.
        self.heartbeat_due += micros(self.settings.heartbeat);
        Action::Send(self.message(reference, event::HEARTBEAT, &Empty {}))
    }

    /// A token request ended.
    pub fn minted<S: Sink>(
        &mut self,
        start: Micros,
        done: Micros,
        outcome: Outcome,
        world: &mut World<'_, S>,
    ) -> Action {
        self.op(OpKind::Mint, self.connect_due, start, done, outcome, world);
        if outcome == Outcome::Ok { Action::None } else { self.connect_failed_at(done, outcome) }
    }

    /// A connect failed.
    pub fn connect_failed<S: Sink>(
        &mut self,
        start: Micros,
        done: Micros,
        outcome: Outcome,
        world: &mut World<'_, S>,
    ) -> Action {
        self.op(OpKind::Connect, self.connect_due, start, done, outcome, world);
        self.connect_failed_at(done, outcome)
    }

    fn connect_failed_at(&mut self, now: Micros, outcome: Outcome) -> Action {
        if matches!(outcome, Outcome::RefusedAuth | Outcome::RefusedIncompatible) {
            self.state = State::Stopped;
            return Action::Stop;
        }
        self.back_off(now);
        Action::None
    }

    /// The upgrade was accepted.
    pub fn connected<S: Sink>(
        &mut self,
        start: Micros,
        done: Micros,
        world: &mut World<'_, S>,
    ) -> Action {
        self.op(OpKind::Connect, self.connect_due, start, done, Outcome::Ok, world);
        world.sink.record(Record::Connected { client: self.client, at: done });
        self.heartbeat_due = done + micros(self.settings.heartbeat);
        self.heartbeat = None;
        let reference = self.take_ref();
        self.join_ref = reference;
        self.state = State::Joining(Pending { reference, sent_at: done });
        Action::Send(self.message(reference, event::JOIN, &Empty {}))
    }

    /// A text frame arrived; `read_at` is when its bytes were read, `now` when it is handled.
    pub fn text<S: Sink>(
        &mut self,
        read_at: Micros,
        now: Micros,
        text: &str,
        world: &mut World<'_, S>,
    ) -> Action {
        let frame = match Frame::parse(Vsn::V2, text) {
            Ok(frame) => frame,
            Err(error) => {
                self.finding("unreadable_frame", error.to_string(), world);
                return Action::None;
            }
        };
        match (&*frame.event, self.settings.apply) {
            (event::FRAME, Push::Frame) => {
                let facts = world.reader.frame(frame.payload.get());
                self.deliver(facts, read_at, world);
                Action::None
            }
            (event::UPDATE_BATCH, Push::UpdateBatch) => {
                let facts = world.reader.batch(frame.payload.get());
                self.deliver(facts, read_at, world);
                Action::None
            }
            (event::REPLY, _) => self.reply(&frame, read_at, now, world),
            (event::CLOSE | event::ERROR, _)
                if frame.channel == CHANNEL && frame.join_ref_number() == Some(self.join_ref) =>
            {
                self.go_offline(now, OfflineCause::ChannelClosed, world);
                Action::Close
            }
            (
                event::FRAME | event::UPDATE_BATCH | event::HEARTBEAT | event::SYNC_ERROR
                | event::CLOSE | event::ERROR,
                _,
            ) => Action::None,
            (other, _) => {
                let message = format!("event `{other}` on channel `{}`", frame.channel);
                self.finding("unknown_event", message, world);
                Action::None
            }
        }
    }

    fn deliver<S: Sink>(
        &mut self,
        facts: Result<std::rc::Rc<[super::reader::Fact]>, super::reader::Unreadable>,
        read_at: Micros,
        world: &mut World<'_, S>,
    ) {
        let facts = match facts {
            Ok(facts) => facts,
            Err(error) => return self.finding("unreadable_batch", error.to_string(), world),
        };
        for fact in facts.iter() {
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
        if let Some((heartbeat, due, sent_at)) = self.heartbeat
            && reference == Some(heartbeat)
        {
            self.heartbeat = None;
            let outcome = match reply.status {
                Status::Ok => Outcome::Ok,
                Status::Error => Outcome::ProtocolError,
            };
            self.op(OpKind::Heartbeat, due, sent_at, read_at, outcome, world);
            return Action::None;
        }
        match self.state {
            State::Joining(pending) if reference == Some(pending.reference) => match reply.status {
                Status::Ok => {
                    self.answered(pending, read_at, Outcome::Ok, world);
                    self.subscribe(now, world)
                }
                Status::Error => self.refused(pending, read_at, now, &reply, world),
            },
            State::Subscribing(pending) if reference == Some(pending.reference) => {
                match reply.status {
                    Status::Ok => self.subscribed(pending, read_at, now, &reply, world),
                    Status::Error => self.refused(pending, read_at, now, &reply, world),
                }
            }
            // An answer to a request that has timed out, or to a heartbeat of an older socket.
            _ => Action::None,
        }
    }

    fn subscribe<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        let reference = self.take_ref();
        self.epoch += 1;
        self.state = State::Subscribing(Pending { reference, sent_at: now });
        let topics = self
            .cursors()
            .map(|(topic, cursor)| {
                let head_seen = world.heads.seq(topic);
                SubscribedTopic { topic, cursor, head_seen }
            })
            .collect();
        let (client, epoch) = (self.client, self.epoch);
        world.sink.record(Record::SubscribeSent { client, epoch, at: now, topics });
        let cursors: BTreeMap<String, u64> = self
            .cursors()
            .filter_map(|(topic, cursor)| Some((topic.name().to_owned(), cursor?)))
            .collect();
        let subscribe = Subscribe {
            replay_batch_size: Some(self.settings.replay_batch_size),
            resume_after: (!cursors.is_empty()).then_some(ResumeAfter::Map(cursors)),
            topics: self.settings.topics.iter().map(|topic| topic.name().to_owned()).collect(),
        };
        Action::Send(self.message(reference, event::SUBSCRIBE, &subscribe))
    }

    fn subscribed<S: Sink>(
        &mut self,
        pending: Pending,
        read_at: Micros,
        now: Micros,
        reply: &ReplyRef<'_>,
        world: &mut World<'_, S>,
    ) -> Action {
        let subscribed: Subscribed = match serde_json::from_str(reply.response.get()) {
            Ok(subscribed) => subscribed,
            Err(error) => {
                self.finding("unreadable_reply", error.to_string(), world);
                self.answered(pending, read_at, Outcome::ProtocolError, world);
                self.go_offline(now, OfflineCause::GaveUp, world);
                return Action::Close;
            }
        };
        self.answered(pending, read_at, Outcome::Ok, world);
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
        Action::None
    }

    /// A join or subscribe was refused.
    fn refused<S: Sink>(
        &mut self,
        pending: Pending,
        read_at: Micros,
        now: Micros,
        reply: &ReplyRef<'_>,
        world: &mut World<'_, S>,
    ) -> Action {
        let code = error_code(reply.response);
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
        self.answered(pending, read_at, outcome, world);
        match outcome {
            Outcome::StaleCursor => {
                self.reset_stale(reply);
                self.subscribe(now, world)
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

    /// Forgets the cursors that were refused, all of them if the refusal does not say which.
    fn reset_stale(&mut self, reply: &ReplyRef<'_>) {
        match serde_json::from_str::<StaleCursor>(reply.response.get()) {
            Ok(stale) => {
                for topic in stale.stale_topics.iter().filter_map(|t| TopicId::of(&t.topic)) {
                    self.cursors.remove(&topic);
                }
            }
            Err(_) => self.cursors.clear(),
        }
    }

    /// The socket was closed by the target, with a code or without.
    pub fn closed<S: Sink>(&mut self, now: Micros, code: Option<u16>, world: &mut World<'_, S>) {
        self.lost(now, OfflineCause::ClosedByTarget { code }, world);
    }

    /// The connection broke.
    pub fn broken<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) {
        self.lost(now, OfflineCause::Broken, world);
    }

    fn lost<S: Sink>(&mut self, now: Micros, cause: OfflineCause, world: &mut World<'_, S>) {
        if let State::Joining(pending) | State::Subscribing(pending) = self.state {
            self.answered(pending, now, Outcome::ConnectionFailed, world);
        }
        if self.phase() == Phase::Online {
            self.go_offline(now, cause, world);
        }
    }

    /// A planned fault cuts the socket; whether there was one to cut.
    pub fn cut<S: Sink>(
        &mut self,
        now: Micros,
        fault: u16,
        intended: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        if self.phase() != Phase::Online {
            return false;
        }
        if let State::Joining(pending) | State::Subscribing(pending) = self.state {
            self.answered(pending, now, Outcome::Interrupted, world);
        }
        self.go_offline(now, OfflineCause::Fault { id: fault, intended }, world);
        true
    }

    /// The harness takes the client out of the run; a second time changes nothing.
    pub fn retire<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) {
        if std::mem::replace(&mut self.retired, true) {
            return;
        }
        let connected = self.phase() == Phase::Online;
        if let State::Joining(pending) | State::Subscribing(pending) = self.state {
            self.answered(pending, now, Outcome::Interrupted, world);
        }
        world.sink.record(Record::Retired { client: self.client, at: now, connected });
        self.state = State::Stopped;
    }

    fn answered<S: Sink>(
        &self,
        pending: Pending,
        done: Micros,
        outcome: Outcome,
        world: &mut World<'_, S>,
    ) {
        let kind = match self.state {
            State::Joining(_) => OpKind::Join,
            _ => OpKind::Subscribe,
        };
        self.op(kind, pending.sent_at, pending.sent_at, done, outcome, world);
    }

    fn go_offline<S: Sink>(&mut self, now: Micros, cause: OfflineCause, world: &mut World<'_, S>) {
        world.sink.record(Record::Offline { client: self.client, at: now, cause });
        self.heartbeat = None;
        self.heartbeat_due = Micros::MAX;
        self.back_off(now);
    }

    fn back_off(&mut self, now: Micros) {
        let delay = self.settings.backoff.delay(self.settings.seed, self.client, self.attempts + 1);
        self.state = State::Waiting { until: now + micros(delay) };
    }

    fn op<S: Sink>(
        &self,
        kind: OpKind,
        intended: Micros,
        start: Micros,
        done: Micros,
        outcome: Outcome,
        world: &mut World<'_, S>,
    ) {
        let client = self.client;
        world.sink.record(Record::Op(Op { client, kind, intended, start, done, outcome }));
    }

    fn finding<S: Sink>(&self, name: &str, message: String, world: &mut World<'_, S>) {
        world.sink.record(Record::Finding { name: name.to_owned(), message });
    }

    fn take_ref(&mut self) -> u64 {
        let reference = self.next_ref;
        self.next_ref += 1;
        reference
    }

    fn message<P: Serialize>(&self, reference: u64, event: &str, payload: &P) -> String {
        let join_ref = frame::string_ref(self.join_ref);
        let msg_ref = frame::string_ref(reference);
        frame::encode(Vsn::V2, Some(&join_ref), Some(&msg_ref), CHANNEL, event, payload)
    }
}
