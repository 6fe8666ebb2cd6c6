//! What the engine tells the judge: typed records, and the [`Sink`] that takes them.
//!
//! Records are the only road from sockets to verdicts. They hold facts as a client or publisher saw
//! them and never a judgement, and they name no lane where the fact is one of any lane: a client has a
//! session, which begins with a connect. What a lane alone can show (how a connection was cut, RFC 6455
//! broken, a channel that ends on a session that stays) keeps the lane's words. The words of recordings
//! and journals are older than these names, and stay. All times are microseconds from the start of the run on the run's
//! one monotonic clock.

pub use khala_plan::model::{BadToken, Step};
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

/// Microseconds from the start of the run.
pub type Micros = u64;

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
    /// A subscribe was refused with `stale_cursor`: nothing is subscribed.
    SubscribeStale {
        /// The client.
        client: u32,
        /// The epoch that the subscribe began.
        epoch: u32,
        /// When.
        at: Micros,
        /// The stale topics, as the refusal describes them.
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
    /// A client's join was answered for a session that is not its own.
    JoinedAs {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
        /// The session, as the answer names it.
        session: Box<str>,
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
    /// A message that is not one of the contract's: no JSON, another shape, a required field missing.
    Malformed {
        /// The client.
        client: u32,
        /// When.
        at: Micros,
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
            | Self::Unasked { at, .. }
            | Self::Frame { at, .. }
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

/// What the harness asks of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A client's token.
    Mint,
    /// A client's connect; over WebSocket, the upgrade included.
    #[serde(rename = "upgrade")]
    Connect,
    /// A client's join; over WebSocket, `phx_join`.
    Join,
    /// A client's subscribe; over WebSocket, `sync:subscribe`.
    Subscribe,
    /// A client's snapshot of a topic.
    Snapshot,
    /// A command of the load.
    Publish,
    /// A worker's creation.
    CreateWorker,
    /// A worker's end.
    StopWorker,
    /// The fan-out metrics.
    Metrics,
    /// A revocation of sessions, by a fault.
    Revoke,
    /// A prune of a topic, by a fault.
    Trim,
    /// The token of a session on which a fault tries what must be refused.
    TriedMint,
    /// The connect of such a session.
    #[serde(rename = "tried_upgrade")]
    TriedConnect,
    /// A join on it.
    TriedJoin,
    /// A subscribe on it.
    TriedSubscribe,
    /// A heartbeat over it.
    TriedHeartbeat,
    /// A command over it.
    TriedCommand,
}

impl Request {
    /// The name that reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mint => "mint",
            Self::Connect => "upgrade",
            Self::Join => "join",
            Self::Subscribe => "subscribe",
            Self::Snapshot => "snapshot",
            Self::Publish => "publish",
            Self::CreateWorker => "create_worker",
            Self::StopWorker => "stop_worker",
            Self::Metrics => "metrics",
            Self::Revoke => "revoke",
            Self::Trim => "trim",
            Self::TriedMint => "tried_mint",
            Self::TriedConnect => "tried_upgrade",
            Self::TriedJoin => "tried_join",
            Self::TriedSubscribe => "tried_subscribe",
            Self::TriedHeartbeat => "tried_heartbeat",
            Self::TriedCommand => "tried_command",
        }
    }
}

/// A request that ended. Texts of the target are escaped and cut by who records it, and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Whose it was, if a client's.
    pub client: Option<u32>,
    /// What was asked.
    pub request: Request,
    /// When it was begun.
    pub start: Micros,
    /// When it ended.
    pub at: Micros,
    /// How it counts.
    pub outcome: Outcome,
    /// What the answer was, or what came in its stead: `101`, `503`, `ok`, `stale_cursor`, `timeout`,
    /// `connection refused`.
    pub status: Box<str>,
    /// What stood in a refusal.
    pub example: Option<Box<str>>,
    /// Its `Retry-After`.
    pub retry_after: Option<Box<str>>,
}

