//! Rule `bad_snapshot`, what a snapshot holds: the state at its watermark (contract, section 5b).
//!
//! Of each of our workers' documents the version that somebody was sent at or below the watermark, or a later one, with
//! a payload that fits its hash, and is the one that others were sent of that version. What nobody was sent at or below
//! it is not owed. A document that is newer than the watermark is no breach: the tail says the same again. Retention
//! prunes the log and no state, so that a document is owed whether the log still has its event or not.
//!
//! Settled at the merge, for others may have been sent what is missing here. Cases: snapshots, of which
//! each is judged by all its documents. Undecided: one that lacks a document which was acknowledged the
//! settle bound before, and of which nobody was sent anything at or below the watermark. Memory:
//! `CONTENTS_MAX` snapshots that differ; those beyond are undecided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::violation;
use crate::oracle::baseline::Versions;
use crate::oracle::ledger::Ledger;
use crate::oracle::rule::Rule;
use crate::oracle::tally::Tally;
use crate::record::{Held, Micros, NO_CONTENT, PublishId, Source};

/// Snapshots of different content told apart; of more those with the lowest topic, watermark and
/// content, so that it does not matter how clients were sharded.
const CONTENTS_MAX: usize = 1_024;
/// Documents named in a message.
const NAMED_MAX: usize = 3;

/// A snapshot that a client took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// The client.
    pub client: u32,
    /// When it was there.
    pub at: Micros,
    /// When it was asked for.
    pub start: Micros,
    /// The topic.
    pub topic: TopicId,
    /// Its watermark.
    pub head: u64,
}

/// Topic, watermark and documents, sorted.
type Content = (TopicId, u64, Vec<Held>);

/// Who took one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Takers {
    times: u64,
    /// When it was first there, and with whom.
    first: (Micros, u32),
    /// When the first of them asked for it.
    asked: Micros,
    clients: BTreeSet<u32>,
}

impl Takers {
    fn merge(&mut self, other: Self) {
        self.times += other.times;
        self.first = self.first.min(other.first);
        self.asked = self.asked.min(other.asked);
        self.clients.extend(other.clients);
    }
}

/// All that were taken, by content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    #[serde(with = "crate::pairs")]
    taken: BTreeMap<Content, Takers>,
    beyond: u64,
}

impl Contents {
    /// Enters one.
    pub fn add(&mut self, taken: Taken, mut documents: Vec<Held>) {
        let Taken { client, at, start, topic, head } = taken;
        documents.sort_unstable();
        let clients = BTreeSet::from([client]);
        let takers = Takers { times: 1, first: (at, client), asked: start, clients };
        self.enter((topic, head, documents), takers);
        self.trim();
    }

    fn enter(&mut self, content: Content, takers: Takers) {
        match self.taken.get_mut(&content) {
            Some(known) => known.merge(takers),
            None => drop(self.taken.insert(content, takers)),
        }
    }

