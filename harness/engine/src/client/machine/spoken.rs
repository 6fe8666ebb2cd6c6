//! What the machine says and what it is told, on any lane: typed, without a word of how it travels.
//!
//! An answer is to the last ask of its kind: whoever lies between the machine and the session keeps late answers,
//! and those to somebody else's asks, from it.

use khala_evidence::record::{Micros, OfflineCause, StaleTopic};
use khala_plan::model::Garbage;
use khala_wire::topic::TopicId;

use super::super::batch::{Batch, Fact, Spoken};

/// What the machine asks of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To be let in, on lanes where one joins before one subscribes.
    Join,
    /// Topics, from these cursors on.
    Subscribe(Subscribe),
    /// The same, with what a fault has put in the cursors' place.
    Try(Try),
    /// To have no more of these topics.
    Unsubscribe(Vec<TopicId>),
    /// Whether what serves the subscription is there.
    Heartbeat,
    /// Whether the session below it is there, on lanes that tell the two apart.
    Ping,
    /// An answer that stands after everything that was sent before it.
    Barrier,
}

/// A subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// The topics.
    pub topics: Vec<TopicId>,
    /// Last applied seqs, of those topics that have one.
    pub cursors: Vec<(TopicId, u64)>,
    /// The highest seqs that any client of the run had been sent: the target need not be told.
    pub seen: Vec<(TopicId, u64)>,
    /// How many updates a batch of the replay may have.
    pub batch_size: u32,
}

/// A subscribe that is not the client's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// The topics.
    pub topics: Vec<TopicId>,
    /// What stands for their cursors.
    pub cursors: Tried,
    /// How many updates a batch of the replay may have.
    pub batch_size: u32,
}

/// What a fault puts in the place of cursors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// What is no cursor.
    Garbage(Garbage),
    /// Cursors of its choice.
    At(Vec<(TopicId, u64)>),
}

/// What the machine is told.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The join was answered.
    Joined,
    /// The subscribe, or what was tried, was answered: with watermarks, or (`None`) with what is no answer of the
    /// contract.
    Subscribed(Option<Vec<(TopicId, u64)>>),
    /// The join, the subscribe, or what was tried, was refused.
    Refused(Refusal),
    /// The unsubscribe was answered; whether with ok.
    Unsubscribed(bool),
    /// The heartbeat was answered.
    Beaten {
        /// Whether with ok.
        ok: bool,
        /// Where the answer says that topics stand.
        heads: Vec<(TopicId, u64)>,
    },
    /// The ping was answered.
    Pinged,
    /// The barrier was answered; whether with ok.
    Passed(bool),
    /// A copy of a batch came: whose it is, and what it is like.
    Heard(Heard<'a>),
    /// Data of these topics came where none belongs.
    Overheard(&'a [Spoken]),
    /// What a batch carries, of which a client applies one copy.
    Delivered(&'a [Fact]),
    /// The client cannot keep up.
    ToldOff(ToldOff),
    /// The subscription in force has ended, because what comes next is no longer kept.
    Stale(Stale),
    /// The subscription has ended, or what it was made on.
    Ended {
        /// How, as the judge is to be told.
        cause: OfflineCause,
        /// Whether one may join again on the same session.
        may_rejoin: bool,
    },
}

/// When something came, and when it is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// When its last bytes were read.
    pub read_at: Micros,
    /// When it is handled.
    pub now: Micros,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its word, as the target has it; empty where it has none.
    pub word: String,
    /// What it means to the client.
    pub why: Why,
}

/// What a refusal means to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Cursors are stale; or it says so, and (`Err`) of which topics cannot be read, for this reason.
    Stale(Result<Stale, String>),
    /// The session, or its token, is no longer good.
    Auth,
    /// The client is too old, or too new.
    Incompatible,
    /// Anything else.
    Other,
}

/// Which cursors are stale, and which topics a snapshot brings up again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    /// The stale topics.
    pub topics: Vec<StaleTopic>,
    /// Those that have a snapshot.
    pub snapshots: Vec<TopicId>,
}

/// A copy of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// Whether another copy said the same before.
    pub again: bool,
    /// Whether it is the copy that the client applies.
    pub applied: bool,
}

/// A warning that the client is too slow, or the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldOff {
    /// Whether the target ends the subscription now.
    pub last: bool,
    /// Events that wait for it.
    pub depth: u64,
    /// How many may.
    pub limit: u64,
}

/// How a client behaves on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// Whether it joins before it subscribes.
    pub joins: bool,
    /// Whether it heartbeats.
    pub heartbeats: bool,
    /// Whether it pings the session with each heartbeat, to tell one that is dead from a subscription that is stuck.
    pub pings: bool,
    /// The contract's word for what is no cursor, where it has one.
    pub no_cursor: Option<&'static str>,
}