/// What was not heard for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// Nothing: neither HTTP answered nor did anything come over a client's session.
    Nothing,
    /// Nothing over a client's session, and no connect was answered; other requests may have been.
    #[serde(rename = "no_socket")]
    NoSession,
}

/// By what a target shows that it is not the one that it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalSign {
    /// Its metrics name another process.
    Process,
    /// The head of a topic went back.
    Head {
        /// The topic.
        topic: TopicId,
        /// Where it was.
        was: u64,
        /// Where it is.
        is: u64,
    },
}

/// Where the target says a word of which the contract has a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The close frame that it sends first.
    Close,
    /// The HTTP status with which it refuses the connect of a bad token.
    #[serde(rename = "upgrade")]
    Connect,
    /// The error reply to a join.
    Join,
    /// The error reply to a subscribe.
    Subscribe,
    /// A `sync:error`.
    Error,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Close => "a close frame",
            Self::Connect => "a refused upgrade",
            Self::Join => "a refused join",
            Self::Subscribe => "a refused subscribe",
            Self::Error => "a sync:error",
        })
    }
}

/// How far a bad token got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum TokenAnswer {
    /// It was refused.
    Refused {
        /// At this step.
        step: Step,
    },
    /// It could subscribe.
    Accepted,
    /// It was good when it could subscribe, and the session still answered a heartbeat with ok longer than
    /// the settle bound after it was not any more.
    Lives,
    /// There was no answer: the connection broke, or the wait was over.
    None {
        /// At this step; those before it were taken.
        step: Step,
    },
}

/// A documented limit (contract, section 3 and, of commands, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Bytes of an update's JSON.
    UpdateBytes,
    /// Updates of a batch.
    BatchUpdates,
    /// Bytes of a batch's JSON.
    BatchBytes,
    /// Bytes of the payload of a command that was acknowledged.
    PublishBytes,
}

impl Limit {
    /// It, in its unit.
    #[must_use]
    pub fn most(self) -> u64 {
        let most = match self {
            Self::UpdateBytes => khala_wire::UPDATE_BYTES_MAX,
            Self::BatchUpdates => khala_wire::BATCH_UPDATES_MAX,
            Self::BatchBytes => khala_wire::BATCH_BYTES_MAX,
            Self::PublishBytes => khala_wire::WORKER_EVENT_BYTES_MAX,
        };
        most as u64
    }

    /// The finding that it is to be over it.
    #[must_use]
    pub fn finding(self) -> &'static str {
        match self {
            Self::UpdateBytes => "update_over_limit",
            Self::BatchUpdates | Self::BatchBytes => "batch_over_limit",
            Self::PublishBytes => "publish_over_limit",
        }
    }

    /// What is over it, in a sentence.
    #[must_use]
    pub fn told(self, size: u64) -> String {
        let most = self.most();
        match self {
            Self::UpdateBytes => format!("an update of {size} bytes came; the limit is {most}"),
            Self::BatchUpdates => format!("a batch of {size} updates came; the limit is {most}"),
            Self::BatchBytes => format!("a batch of {size} bytes came; the limit is {most}"),
            Self::PublishBytes => format!(
                "a command with a payload of {size} bytes was acknowledged; over {most} it is refused with 413"
            ),
        }
    }
}

/// What the target made of a command over a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandAnswer {
    /// It said ok.
    Obeyed,
    /// It refused: an error reply, the channel's or the session's end.
    Refused,
    /// It said nothing.
    None,
}

/// What a generator can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// File descriptors of the process or of the system.
    Descriptors,
    /// Ports to connect from.
    Ports,
    /// Memory for sockets.
    Memory,
    /// Addresses that it may connect from.
    Addresses,
    /// Names that it could look up.
    Names,
    /// Connects and writes that the allow file grants it.
    Allowance,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "file descriptors",
            Self::Ports => "ports to connect from",
            Self::Memory => "memory for sockets",
            Self::Addresses => "addresses to connect from",
            Self::Names => "names that can be looked up",
            Self::Allowance => "connects or writes that the allow file grants",
        })
    }
}

