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
    StaleReason, StaleTopic, SubscribedTopic,
};
use khala_plan::backoff::Backoff;
use khala_plan::model::{Push, SnapshotPath};
use khala_wire::CHANNEL;
use khala_wire::cursor::ResumeAfter;
use khala_wire::frame::{self, Frame, Vsn};
use khala_wire::message::event;
use khala_wire::payload::{
    self, Empty, ReplyRef, SlowConsumer, StaleCursor, Status, Subscribe, Subscribed, Unsubscribe,
    error_code,
};
use khala_wire::topic::TopicId;
use serde::Serialize;

use super::reader::{Batch, Fact, Reader, Unreadable};
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
    /// How a stale topic that has a snapshot is bootstrapped.
    pub snapshot: SnapshotPath,
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
    /// Take snapshots of these topics, then call [`Machine::bootstrapped`].
    Bootstrap(Vec<TopicId>),
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
    Waiting {
        until: Micros,
    },
    Connecting,
    Joining(Pending),
    Subscribing(Pending),
    /// Snapshots are being taken; they are timed out by whoever takes them.
    Bootstrapping,
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
    /// Whether it has ever been live: its very first connect is no reconnect.
    was_live: bool,
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
    /// Digest of the last `sync:update_batch` whose `sync:frame` has not come.
    unpaired: Option<u64>,
    /// Whether a fault chose the cursors of the next subscribe.
    resume_by_fault: bool,
    /// Set while nobody has noticed that the socket is dead: the cut is recorded already.
    dead_socket: bool,
    /// Topics given up on purpose, and when they are subscribed to again.
    unsubscribed: Option<Unsubscribed>,
}

