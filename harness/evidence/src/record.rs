//! What the engine tells the judge: typed records, and the [`Sink`] that takes them.
//!
//! Records are the only road from sockets to verdicts. They hold facts as a client or publisher saw
//! them and never a judgement, and they name no lane where the fact is one of any lane: a client has a
//! session, which begins with a connect. What a lane alone can show (how a connection was cut, RFC 6455
//! broken, a channel that ends on a session that stays) keeps the lane's words. The words of recordings
//! and journals are older than these names, and stay. All times are microseconds from the start of the run on the run's
//! one monotonic clock.

mod answer;
mod content;
mod ending;
mod seen;
#[cfg(test)]
mod tests;

pub use khala_plan::model::{BadToken, Step};
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

pub use self::answer::{Answered, Op, OpKind, Outcome, Request, Resource, TIMED_OUT};
pub use self::content::{
    Delivery, Held, Limit, NO_CONTENT, PublishId, Published, Source, StaleReason, StaleTopic,
    SubscribedTopic, Tier,
};
pub use self::ending::{
    Addressee, Breach, CommandAnswer, Cut, Flaw, OfflineCause, Place, Telling, TokenAnswer,
};
pub use self::seen::{Heard, Probe, RenewalSign};

/// Microseconds from the start of the run.
pub type Micros = u64;

/// The second of the run that an instant is in.
#[must_use]
pub fn second_of(at: Micros) -> u32 {
    u32::try_from(at / 1_000_000).unwrap_or(u32::MAX)
}

/// Takes records. A [`crate::Shard`] judges them as they come; a recording keeps them.
pub trait Sink {
    /// Takes one record.
    fn record(&mut self, record: Record);
}

