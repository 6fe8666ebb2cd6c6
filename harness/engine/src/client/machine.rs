//! One simulated client as a state machine without I/O.
//!
//! It is told what happened ([`Machine::tick`], [`Machine::told`], …) with the time it happened,
//! records what it saw, and answers with the one [`Action`] to take. It never waits, never reads a
//! clock, and never judges: the oracle does, from the records. Nor does it know how what it says and is
//! told ([`spoken`]) travels: that is the lane's [dialect](super::dialect).
//!
//! It behaves as the surface's real client: mints before every connect, obeys the surface's
//! back-off, applies by `(topic, seq)`, resumes from what it applied, resets on `stale_cursor`,
//! stops on 401/403 and on compatibility failures, and takes a heartbeat without an answer by the
//! next one for a dead socket. Where the lane lets it, it asks the subscription and the session apart, to tell
//! which of the two is dead (`pulse.rs`).

mod beyond;
mod cursor;
mod faulted;
mod life;
mod pulse;
pub mod spoken;
mod subscription;
mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use beyond::{Beyond, Stay};
use khala_evidence::record::{
    Held, Micros, OfflineCause, Op, OpKind, Outcome, Record, Sink, TIMED_OUT, Telling,
};
use khala_plan::backoff::Backoff;
use khala_plan::model::{ChosenCursor, Push, SnapshotPath};
use khala_wire::topic::TopicId;
use pulse::{Beat, Pulse};
use spoken::{Ask, Manners};

use super::world::World;
use crate::clock::micros;
use crate::said;

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
    /// For how long after a rejoin what is addressed to the join before may still come.
    pub settle_within: Duration,
    /// For how long a token of its own is good.
    pub token_ttl: Duration,
    /// How it behaves on its lane.
    pub manners: Manners,
}

impl Settings {
    /// Something that is no batch named a topic, perhaps one of somebody else.
    pub(super) fn named<S: Sink>(
        &self,
        client: u32,
        at: Micros,
        name: &str,
        by: Telling,
        world: &mut World<'_, S>,
    ) {
        if !TopicId::of(name).is_some_and(|topic| self.topics.contains(&topic)) {
            let topic = said::word(name);
            world.sink.record(Record::Named { client, at, topic, by });
        }
    }

    /// How long a client stays subscribed whose cursor beyond head was accepted.
    fn future_stay(&self) -> Duration {
        khala_plan::estimate::future_stay(self.settle_within)
    }
}

/// Where a target says that a client stands, by topic.
pub(crate) type Watermarks = Vec<(TopicId, u64)>;

/// A snapshot, as far as a client resumes from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its watermark.
    pub head: u64,
    /// What it holds of our workers' documents.
    pub documents: Vec<Held>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Mint a token and connect.
    Connect,
    /// Ask.
    Ask(Ask),
    /// Ask twice, one after the other.
    AskBoth([Ask; 2]),
    /// Say goodbye in good order; the machine is offline already.
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
    /// A token and a session are being made.
    Connecting,
    /// There is a session.
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
    /// A fault's cursor was sent: whatever comes until the answer is not the client's to apply.
    Probing(Pending, Chosen),
    /// A cursor beyond head was accepted: it waits for what comes of the topics, none of it to apply.
    Beyond(Stay),
    /// Snapshots are being taken; they are timed out by whoever takes them.
    Bootstrapping,
    Live,
    /// The channel crashed and the socket is still there: the client joins again on it.
    Rejoining {
        until: Micros,
    },
    Stopped,
}

/// A cursor that a fault chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    fault: u16,
    intended: Micros,
    cursor: ChosenCursor,
}

/// A request without an answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
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
    /// Topics that a subscribe of the join in force has named.
    named: Vec<TopicId>,
    /// Whether the target has told the client off for good: it will end the channel.
    told_off: bool,
    heartbeat_due: Micros,
    /// The channel's heartbeat that has no answer yet.
    heartbeat: Option<Beat>,
    /// What the socket's own heartbeats say.
    pulse: Pulse,
    retired: bool,
    /// Whether a fault chose the cursors of the next subscribe.
    resume_by_fault: bool,
    /// The cursor that a fault wants in the next subscribe.
    chosen: Option<Chosen>,
    /// What was subscribed to with a cursor beyond head.
    beyond: Vec<Beyond>,
    /// The fault whose old cursors are in the subscribe that is under way.
    proving: Option<u16>,
    /// Set while nobody has noticed that the socket is dead: the cut is recorded already.
    dead_socket: bool,
    /// Topics given up on purpose, and when they are subscribed to again.
    unsubscribed: Option<Unsubscribed>,
    /// The revocation of the session of the socket there is.
    revocation: Option<Revocation>,
    /// Whether the session of the socket there is was to be revoked, whatever came of it.
    revocation_tried: bool,
    /// A restart of the target that the socket there is will not outlive: the fault, and when the plan
    /// wants it.
    restart: Option<(u16, Micros)>,
}

/// A planned revocation.
#[derive(Clone, Copy, Debug)]
struct Revocation {
    fault: u16,
    intended: Micros,
    /// When to come back with a new session.
    until: Micros,
}