/// A look of the generator at itself; times are those since the look before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When.
    pub at: Micros,
    /// How long since the look before.
    pub wall_us: u64,
    /// CPU time of the process.
    pub cpu_us: u64,
    /// CPU time of the busiest thread.
    pub hottest_us: u64,
    /// Time that the thread which waited most wanted a core and had none.
    pub waited_us: u64,
    /// Descriptors open.
    pub descriptors: u64,
    /// Resident set, in KiB.
    pub memory_kib: u64,
    /// Most bytes that waited in the kernel after a read by a client that is to keep up.
    pub backlog_bytes: u64,
}

/// A topic of a subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribedTopic {
    /// The topic.
    pub topic: TopicId,
    /// The cursor that was sent, if any.
    pub cursor: Option<u64>,
    /// The highest sequence that any client had seen by then: a lower bound of the head that the
    /// client must reach to count as recovered.
    pub head_seen: u64,
    /// Whether a fault chose the cursor, so that a refusal is planned.
    pub by_fault: bool,
}

/// A stale topic, as a refusal describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleTopic {
    /// The topic.
    pub topic: TopicId,
    /// The reason given.
    pub reason: StaleReason,
    /// The cursor that was refused, as the target read it.
    pub cursor: u64,
    /// Lowest cursor that retention still serves.
    pub floor: u64,
    /// Head.
    pub head: u64,
    /// Replay budget.
    pub budget: u64,
    /// Head minus cursor.
    pub lag: u64,
}

/// Why a cursor is stale, as the target says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleReason {
    /// `retention_floor_breach`
    RetentionFloor,
    /// `replay_budget_exceeded`
    ReplayBudget,
    /// A reason that the contract does not name.
    Other,
}

/// Which operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpKind {
    /// A token was asked for.
    Mint,
    /// Until there is a session; over WebSocket, TCP connect and upgrade.
    Connect,
    /// From the TCP connection to the end of the TLS handshake, within a connect.
    TlsHandshake,
    /// Until the target has taken the client in; over WebSocket, `phx_join`.
    Join,
    /// Until replay is complete; over WebSocket, `sync:subscribe`.
    Subscribe,
    /// A client's heartbeat.
    Heartbeat,
}

/// A timed operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// The client.
    pub client: u32,
    /// Which operation.
    pub kind: OpKind,
    /// When it was due.
    pub intended: Micros,
    /// When it was begun.
    pub start: Micros,
    /// When it ended.
    pub done: Micros,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As asked.
    Ok,
    /// No answer in time: enters histograms at the time-out's value, and counts as an error.
    Timeout,
    /// Refused for the token or the session.
    RefusedAuth,
    /// Refused for a topic or the subscription's shape.
    RefusedTopic,
    /// Refused for the client's build, protocol or schema.
    RefusedIncompatible,
    /// Refused with `stale_cursor`.
    StaleCursor,
    /// The connection could not be made, or broke.
    ConnectionFailed,
    /// The answer was not of the contract.
    ProtocolError,
    /// Ended by the harness itself (a fault, the end of the run): not the target's doing.
    Interrupted,
    /// The generator ran out of something of its own, so that it could not be tried: not the target's
    /// doing either.
    Exhausted(Resource),
}

impl Outcome {
    /// Whether it says nothing about the target.
    #[must_use]
    pub fn is_our_own_doing(self) -> bool {
        matches!(self, Self::Interrupted | Self::Exhausted(_))
    }
}

/// Why a session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfflineCause {
    /// A planned fault cut it.
    Fault {
        /// The fault's id in the schedule.
        id: u16,
        /// When the plan wanted the cut.
        intended: Micros,
    },
    /// The target closed it with a close frame.
    ClosedByTarget {
        /// The code as it stood on the wire; `None` of a close frame without one.
        code: Option<u16>,
    },
    /// It ended without a close frame: a cut cable, a killed process, a proxy's time-out.
    Broken {
        /// How that showed.
        how: Cut,
    },
    /// The target broke RFC 6455, so the client failed the connection.
    ProtocolBroken {
        /// What it broke.
        breach: Breach,
    },
    /// The client closed it, because a heartbeat had no answer by the next.
    HeartbeatTimeout,
    /// The client closed it, because its channel did not answer a heartbeat while the session answered
    /// its own: one that was sent with the channel's, and one that was sent half a heartbeat's interval
    /// or more after that had been answered.
    ChannelSilent {
        /// When the channel was asked.
        asked: Micros,
    },
    /// The client closed it, because a join or subscribe was not answered or was refused.
    GaveUp,
    /// The target closed or crashed the channel, so the client left the session.
    ChannelClosed,
}