impl Sink for Vec<Record> {
    fn record(&mut self, record: Record) {
        self.push(record);
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A timed operation of a client ended, one way or another.
    Op(Op),
    /// A client began a connect: number `attempt` since it was last recovered, from 1.
    ConnectBegun {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// From 1.
        attempt: u32,
    },
    /// A client whose channel was ended on a session that is still there joins it again.
    Rejoining {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
    },
    /// A client's connect was taken: it has a session.
    Connected {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
    },
    /// A client is about to send a subscribe: a new epoch begins on these topics.
    SubscribeSent {
        /// The client.
        client: u32,
        /// Number of the subscribe in the client's life, from 1.
        epoch: u32,
        /// When.
        at: Micros,
        /// The topics.
        topics: Vec<SubscribedTopic>,
    },
    /// The ok reply to a subscribe: replay is complete.
    SubscribeOk {
        /// The client.
        client: u32,
        /// The epoch that the subscribe began.
        epoch: u32,
        /// When.
        at: Micros,
        /// Where the server says the session stands.
        watermarks: Vec<(TopicId, u64)>,
    },
    /// A subscribe was refused with `stale_cursor`: nothing is subscribed. Where none is under way, the
    /// subscription in force has ended on these topics, and the others go on.
    SubscribeStale {
        /// The client.
        client: u32,
        /// The epoch that the subscribe began.
        epoch: u32,
        /// When.
        at: Micros,
        /// The stale topics, as the target describes them.
        topics: Vec<StaleTopic>,
    },
    /// A client took a snapshot of a topic, and will resume after it.
    SnapshotTaken {
        /// The client.
        client: u32,
        /// The topic.
        topic: TopicId,
        /// When it was asked for.
        start: Micros,
        /// When it was there.
        done: Micros,
        /// How that ended.
        outcome: Outcome,
        /// Its watermark, if it is one of this topic.
        head: Option<u64>,
        /// What it holds of our workers' documents; empty if it is none of this topic.
        #[serde(default)]
        documents: Vec<Held>,
    },
    /// The ok reply to an unsubscribe: nothing of these topics may follow.
    Unsubscribed {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// The topics.
        topics: Vec<TopicId>,
    },
    /// The reply to a client's heartbeat said where its topics stand.
    HeadsTold {
        /// The client.
        client: u32,
        /// When it was read.
        at: Micros,
        /// The topics that the client is subscribed to, and their watermarks.
        heads: Vec<(TopicId, u64)>,
    },
    /// The target said that a topic stands beyond all that the client had been sent of it, or had named as its cursor.
    StandsAt {
        /// The client.
        client: u32,
        /// When it was read.
        at: Micros,
        /// Where it was said.
        by: Telling,
        /// The topic.
        topic: TopicId,
        /// Where it stands.
        head: u64,
    },
    /// A document of one of our workers said that it reflects a later event than its version.
    LatestTold {
        /// The client.
        client: u32,
        /// When it was read.
        at: Micros,
        /// Our number of the worker.
        worker: u16,
        /// The worker's seq of that event.
        latest: u64,
    },
    /// An update arrived.
    Delivered(Delivery),
    /// The two pushes of a batch were compared.
    PushesCompared {
        /// The client.
        client: u32,
        /// When the second was read.
        at: Micros,
        /// The topic.
        topic: TopicId,
        /// Highest seq of the second.
        seq: u64,
        /// Whether they agree.
        agree: bool,
    },
    /// The target told a client that it cannot keep up.
    SlowConsumer {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// Whether this is the last strike (`disconnect`) and not a warning (`throttle`).
        disconnect: bool,
        /// Events waiting, as the target says.
        queue_depth: u64,
        /// The target's limit.
        queue_limit: u64,
    },
    /// The harness made a client slow.
    SlowBegan {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
    },
    /// The harness lets a client read again at full speed.
    SlowEnded {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// Whether it still has the session it was slow on, as far as it knows.
        #[serde(rename = "same_socket")]
        same_session: bool,
    },
    /// The target's metrics counted evictions of slow clients since they were last read.
    Evictions {
        /// When they were answered.
        at: Micros,
        /// How many more than before.
        count: u64,
    },
    /// A topic's window in the target's metrics.
    Window {
        /// When it was asked for.
        asked: Micros,
        /// When it was there.
        answered: Micros,
        /// The topic.
        topic: TopicId,
        /// Oldest seq retained; `None` of a topic pruned empty.
        oldest: Option<u64>,
        /// Head.
        head: u64,
        /// Replay budget.
        budget: u64,
        /// The topic's tier of service.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
    },
    /// A client's session is gone, or its channel and with it the subscription.
    Offline {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// Why.
        cause: OfflineCause,
    },
    /// The harness took a client out of the run, at its end.
    Retired {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// Whether it had a session until then.
        connected: bool,
    },
    /// The target ended or refused something in a word of which the contract has a closed list.
    Word {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// Where it said it.
        place: Place,
        /// The close code, the HTTP status, the error's code.
        word: Box<str>,
    },
    /// A bad token was tried, on a session beside the client's own.
    TokenTried {
        /// The client whose token it was, but for what is bad about it.
        client: u32,
        /// When the connect was begun.
        start: Micros,
        /// When that had ended.
        at: Micros,
        /// What was wrong with it.
        kind: BadToken,
        /// How far it got.
        answer: TokenAnswer,
    },
    /// The target acknowledged that a client's session is revoked.
    Revoked {
        /// The client.
        client: u32,
        /// When it was acknowledged.
        at: Micros,
        /// Whether the client was still connected with that session, as far as it knew.
        connected: bool,
    },
    /// A command was sent over a session beside the client's own.
    CommandSent {
        /// The client.
        client: u32,
        /// When the answer had come, or the wait for it was over.
        at: Micros,
        /// What the target made of it.
        answer: CommandAnswer,
    },
    /// A client's target broke RFC 6455, in the upgrade's answer or in the frames after it.
    Breached {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// What it broke.
        breach: Breach,
    },
    /// A client's join, or another request, was answered for a session that is not its own.
    JoinedAs {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// The session, as the answer names it.
        session: Box<str>,
        /// Which answer.
        #[serde(default, skip_serializing_if = "Telling::is_joined")]
        by: Telling,
    },
    /// Something that is no batch named a topic which is none of those that the client subscribes to.
    Named {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// The topic's name, as it stands there.
        topic: Box<str>,
        /// Where.
        by: Telling,
    },
    /// A well-formed message that the real clients drop, because it is addressed to nobody who is there.
    Misaddressed {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// To whom it was addressed.
        to: Addressee,
        /// Its event.
        event: Box<str>,
    },
    /// A message that is not one of the contract's.
    Malformed {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// Of which kind that is.
        #[serde(default, skip_serializing_if = "Flaw::is_shape")]
        flaw: Flaw,
        /// What is wrong with it, in a few words.
        why: Box<str>,
    },
    /// A batch arrived of a topic that the client is not subscribed to on this session. Its content was not
    /// read.
    Unasked {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// The topic's name, as it stands in the batch.
        topic: Box<str>,
        /// The highest seq that the batch claims, where it could be read.
        seq: Option<u64>,
    },
    /// Something that the contract does not say, seen on the wire. Fails nothing by itself.
    Finding {
        /// Short name.
        name: String,
        /// The client that saw it, where one did.
        #[serde(default)]
        client: Option<u32>,
        /// When.
        #[serde(default)]
        at: Micros,
        /// What was seen.
        message: String,
    },
    /// Something over a documented limit came: a real client must survive it.
    OverLimit {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// Over which limit.
        limit: Limit,
        /// How much it is, in the unit of the limit.
        size: u64,
        /// The topic, where one is concerned.
        topic: Option<TopicId>,
        /// First and last seq concerned.
        seqs: Option<(u64, u64)>,
    },
    /// A cursor beyond head had been accepted, and the client stayed subscribed with it for a while: what
    /// the target sent of a topic until it answered a heartbeat at the end.
    BeyondHead {
        /// The client.
        client: u32,
        /// The topic.
        topic: TopicId,
        /// The cursor.
        cursor: u64,
        /// When the ok reply to the subscribe had come.
        from: Micros,
        /// When the heartbeat was sent whose answer came after all that follows.
        asked: Micros,
        /// The lowest seq of the topic that came between the two answers.
        first: Option<u64>,
        /// When the heartbeat was answered.
        at: Micros,
    },
    /// A command ended, one way or another.
    Published(Published),
    /// A command was acknowledged as something else than was asked for.
    Misacknowledged {
        /// When the acknowledgement came.
        at: Micros,
        /// Our number of the worker that it was sent to.
        worker: u16,
        /// Which command.
        command: Box<str>,
        /// As what it was acknowledged, in a few words.
        why: Box<str>,
    },
    /// A request of the harness ended, one way or another.
    Answered(Answered),
    /// The target was asked, and nothing was heard from it for longer than the plan's bound. Told again
    /// while it lasts: of those with the same beginning the last one tells all.
    Silence {
        /// What was not heard.
        heard: Heard,
        /// When the target was last heard, or was first asked after that.
        from: Micros,
        /// When it was heard again, or by when it had not been.
        to: Micros,
        /// Whether it was heard again.
        over: bool,
        /// Requests that waited or failed meanwhile.
        asked: u64,
        /// Clients that were in the run.
        clients: u64,
    },
    /// Somebody else than before answers where the target is.
    Renewed {
        /// When the old one was last seen.
        before: Micros,
        /// When the new one was seen.
        at: Micros,
        /// By what it shows.
        sign: RenewalSign,
    },
    /// A command of the plan was never begun: from when it was due until publishing ended, the target
    /// had left as many commands unanswered as may be under way.
    Withheld {
        /// Its number.
        publish: u32,
        /// When it was due.
        intended: Micros,
        /// When it was given up.
        at: Micros,
    },
    /// A thread's timer fired late.
    SchedulerLag {
        /// Which thread: each is judged by its own, or an idle one would hide a busy one.
        thread: u16,
        /// When it should have fired.
        at: Micros,
        /// By how much it was late.
        lag_us: Micros,
    },
    /// How long messages that a thread had read waited for their clients in a second of the run, the
    /// longest: the generator's own queue.
    OwnQueue {
        /// Which thread.
        thread: u16,
        /// When that one was read.
        at: Micros,
        /// How much later its client took it up.
        waited_us: Micros,
    },
    /// A thread of the generator stood still. Comes before anything that the thread records of the
    /// time after it.
    Stall {
        /// Which thread: it excuses its own clients and commands, and nobody else's.
        thread: u16,
        /// When it was last seen alive.
        from: Micros,
        /// When it was seen alive again.
        to: Micros,
    },
    /// A message went over a client's session.
    Frame {
        /// The client.
        client: u32,
        /// When it was read, or was about to be sent.
        at: Micros,
        /// Whether the client sent it.
        sent: bool,
        /// Its length, in bytes.
        bytes: u64,
        /// Its beginning and its end.
        excerpt: Box<str>,
    },
    /// The generator looked at itself.
    Probe(Probe),
    /// Records that a full recorder had to drop.
    Dropped {
        /// How many.
        count: u64,
    },
}

impl Record {
    /// The client that it is about, if it is about one.
    #[must_use]
    pub fn client(&self) -> Option<u32> {
        match self {
            Self::Op(Op { client, .. })
            | Self::Delivered(Delivery { client, .. })
            | Self::ConnectBegun { client, .. }
            | Self::Rejoining { client, .. }
            | Self::Connected { client, .. }
            | Self::SubscribeSent { client, .. }
            | Self::SubscribeOk { client, .. }
            | Self::SubscribeStale { client, .. }
            | Self::SnapshotTaken { client, .. }
            | Self::Unsubscribed { client, .. }
            | Self::HeadsTold { client, .. }
            | Self::StandsAt { client, .. }
            | Self::LatestTold { client, .. }
            | Self::PushesCompared { client, .. }
            | Self::SlowConsumer { client, .. }
            | Self::SlowBegan { client, .. }
            | Self::SlowEnded { client, .. }
            | Self::Offline { client, .. }
            | Self::Retired { client, .. }
            | Self::Word { client, .. }
            | Self::TokenTried { client, .. }
            | Self::Revoked { client, .. }
            | Self::CommandSent { client, .. }
            | Self::Breached { client, .. }
            | Self::JoinedAs { client, .. }
            | Self::Named { client, .. }
            | Self::Misaddressed { client, .. }
            | Self::Malformed { client, .. }
            | Self::Unasked { client, .. }
            | Self::BeyondHead { client, .. }
            | Self::OverLimit { client, .. }
            | Self::Frame { client, .. } => Some(*client),
            Self::Answered(Answered { client, .. }) | Self::Finding { client, .. } => *client,
            Self::Silence { .. }
            | Self::Renewed { .. }
            | Self::Evictions { .. }
            | Self::Window { .. }
            | Self::Published(_)
            | Self::Misacknowledged { .. }
            | Self::Withheld { .. }
            | Self::SchedulerLag { .. }
            | Self::OwnQueue { .. }
            | Self::Stall { .. }
            | Self::Probe(_)
            | Self::Dropped { .. } => None,
        }
    }
}

impl Record {
    /// When it was: of what took time, its end.
    #[must_use]
    pub fn at(&self) -> Micros {
        match self {
            Self::Op(op) => op.done,
            Self::Delivered(delivery) => delivery.at,
            Self::Published(published) => published.done,
            Self::Probe(probe) => probe.at,
            Self::Answered(answered) => answered.at,
            Self::SnapshotTaken { done: at, .. }
            | Self::Window { answered: at, .. }
            | Self::Stall { to: at, .. }
            | Self::Silence { to: at, .. }
            | Self::Renewed { at, .. }
            | Self::Evictions { at, .. }
            | Self::ConnectBegun { at, .. }
            | Self::Rejoining { at, .. }
            | Self::Connected { at, .. }
            | Self::SubscribeSent { at, .. }
            | Self::SubscribeOk { at, .. }
            | Self::SubscribeStale { at, .. }
            | Self::Unsubscribed { at, .. }
            | Self::HeadsTold { at, .. }
            | Self::StandsAt { at, .. }
            | Self::LatestTold { at, .. }
            | Self::PushesCompared { at, .. }
            | Self::SlowConsumer { at, .. }
            | Self::SlowBegan { at, .. }
            | Self::SlowEnded { at, .. }
            | Self::Offline { at, .. }
            | Self::Retired { at, .. }
            | Self::Word { at, .. }
            | Self::TokenTried { at, .. }
            | Self::Revoked { at, .. }
            | Self::CommandSent { at, .. }
            | Self::Breached { at, .. }
            | Self::Misaddressed { at, .. }
            | Self::Malformed { at, .. }
            | Self::JoinedAs { at, .. }
            | Self::Named { at, .. }
            | Self::Unasked { at, .. }
            | Self::Frame { at, .. }
            | Self::Misacknowledged { at, .. }
            | Self::Withheld { at, .. }
            | Self::OwnQueue { at, .. }
            | Self::Finding { at, .. }
            | Self::OverLimit { at, .. }
            | Self::BeyondHead { at, .. }
            | Self::SchedulerLag { at, .. } => *at,
            Self::Dropped { .. } => 0,
        }
    }
}