#[derive(Clone, Debug)]
struct Unsubscribed {
    reference: u64,
    topics: Vec<TopicId>,
    until: Micros,
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
            was_live: false,
            connect_due: arrival,
            cursors: BTreeMap::new(),
            epoch: 0,
            next_ref: 1,
            join_ref: 0,
            heartbeat_due: Micros::MAX,
            heartbeat: None,
            retired: false,
            unpaired: None,
            resume_by_fault: false,
            dead_socket: false,
            unsubscribed: None,
        }
    }

    /// What the driver has to wait for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Waiting { until } => Phase::Waiting(until),
            State::Connecting => Phase::Connecting,
            State::Joining(_) | State::Subscribing(_) | State::Bootstrapping | State::Live => {
                Phase::Online
            }
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
            State::Live => self.heartbeat_due.min(self.resubscribe_at()),
            State::Bootstrapping => self.heartbeat_due,
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
            State::Joining(_) | State::Subscribing(_) | State::Bootstrapping | State::Live
                if now >= self.heartbeat_due =>
            {
                self.heartbeat(now, world)
            }
            State::Live if now >= self.resubscribe_at() => {
                let topics = self.unsubscribed.take().map(|gone| gone.topics).unwrap_or_default();
                self.subscribe(now, topics, world)
            }
            _ => Action::None,
        }
    }

    fn resubscribe_at(&self) -> Micros {
        // Over a dead socket nothing is asked: the reconnect takes up all topics.
        let gone = self.unsubscribed.as_ref().filter(|_| !self.dead_socket);
        gone.map_or(Micros::MAX, |gone| gone.until)
    }

    fn times_out_at(&self, pending: Pending) -> Micros {
        pending.sent_at + micros(self.settings.request_timeout)
    }

    fn heartbeat<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        if self.heartbeat.is_some() {
            self.lost(now, OfflineCause::HeartbeatTimeout, world);
            return Action::Close;
        }
        let reference = self.take_ref();
        self.heartbeat = Some((reference, self.heartbeat_due, now));
        // Due times are planned from the connect, so a late one does not move the next. Those that a
        // stall of ours swallowed are skipped: the answer gets at least half an interval, or the
        // stall would look like a dead socket.
        let every = micros(self.settings.heartbeat).max(1);
        let late = now.saturating_sub(self.heartbeat_due);
        self.heartbeat_due += every * (late + every / 2).div_ceil(every).max(1);
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
                    self.subscribe(now, self.settings.topics.clone(), world)
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

    fn subscribe<S: Sink>(
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
        self.was_live = true;
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
        if outcome == Outcome::StaleCursor {
            return self.stale(pending, read_at, now, reply, world);
        }
        self.answered(pending, read_at, outcome, world);
        match outcome {
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
        let stale = match serde_json::from_str::<StaleCursor>(reply.response.get()) {
            Ok(stale) => stale,
            Err(error) => {
                self.finding("unreadable_stale_cursor", error.to_string(), world);
                self.answered(pending, read_at, Outcome::StaleCursor, world);
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
        self.answered(pending, read_at, Outcome::StaleCursor, world);
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
        start: Micros,
        done: Micros,
        taken: Result<Option<u64>, Outcome>,
        world: &mut World<'_, S>,
    ) {
        let (outcome, head) = match taken {
            Ok(head) => (Outcome::Ok, head),
            Err(outcome) => (outcome, None),
        };
        if let Some(head) = head {
            self.cursors.insert(topic, head);
        }
        let client = self.client;
        world.sink.record(Record::SnapshotTaken { client, topic, start, done, outcome, head });
    }

    /// All snapshots are there, or will not come: subscribes again.
    pub fn bootstrapped<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        if self.state == State::Bootstrapping && !self.dead_socket {
            self.subscribe(now, self.settings.topics.clone(), world)
        } else {
            Action::None
        }
    }

    /// A fault chooses the cursors of the next subscribe; topics it does not name keep theirs.
    pub fn resume_from(&mut self, cursors: impl IntoIterator<Item = (TopicId, u64)>) {
        self.cursors.extend(cursors);
        self.resume_by_fault = true;
    }

    /// Gives up topics until a time; whether there was a live subscription to give up.
    pub fn unsubscribe(&mut self, topics: &[TopicId], until: Micros) -> Action {
        let topics: Vec<TopicId> =
            topics.iter().copied().filter(|topic| self.settings.topics.contains(topic)).collect();
        if self.state != State::Live || self.unsubscribed.is_some() || topics.is_empty() {
            return Action::None;
        }
        let reference = self.take_ref();
        let names = topics.iter().map(|topic| topic.name().to_owned()).collect();
        self.unsubscribed = Some(Unsubscribed { reference, topics, until });
        Action::Send(self.message(reference, event::UNSUBSCRIBE, &Unsubscribe { topics: names }))
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

    /// A planned fault cuts the client off for a while; whether there was a socket to cut.
    pub fn cut_until<S: Sink>(
        &mut self,
        now: Micros,
        fault: u16,
        intended: Micros,
        until: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        let cut = self.cut(now, fault, intended, world);
        if cut {
            self.state = State::Waiting { until };
        }
        cut
    }

    /// A planned fault makes the socket half-open: it is dead, and the client does not know.
    pub fn cut_silently<S: Sink>(
        &mut self,
        now: Micros,
        fault: u16,
        intended: Micros,
        world: &mut World<'_, S>,
    ) -> bool {
        if self.phase() != Phase::Online || self.dead_socket {
            return false;
        }
        let cause = OfflineCause::Fault { id: fault, intended };
        world.sink.record(Record::Offline { client: self.client, at: now, cause });
        self.dead_socket = true;
        true
    }

    /// The harness takes the client out of the run; a second time changes nothing.
    pub fn retire<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) {
        if std::mem::replace(&mut self.retired, true) {
            return;
        }
        let connected = self.phase() == Phase::Online && !self.dead_socket;
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
        // Nobody could answer over a socket that a fault has killed.
        let outcome = if self.dead_socket { Outcome::Interrupted } else { outcome };
        self.op(kind, pending.sent_at, pending.sent_at, done, outcome, world);
    }

    fn go_offline<S: Sink>(&mut self, now: Micros, cause: OfflineCause, world: &mut World<'_, S>) {
        // Of a half-open socket the end was recorded when it came, not when the client noticed.
        if !std::mem::take(&mut self.dead_socket) {
            world.sink.record(Record::Offline { client: self.client, at: now, cause });
        }
        self.unpaired = None;
        self.unsubscribed = None;
        self.heartbeat = None;
        self.heartbeat_due = Micros::MAX;
        self.back_off(now);
    }

    fn back_off(&mut self, now: Micros) {
        let reconnect = (self.attempts + u32::from(self.was_live)).max(1);
        let delay = self.settings.backoff.delay(self.settings.seed, self.client, reconnect);
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

fn stale_topic(stale: &payload::StaleTopic) -> Option<StaleTopic> {
    Some(StaleTopic {
        topic: TopicId::of(&stale.topic)?,
        reason: match stale.reason.as_str() {
            payload::STALE_RETENTION_FLOOR => StaleReason::RetentionFloor,
            payload::STALE_REPLAY_BUDGET => StaleReason::ReplayBudget,
            _ => StaleReason::Other,
        },
        cursor: stale.resume_after,
        floor: stale.retention_floor,
        head: stale.head_watermark,
        budget: stale.replay_budget_events,
        lag: stale.replay_lag,
    })
}