#[derive(Clone, Debug)]
struct Unsubscribed {
    fault: u16,
    topics: Vec<TopicId>,
    until: Micros,
    /// When that was asked, while it has no answer.
    asked: Option<Micros>,
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
            named: Vec::new(),
            told_off: false,
            heartbeat_due: Micros::MAX,
            heartbeat: None,
            pulse: Pulse::default(),
            retired: false,
            resume_by_fault: false,
            chosen: None,
            beyond: Vec::new(),
            proving: None,
            dead_socket: false,
            unsubscribed: None,
            revocation: None,
            revocation_tried: false,
            restart: None,
        }
    }

    /// Where the first subscribe resumes, on topics of the client's own.
    pub fn begin_at(&mut self, heads: &[(TopicId, u64)]) {
        let own = heads.iter().filter(|(topic, _)| self.settings.topics.contains(topic));
        self.cursors.extend(own.copied());
    }

    /// What the driver has to wait for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Waiting { until } => Phase::Waiting(until),
            State::Connecting => Phase::Connecting,
            State::Joining(_)
            | State::Subscribing(_)
            | State::Probing(..)
            | State::Beyond(_)
            | State::Bootstrapping
            | State::Rejoining { .. }
            | State::Live => Phase::Online,
            State::Stopped => Phase::Stopped,
        }
    }

    /// When [`Machine::tick`] wants to be called, at the latest.
    #[must_use]
    pub fn deadline(&self) -> Micros {
        match self.state {
            State::Waiting { until } => until,
            State::Joining(pending) | State::Subscribing(pending) | State::Probing(pending, _) => {
                self.times_out_at(pending).min(self.heartbeat_due)
            }
            State::Beyond(stay) => self.stay_deadline(stay).min(self.heartbeat_due),
            State::Live => self.heartbeat_due.min(self.resubscribe_at()).min(self.unanswered_at()),
            State::Bootstrapping => self.heartbeat_due,
            State::Rejoining { until } => until,
            State::Connecting | State::Stopped => Micros::MAX,
        }
    }

    /// Whether replay is complete on the socket there is.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether the target has a reason to say that the session is no longer good: a revocation, or the token's
    /// end.
    #[must_use]
    pub fn may_be_let_go(&self, at: Micros) -> bool {
        let ends = self.connect_due.saturating_add(micros(self.settings.token_ttl));
        self.revocation_tried || at >= ends
    }

    /// Whether it has begun its first connect, and may connect again.
    #[must_use]
    pub fn is_present(&self) -> bool {
        (self.attempts > 0 || self.was_live) && self.state != State::Stopped
    }

    /// Whether it waits for an answer that can come over its socket.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        let asked = match self.state {
            State::Joining(_) | State::Subscribing(_) | State::Probing(..) => true,
            State::Live | State::Bootstrapping => self.heartbeat.is_some(),
            State::Beyond(stay) => stay.awaits() || self.heartbeat.is_some(),
            State::Connecting
            | State::Waiting { .. }
            | State::Rejoining { .. }
            | State::Stopped => false,
        };
        asked && !self.dead_socket
    }

    /// Whether it waits for snapshots.
    #[must_use]
    pub fn is_bootstrapping(&self) -> bool {
        self.state == State::Bootstrapping
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
                let at = self.times_out_at(pending);
                self.answered(pending, at, Outcome::Timeout, TIMED_OUT, world);
                self.go_offline(now, OfflineCause::GaveUp, world);
                Action::Close
            }
            State::Probing(pending, _) if now >= self.times_out_at(pending) => {
                self.unprobed(pending, now, world)
            }
            State::Beyond(stay) if now >= self.stay_deadline(stay) => {
                self.tick_beyond(stay, now, world)
            }
            State::Rejoining { until } if now >= until => self.rejoin(now, world),
            State::Joining(_)
            | State::Subscribing(_)
            | State::Probing(..)
            | State::Beyond(_)
            | State::Bootstrapping
            | State::Live
                if now >= self.heartbeat_due =>
            {
                self.heartbeat(now, world)
            }
            State::Live if now >= self.unanswered_at() => {
                self.left_in_vain(world);
                self.resubscribe(now, world)
            }
            State::Live => self.resubscribe(now, world),
            _ => Action::None,
        }
    }

    /// Takes up what was given up, if it is time.
    fn resubscribe<S: Sink>(&mut self, now: Micros, world: &mut World<'_, S>) -> Action {
        if now < self.resubscribe_at() {
            return Action::None;
        }
        let topics = self.unsubscribed.take().map(|gone| gone.topics).unwrap_or_default();
        self.subscribe(now, topics, world)
    }

    fn resubscribe_at(&self) -> Micros {
        // Over a dead socket nothing is asked: the reconnect takes up all topics.
        let gone = self.unsubscribed.as_ref().filter(|_| !self.dead_socket);
        // Whether topics were given up is to be known before they are taken up again.
        gone.map_or(Micros::MAX, |gone| gone.until.max(self.unanswered_at_of(gone).unwrap_or(0)))
    }

    fn unanswered_at_of(&self, gone: &Unsubscribed) -> Option<Micros> {
        Some(self.times_out_at(Pending { sent_at: gone.asked? }))
    }

    /// When an unsubscribe without an answer has waited for long enough.
    fn unanswered_at(&self) -> Micros {
        let gone = self.unsubscribed.as_ref().filter(|_| !self.dead_socket);
        gone.and_then(|gone| self.unanswered_at_of(gone)).unwrap_or(Micros::MAX)
    }

    fn times_out_at(&self, pending: Pending) -> Micros {
        pending.sent_at + micros(self.settings.request_timeout)
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
}