    /// What is beyond the bound here is so in any sum that this is a part of.
    fn trim(&mut self) {
        while self.taken.len() > CONTENTS_MAX {
            let Some((_, takers)) = self.taken.pop_last() else { return };
            self.beyond += takers.times;
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        self.beyond += other.beyond;
        other.taken.into_iter().for_each(|(content, takers)| self.enter(content, takers));
        self.trim();
    }

    /// What anybody was sent of the versions that the snapshots hold.
    fn sent(&self, ledger: &Ledger) -> Sent {
        let held = self.taken.keys().flat_map(|(topic, _, documents)| {
            documents.iter().map(|held| ((*topic, held.worker, held.version), BTreeSet::new()))
        });
        let mut sent: Sent = held.collect();
        if sent.is_empty() {
            return sent;
        }
        for (&(topic, _), contents) in ledger.seen() {
            for (&digest, content) in contents {
                let Source::State { worker, version } = content.source else { continue };
                if content.hash_fits
                    && digest != NO_CONTENT
                    && let Some(all) = sent.get_mut(&(topic, worker, version))
                {
                    all.insert(digest);
                }
            }
        }
        sent
    }

    /// Judges them all by what anybody was sent.
    pub fn settle(
        &self,
        ledger: &Ledger,
        versions: &Versions,
        settle_within: Duration,
        tally: &mut Tally,
    ) {
        let settle = u64::try_from(settle_within.as_micros()).unwrap_or(u64::MAX);
        let mut acknowledged: BTreeMap<u16, Micros> = BTreeMap::new();
        for (publish, entry) in ledger.acknowledged() {
            if matches!(publish, PublishId::Planned(_)) {
                let first = acknowledged.entry(entry.worker).or_insert(entry.at);
                *first = entry.at.min(*first);
            }
        }
        let sent = self.sent(ledger);
        for ((topic, head, documents), takers) in &self.taken {
            let due = acknowledged.iter().filter(|(_, at)| **at + settle <= takers.asked);
            let due: BTreeSet<u16> = due.map(|(worker, _)| *worker).collect();
            let at = |worker| versions.at(*topic, worker, *head);
            let workers = acknowledged.keys().copied().map(|worker| (worker, at(worker)));
            let of = Against { owed: workers.collect(), due, sent: &sent, topic: *topic };
            match of.judge(documents) {
                Judged::Sound => tally.judged(Rule::BadSnapshot, takers.times),
                Judged::Open => tally.undecided_cases(Rule::BadSnapshot, takers.times),
                Judged::Wrong(why) => {
                    tally.judged(Rule::BadSnapshot, takers.times);
                    let (at, client) = takers.first;
                    let message = format!("the snapshot at watermark {head} {why}");
                    let violation = violation(client, *topic, at, message);
                    let clients = takers.clients.iter().copied();
                    tally.violate_for(violation, takers.times - 1, clients, at, &BTreeMap::new());
                }
            }
        }
        tally.undecided_cases(Rule::BadSnapshot, self.beyond);
    }
}

/// The contents of each version of a worker's document that anybody was sent.
type Sent = BTreeMap<(TopicId, u16, u64), BTreeSet<u64>>;

/// What a snapshot must hold.
struct Against<'a> {
    topic: TopicId,
    sent: &'a Sent,
    /// Of each of our workers the version at the watermark at the least, 0 where nobody was sent one.
    owed: Vec<(u16, u64)>,
    /// Workers whose documents had been there for long when it was asked for.
    due: BTreeSet<u16>,
}

enum Judged {
    Sound,
    Open,
    Wrong(String),
}

impl Against<'_> {
    fn judge(&self, documents: &[Held]) -> Judged {
        let mut wrong: Vec<String> = Vec::new();
        let mut is_open = false;
        for document in documents.iter().filter(|document| !document.hash_fits) {
            let Held { worker, version, .. } = document;
            wrong.push(format!("has worker {worker}'s document with a hash that is not its payload's (version {version})"));
        }
        for &Held { worker, version, content, hash_fits } in documents {
            let others = self.sent.get(&(self.topic, worker, version));
            if hash_fits
                && content != NO_CONTENT
                && others.is_some_and(|it| !it.is_empty() && !it.contains(&content))
            {
                wrong.push(format!(
                    "has version {version} of worker {worker}'s document with another content than others had been sent"
                ));
            }
        }
        for &(worker, owed) in &self.owed {
            let of_worker = documents.iter().filter(|document| document.worker == worker);
            match of_worker.map(|document| document.version).max() {
                Some(version) if version < owed => wrong.push(format!(
                    "has version {version} of worker {worker}'s document; others had been sent {owed} at or below it"
                )),
                None if owed > 0 => wrong.push(format!(
                    "lacks worker {worker}'s document; others had been sent version {owed} at or below it"
                )),
                None => is_open |= self.due.contains(&worker),
                Some(_) => {}
            }
        }
        if wrong.is_empty() {
            return if is_open { Judged::Open } else { Judged::Sound };
        }
        let more = wrong.len().saturating_sub(NAMED_MAX);
        wrong.truncate(NAMED_MAX);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        Judged::Wrong(format!("{}{more}", wrong.join(", ")))
    }
}

#[cfg(test)]
mod tests;