/// How the end of a connection without a close frame showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Its end was read (FIN).
    Eof,
    /// It was reset (RST).
    Reset,
    /// What the client had to say was not taken in time.
    Unsent,
    /// Another error of the connection.
    Other,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Eof => "ended without a close frame",
            Self::Reset => "was reset",
            Self::Unsent => "took nothing more",
            Self::Other => "broke",
        })
    }
}

/// What of RFC 6455 a target broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// A frame was masked (section 5.1).
    Masked,
    /// A reserved bit was set, although no extension was negotiated (section 5.2).
    ReservedBits,
    /// An opcode that is reserved (section 5.2).
    ReservedOpcode,
    /// A continuation without a beginning, or a beginning inside a message (section 5.4).
    Fragmentation,
    /// A control frame that is fragmented or longer than 125 bytes (section 5.5).
    ControlFrame,
    /// A length in more bytes than it needs (section 5.2).
    Length,
    /// A text message that is not UTF-8 (section 8.1).
    Utf8,
    /// A close frame with a body of one byte, a reason that is not UTF-8, or a code that no endpoint may
    /// send (sections 5.5.1 and 7.4).
    CloseFrame,
    /// A message longer than the client takes.
    TooLong,
    /// The upgrade's answer names an extension that nobody offered (section 4.1).
    Extension,
    /// The upgrade's answer names a subprotocol that nobody offered (section 4.1).
    Subprotocol,
    /// The upgrade's answer has no `Sec-WebSocket-Accept`, several, or a wrong one (section 4.1).
    AcceptKey,
    /// The upgrade's answer says 101 without the headers that make it an upgrade (section 4.1).
    UpgradeHeaders,
    /// Something else that the WebSocket library refuses.
    Other,
}

impl Breach {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Masked,
        Self::ReservedBits,
        Self::ReservedOpcode,
        Self::Fragmentation,
        Self::ControlFrame,
        Self::Length,
        Self::Utf8,
        Self::CloseFrame,
        Self::TooLong,
        Self::Extension,
        Self::Subprotocol,
        Self::AcceptKey,
        Self::UpgradeHeaders,
        Self::Other,
    ];
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Masked => "a masked frame",
            Self::ReservedBits => "a reserved bit",
            Self::ReservedOpcode => "a reserved opcode",
            Self::Fragmentation => "a fragment out of place",
            Self::ControlFrame => "a control frame that is fragmented or over 125 bytes",
            Self::Length => "a length in more bytes than it needs",
            Self::Utf8 => "a text message that is not UTF-8",
            Self::CloseFrame => "a malformed close frame",
            Self::TooLong => "a message beyond the size that the client takes",
            Self::Extension => "an extension that nobody offered, in the upgrade's answer",
            Self::Subprotocol => "a subprotocol that nobody offered, in the upgrade's answer",
            Self::AcceptKey => "no accept key, several or a wrong one, in the upgrade's answer",
            Self::UpgradeHeaders => "a 101 without the headers of an upgrade",
            Self::Other => "something that the WebSocket library refuses",
        })
    }
}

/// To whom a message that the real clients drop was addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressee {
    /// A channel that the client never asked to join.
    Channel,
    /// A join that this session never made.
    UnknownJoin,
    /// A join whose channel had been closed.
    ClosedJoin,
    /// The join before the one in force, longer after it than the settle bound.
    OldJoin,
}

impl std::fmt::Display for Addressee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Channel => "a channel that the client never joined",
            Self::UnknownJoin => "a join_ref that this socket never used",
            Self::ClosedJoin => "a join whose channel had been closed",
            Self::OldJoin => "a join that another had replaced",
        })
    }
}

