//! Rule `false_replay_complete`: the ok reply to a subscribe does not come before all that was
//! acknowledged before the subscribe was sent.
//!
//! Streams: the client's highest seq at the reply is at least that of every publish acknowledged
//! before the subscribe was sent. States: each of our documents is at least at the version that was
//! acknowledged the settle bound before. Both are lower bounds of what the server must have known,
//! so a correct server cannot break them.
//!
//! What a client took from a snapshot is not seen: a version that it was never sent is held against
//! it only if it was published after the snapshot ([`Baseline`]), else it
//! is known by its watermark, or undecided.
//!
//! A reply leaves one fact behind; the ledger is asked at the merge. The facts are bounded; beyond
//! the bound replies are undecided. What never came at all is a `gap`, and the early reply then its
//! consequence. Cases: replies, one for each stream and for each document of a state topic.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Has, Versions};
use super::ledger::Ledger;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::Track;
use crate::record::{Micros, PublishId};

/// Facts kept per shard: some 150 MiB at the most.
const FACTS_MAX: usize = 2_000_000;

/// What a client had when the ok reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    at: Micros,
    client: u32,
    topic: TopicId,
    epoch: u32,
    sent_at: Micros,
    had: Had,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Had {
    Seq(u64),
    Version { worker: u16, version: u64, baseline: Option<Baseline> },
}

/// The facts of a shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Replies {
    facts: Vec<Fact>,
    beyond_bound: u64,
}

/// An ok reply, as the shard sees it.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// The client.
    pub client: u32,
    /// The topic.
    pub topic: TopicId,
    /// The epoch.
    pub epoch: u32,
    /// When the subscribe was sent.
    pub sent_at: Micros,
    /// When the reply came.
    pub at: Micros,
}

impl Replies {
    /// Enters an ok reply for a stream.
    pub fn stream(&mut self, reply: Reply, highest: u64) {
        self.push(reply, Had::Seq(highest));
    }

    /// Enters an ok reply for one of our documents of a state topic.
    pub fn state(&mut self, reply: Reply, worker: u16, version: u64) {
        self.state_after(reply, worker, version, None);
    }

    /// Enters an ok reply for one of our documents of a state topic, of which the client counts
    /// something as known without a delivery.
    pub fn state_after(
        &mut self,
        reply: Reply,
        worker: u16,
        version: u64,
        baseline: Option<Baseline>,
    ) {
        // Without a cursor everything is replayed, unless it is known to have been pruned.
        let baseline = baseline.filter(|base| base.cursor.is_some() || base.reset);
        self.push(reply, Had::Version { worker, version, baseline });
    }

    fn push(&mut self, reply: Reply, had: Had) {
        let Reply { client, topic, epoch, sent_at, at } = reply;
        if self.facts.len() < FACTS_MAX {
            self.facts.push(Fact { at, client, topic, epoch, sent_at, had });
        } else {
            self.beyond_bound += 1;
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        if !other.facts.is_empty() {
            self.facts.extend(other.facts);
            self.facts.sort_unstable();
        }
        // Of too many the earliest are kept, in whatever order they come together.
        let excess = self.facts.len().saturating_sub(FACTS_MAX);
        self.facts.truncate(FACTS_MAX);
        self.beyond_bound += excess as u64 + other.beyond_bound;
    }

    /// How many replies are judged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// Judges all replies against the ledger.
    pub fn settle(
        &self,
        ledger: &Ledger,
        settle_within: Duration,
        track_of: &dyn Fn(u32, TopicId) -> Option<Track>,
        tally: &mut Tally,
    ) {
        for _ in 0..self.beyond_bound {
            tally.undecided(Rule::FalseReplayComplete);
        }
        let (known, versions) = (Known::of(ledger), Versions::of(ledger));
        let settle_us = u64::try_from(settle_within.as_micros()).unwrap_or(u64::MAX);
        for fact in &self.facts {
            let (had, required) = match fact.had {
                Had::Seq(highest) => (highest, known.seq_before(fact.topic, fact.sent_at)),
                Had::Version { worker, version, baseline } => {
                    let before = fact.sent_at.saturating_sub(settle_us);
                    let required = known.version_before(worker, before);
                    match versions.has((fact.topic, worker), version, required, baseline) {
                        Has::Yes => (version.max(required), required),
                        Has::No => (version, required),
                        Has::Open => {
                            tally.undecided(Rule::FalseReplayComplete);
                            continue;
                        }
                    }
                }
            };
            tally.judged(Rule::FalseReplayComplete, 1);
            if had >= required {
                continue;
            }
            let lost = fact.topic.kind() == TopicKind::Stream
                && track_of(fact.client, fact.topic)
                    .is_some_and(|track| track.all_lost(had + 1, required));
            if lost {
                tally.consequence(Rule::FalseReplayComplete);
            } else {
                tally.violate(fact.violation(had, required), 0);
            }
        }
    }
}

impl Fact {
    fn violation(&self, had: u64, required: u64) -> Violation {
        let message = match self.had {
            Had::Seq(_) => format!(
                "the subscribe was answered when the client had seq {had}, but seq {required} had \
                 been acknowledged before it was sent"
            ),
            Had::Version { worker, .. } => format!(
                "the subscribe was answered when the client had version {had} of worker {worker}, \
                 but version {required} had settled before it was sent"
            ),
        };
        Violation {
            at_us: self.at,
            rule: Rule::FalseReplayComplete,
            client: Some(self.client),
            topic: Some(self.topic),
            seqs: Some((had + 1, required)),
            epoch: Some(self.epoch),
            message,
        }
    }
}

/// What was acknowledged by when: running maxima over time. Planned publishes only: a worker's
/// creation is acknowledged before its event exists.
struct Known {
    seqs: BTreeMap<TopicId, Vec<(Micros, u64)>>,
    versions: BTreeMap<u16, Vec<(Micros, u64)>>,
}

impl Known {
    fn of(ledger: &Ledger) -> Self {
        let mut seqs: BTreeMap<TopicId, Vec<(Micros, u64)>> = BTreeMap::new();
        for ((topic, publish), seq) in ledger.seqs() {
            let entry = ledger.acknowledged().get(&publish);
            if let (PublishId::Planned(_), Some(entry)) = (publish, entry) {
                seqs.entry(topic).or_default().push((entry.at, seq));
            }
        }
        let mut versions: BTreeMap<u16, Vec<(Micros, u64)>> = BTreeMap::new();
        for (publish, entry) in ledger.acknowledged() {
            if matches!(publish, PublishId::Planned(_)) {
                versions.entry(entry.worker).or_default().push((entry.at, entry.worker_seq));
            }
        }
        seqs.values_mut().chain(versions.values_mut()).for_each(running_maximum);
        Self { seqs, versions }
    }

    fn seq_before(&self, topic: TopicId, at: Micros) -> u64 {
        self.seqs.get(&topic).map_or(0, |list| value_before(list, at))
    }

    fn version_before(&self, worker: u16, at: Micros) -> u64 {
        self.versions.get(&worker).map_or(0, |list| value_before(list, at))
    }
}

fn running_maximum(list: &mut Vec<(Micros, u64)>) {
    list.sort_unstable();
    let mut max = 0;
    for (_, value) in list {
        max = max.max(*value);
        *value = max;
    }
}

fn value_before(list: &[(Micros, u64)], at: Micros) -> u64 {
    let index = list.partition_point(|&(acknowledged, _)| acknowledged < at);
    index.checked_sub(1).map_or(0, |index| list[index].1)
}
