//! A batch as a client has it: whose updates it carries, what they say, and what is wrong with it.

use std::rc::Rc;

use khala_evidence::record::{Flaw, Limit, Source};
use khala_wire::topic::TopicId;

/// What one update says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The topic.
    pub topic: TopicId,
    /// The sequence number.
    pub seq: u64,
    /// Digest of the canonical content.
    pub content: u64,
    /// Whether the payload fits its hash.
    pub hash_fits: bool,
    /// What it stems from.
    pub source: Source,
}

/// A topic that a push speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Its name as it stands.
    pub name: Box<str>,
    /// The known topic of that name, if there is one.
    pub id: Option<TopicId>,
    /// The highest seq of it that the push claims, where that could be read.
    pub seq: Option<u64>,
}

/// A push, read: first of which topics it is, then what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The topics of a batch, each once; none of a push that carries no batch.
    pub topics: Rc<[Spoken]>,
    /// Topics of which it carries data where none belongs.
    pub beside: Rc<[Spoken]>,
    /// Names of other topics of which it says where they stand.
    pub heads: Rc<[Box<str>]>,
    /// Where it says that topics stand, of those that the contract knows.
    pub stands: Rc<[(TopicId, u64)]>,
    /// What its updates say.
    pub facts: Rc<[Fact]>,
    /// Of our workers' documents that say so: whose is further than its version, and how far.
    pub latest: Rc<[(u16, u64)]>,
    /// Digest of the batch's JSON, which both pushes of a batch carry byte for byte.
    pub content: u64,
    /// The JSON of the error that it carries in a batch's place.
    pub error: Option<Rc<str>>,
    /// The topic of a frame that carries no batch.
    pub named: Option<Rc<str>>,
    /// Why it is no message of the contract, if it is none.
    pub malformed: Option<Rc<str>>,
    /// Of which kind that is.
    pub flaw: Flaw,
    /// What of it the contract does not say: a finding's name and message each.
    pub notes: Rc<[(&'static str, Box<str>)]>,
    /// What of it is over a documented limit.
    pub over: Rc<[Over]>,
}

/// Something over a documented limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Which.
    pub limit: Limit,
    /// How much it is.
    pub size: u64,
    /// The topic, if the contract knows it.
    pub topic: Option<TopicId>,
    /// First and last seq concerned.
    pub seqs: Option<(u64, u64)>,
}

impl Spoken {
    /// The topic of this name.
    #[must_use]
    pub fn of(name: &str, seq: Option<u64>) -> Self {
        Self { name: name.into(), id: TopicId::of(name), seq }
    }
}