/// Stands for the digest of an update without a payload (pointer mode): what it says is not known, so
/// that it is held against nothing.
pub const NO_CONTENT: u64 = 0;

/// An update, as it arrived in the push that the clients apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The client.
    pub client: u32,
    /// The epoch in force on the topic.
    pub epoch: u32,
    /// The topic.
    pub topic: TopicId,
    /// The sequence number (watermark).
    pub seq: u64,
    /// When the bytes were read.
    pub at: Micros,
    /// Digest of the canonical content: key, version and payload; [`NO_CONTENT`] without a payload.
    pub content: u64,
    /// Whether the payload's hash, where there is one, fits the payload.
    pub hash_fits: bool,
    /// What it stems from.
    pub source: Source,
}

/// A document of one of our workers, as it stands in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    /// Our number of the worker.
    pub worker: u16,
    /// The document's version.
    pub version: u64,
    /// Whether its payload fits its hash.
    pub hash_fits: bool,
}

/// What a delivery stems from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An event of one of our workers.
    Event {
        /// The publish.
        publish: PublishId,
        /// When it was intended, if it carries our marker.
        intended: Option<Micros>,
        /// When it was really begun, if it carries our marker.
        begun: Option<Micros>,
        /// Digest of the canonical command payload, if it carries our marker.
        payload: u64,
        /// The worker's seq that it shows, if it carries our marker.
        #[serde(default)]
        worker_seq: Option<u64>,
    },
    /// The state of one of our workers.
    State {
        /// Our number of the worker.
        worker: u16,
        /// The document's version: the worker's seq of the event that it reflects.
        version: u64,
    },
    /// Somebody else's.
    Foreign,
}

/// Which publish of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishId {
    /// Planned, with a marker: its number.
    Planned(u32),
    /// A worker's own event (started, stopped), known by worker and seq.
    Lifecycle {
        /// Our number of the worker.
        worker: u16,
        /// The worker's seq.
        seq: u64,
    },
    /// A command that a client sent over a session: it must never come out.
    #[serde(rename = "over_socket")]
    OverSession {
        /// The client.
        client: u32,
    },
}

/// A command that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Which one.
    pub id: PublishId,
    /// Our number of the worker it went to.
    pub worker: u16,
    /// When it was due.
    pub intended: Micros,
    /// When it was begun.
    pub start: Micros,
    /// When it ended.
    pub done: Micros,
    /// How it ended; only `Ok` is an acknowledgement.
    pub outcome: Outcome,
    /// The HTTP status of the answer, if there was one.
    #[serde(default)]
    pub status: Option<u16>,
    /// The worker's seq in the acknowledgement.
    pub worker_seq: Option<u64>,
    /// Digest of the canonical command payload.
    pub payload: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recordings and journals of earlier builds are read, so their words stay whatever the names are.
    #[test]
    fn what_has_another_name_than_in_recordings_is_written_and_read_by_the_old_word() {
        let over_session = PublishId::OverSession { client: 3 };
        for (value, word) in [
            (serde_json::to_value(Request::Connect), serde_json::json!("upgrade")),
            (serde_json::to_value(Request::TriedConnect), serde_json::json!("tried_upgrade")),
            (serde_json::to_value(Place::Connect), serde_json::json!("upgrade")),
            (serde_json::to_value(Step::Connect), serde_json::json!("upgrade")),
            (serde_json::to_value(Heard::NoSession), serde_json::json!("no_socket")),
            (serde_json::to_value(over_session), serde_json::json!({"over_socket": {"client": 3}})),
        ] {
            assert_eq!(value.expect("it is written"), word);
        }
        let told = r#"{"record":"slow_ended","client":1,"at":2,"same_socket":true}"#;
        let record: Record = serde_json::from_str(told).expect("it is read");
        assert_eq!(record, Record::SlowEnded { client: 1, at: 2, same_session: true });
        assert_eq!(serde_json::to_string(&record).expect("it is written"), told);
    }
}
