//! The ledger: what was published and acknowledged, and on which seq of which topic it came out.
//!
//! A topic's seq is not in a command's answer; it is learnt from the first delivery of the marker,
//! by whichever client saw it. Publisher and client may be on different shards, so every rule that
//! needs the ledger is settled after the merge.

use std::collections::{BTreeMap, BTreeSet};

use khala_plan::surface::Surface;
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use crate::record::{Delivery, Micros, NO_CONTENT, Outcome, PublishId, Published, Source};

/// Distinct contents remembered of one (topic, seq): those with the lowest digests, whoever came
/// first, so that it does not matter how clients were sharded. More are counted together; the right one
/// may then be among them, so that only a target that is badly broken may come to so many.
const CONTENTS_MAX: usize = 64;
/// Where they are counted.
const OTHERS: u64 = u64::MAX;

/// An acknowledged publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The worker it went to.
    pub worker: u16,
    /// The worker's seq.
    pub worker_seq: u64,
    /// When the command was begun: the event cannot be older.
    pub begun: Micros,
    /// When the acknowledgement arrived.
    pub at: Micros,
    /// Digest of the command's payload.
    pub payload: u64,
}

/// A publish that ended without an acknowledgement: it may exist all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// The worker it went to.
    pub worker: u16,
    /// When the command was begun: the event cannot be older.
    pub begun: Micros,
    /// The HTTP status with which it was refused, if it was refused and not only left without an answer.
    #[serde(default)]
    pub refused: Option<u16>,
}

/// One content of a (topic, seq), as some clients saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Deliveries with it.
    pub deliveries: u64,
    /// Of them, repeats and redeliveries: the client had the seq.
    pub again: u64,
    /// Of them, those to clients that had been live when the publish was due.
    pub live: u64,
    /// When it was first seen, and by whom.
    pub first: (Micros, u32),
    /// Whether it fits its own hash.
    pub hash_fits: bool,
    /// What it stems from.
    pub source: Source,
    /// When it last came to a client of each surface that was live by then and had not had it; 0 for never.
    #[serde(default, skip_serializing_if = "is_nowhere")]
    pub last_live: [Micros; Surface::ALL.len()],
}

fn is_nowhere(last: &[Micros; Surface::ALL.len()]) -> bool {
    last.iter().all(|at| *at == 0)
}

/// An acknowledgement that named another seq than its event shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misnamed {
    /// When it came.
    pub at: Micros,
    /// The publish.
    pub publish: PublishId,
    /// The topic on which it came out.
    pub topic: TopicId,
    /// On which seq of it, the lowest.
    pub seq: u64,
    /// The worker.
    pub worker: u16,
    /// The worker's seq by the acknowledgement.
    pub said: u64,
    /// The worker's seq by the event.
    pub shown: u64,
}

/// What a delivery was to the client that got it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// It had the seq already.
    pub again: bool,
    /// It had been live, and reading, since before the publish was due.
    pub live: bool,
    /// Its client's surface, where that had been live, and reading, when it came, and had not had it.
    pub spread_to: Option<Surface>,
}

/// The ledger and what was seen of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(with = "crate::pairs")]
    acknowledged: BTreeMap<PublishId, Acknowledged>,
    #[serde(with = "crate::pairs")]
    seen: BTreeMap<(TopicId, u64), BTreeMap<u64, Content>>,
    #[serde(with = "crate::pairs")]
    unanswered: BTreeMap<PublishId, Unanswered>,
}

impl Content {
    fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.again += other.again;
        self.live += other.live;
        self.first = self.first.min(other.first);
        for (mine, theirs) in self.last_live.iter_mut().zip(other.last_live) {
            *mine = theirs.max(*mine);
        }
    }
}

/// What tells contents apart. The hash is no part of the content: the right content with a wrong
/// hash is another one.
fn identity(delivery: &Delivery) -> u64 {
    if delivery.hash_fits {
        return delivery.content;
    }
    let mut bytes = delivery.content.to_le_bytes().to_vec();
    bytes.extend_from_slice(b"does not fit its hash");
    khala_wire::canonical::digest64(&bytes)
}

/// Adds to what was seen of one (topic, seq), and keeps it within its bound.
fn enter(contents: &mut BTreeMap<u64, Content>, digest: u64, content: Content) {
    contents.entry(digest).and_modify(|mine| mine.add(&content)).or_insert(content);
    while contents.range(..OTHERS).count() > CONTENTS_MAX {
        let highest = contents.range(..OTHERS).next_back().map(|(&digest, _)| digest);
        let Some(content) = highest.and_then(|digest| contents.remove(&digest)) else { return };
        // Of nobody, and fitting nothing: never the right content.
        let source = Source::State { worker: u16::MAX, version: 0 };
        let others = Content { hash_fits: false, source, ..content };
        contents.entry(OTHERS).and_modify(|mine| mine.add(&content)).or_insert(others);
    }
}

impl Ledger {
    /// Enters a command that ended. Only acknowledged ones bind the target.
    pub fn publish(&mut self, published: &Published) {
        match (published.outcome, published.worker_seq) {
            (Outcome::Ok, Some(worker_seq)) => {
                let entry = Acknowledged {
                    worker: published.worker,
                    worker_seq,
                    begun: published.start,
                    at: published.done,
                    payload: published.payload,
                };
                self.acknowledged.insert(published.id, entry);
            }
            _ => {
                let Published { worker, start: begun, .. } = *published;
                // A server's error and a gateway's say nothing of what became of the command.
                let refused = published.status.filter(|status| (400..500).contains(status));
                let refused = refused.filter(|status| *status != 408);
                self.unanswered.insert(published.id, Unanswered { worker, begun, refused });
            }
        }
    }

    /// Commands that were refused and came out all the same: how many, and of the first the number, the
    /// status, and where it came out.
    #[must_use]
    pub fn refused_and_seen(&self) -> (u64, Option<(PublishId, u16, TopicId, u64)>) {
        let refused = self.seqs().into_iter().filter_map(|((topic, publish), seq)| {
            let status = self.unanswered.get(&publish)?.refused?;
            Some((publish, status, topic, seq))
        });
        let mut seen: Vec<_> = refused.collect();
        seen.sort_unstable();
        seen.dedup_by_key(|(publish, ..)| *publish);
        (seen.len() as u64, seen.first().copied())
    }

    /// Enters a delivery.
    pub fn deliver(&mut self, delivery: &Delivery) {
        self.deliver_as(delivery, Manner::default());
    }

    /// Enters a delivery, with what it was to its client.
    pub fn deliver_as(&mut self, delivery: &Delivery, manner: Manner) {
        let contents = self.seen.entry((delivery.topic, delivery.seq)).or_default();
        let mut last_live = [0; Surface::ALL.len()];
        if let Some(surface) = manner.spread_to {
            last_live[surface as usize] = delivery.at;
        }
        let content = Content {
            deliveries: 1,
            again: u64::from(manner.again),
            live: u64::from(manner.live),
            first: (delivery.at, delivery.client),
            hash_fits: delivery.hash_fits,
            source: delivery.source,
            last_live,
        };
        enter(contents, identity(delivery), content);
    }

    /// Adds another shard's ledger.
    pub fn merge(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.unanswered.extend(other.unanswered);
        for (place, theirs) in other.seen {
            let ours = self.seen.entry(place).or_default();
            theirs.into_iter().for_each(|(digest, content)| enter(ours, digest, content));
        }
    }

    /// Acknowledged publishes.
    #[must_use]
    pub fn acknowledged(&self) -> &BTreeMap<PublishId, Acknowledged> {
        &self.acknowledged
    }

    /// Commands that ended without an acknowledgement.
    #[must_use]
    pub fn unanswered(&self) -> &BTreeMap<PublishId, Unanswered> {
        &self.unanswered
    }

    /// Every (topic, seq) that any client saw, with its contents.
    #[must_use]
    pub fn seen(&self) -> &BTreeMap<(TopicId, u64), BTreeMap<u64, Content>> {
        &self.seen
    }

    /// Commands that failed or were not answered, and came out nowhere: each may have left a hole.
    #[must_use]
    pub fn came_to_nothing(&self) -> u64 {
        let seen: BTreeSet<_> = self.seqs().into_keys().map(|(_, publish)| publish).collect();
        self.unanswered.keys().filter(|publish| !seen.contains(publish)).count() as u64
    }

    /// When a command was begun, whatever came of it.
    #[must_use]
    pub fn begun(&self, publish: PublishId) -> Option<Micros> {
        let acknowledged = self.acknowledged.get(&publish).map(|entry| entry.begun);
        acknowledged.or_else(|| Some(self.unanswered.get(&publish)?.begun))
    }

    /// Puts right what only the whole run tells. An event without a payload is known by its worker and
    /// seq: it becomes that of the command that was acknowledged as it. And where an acknowledgement
    /// named another seq than the event shows, the event's counts from here on: gives those that did.
    pub fn reconcile(&mut self) -> Vec<Misnamed> {
        let mut shown: BTreeMap<PublishId, BTreeMap<u64, u64>> = BTreeMap::new();
        let mut first: BTreeMap<PublishId, (TopicId, u64)> = BTreeMap::new();
        for (&(topic, seq), contents) in &self.seen {
            for content in contents.values() {
                if let Source::Event { publish, worker_seq: Some(own), .. } = content.source {
                    *shown.entry(publish).or_default().entry(own).or_default() +=
                        content.deliveries;
                    first.entry(publish).or_insert((topic, seq));
                }
            }
        }
        let mut misnamed = Vec::new();
        for (&publish, entry) in &mut self.acknowledged {
            // What one client alone was shown is another rule's.
            let most = shown.get(&publish).and_then(|shown| {
                shown.iter().max_by_key(|(own, times)| (**times, std::cmp::Reverse(**own)))
            });
            let Some((&own, _)) = most.filter(|(own, _)| **own != entry.worker_seq) else {
                continue;
            };
            let (topic, seq) = first[&publish];
            let (worker, said, at) = (entry.worker, entry.worker_seq, entry.at);
            misnamed.push(Misnamed { at, publish, topic, seq, worker, said, shown: own });
            entry.worker_seq = own;
        }
        let by_seq: BTreeMap<(u16, u64), PublishId> = (self.acknowledged.iter())
            .map(|(&publish, entry)| ((entry.worker, entry.worker_seq), publish))
            .collect();
        for contents in self.seen.values_mut() {
            let Some(content) = contents.get_mut(&NO_CONTENT) else { continue };
            if let Source::Event { publish, .. } = &mut content.source
                && let PublishId::Lifecycle { worker, seq } = *publish
                && let Some(&known) = by_seq.get(&(worker, seq))
            {
                *publish = known;
            }
        }
        misnamed
    }

    /// When each publish was first seen where it comes out one by one, by whomever.
    #[must_use]
    pub fn first_seen(&self) -> BTreeMap<PublishId, Micros> {
        let mut first: BTreeMap<PublishId, Micros> = BTreeMap::new();
        for content in self.seen.values().flat_map(BTreeMap::values) {
            if let Source::Event { publish, .. } = content.source {
                let at = content.first.0;
                first.entry(publish).and_modify(|known| *known = at.min(*known)).or_insert(at);
            }
        }
        first
    }

    /// On which seq of a topic each publish came out.
    #[must_use]
    pub fn seqs(&self) -> BTreeMap<(TopicId, PublishId), u64> {
        let mut seqs = BTreeMap::new();
        for (&(topic, seq), contents) in &self.seen {
            for content in contents.values() {
                if let Source::Event { publish, .. } = content.source {
                    seqs.entry((topic, publish)).or_insert(seq);
                }
            }
        }
        seqs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const TOPIC: TopicId = TopicId::WORKER_EVENTS;

    fn delivery(seq: u64, content: u64) -> Delivery {
        let source = Source::Foreign;
        let (client, at) = (3, 1_000 - content.min(1_000));
        Delivery { client, epoch: 1, topic: TOPIC, seq, at, content, hash_fits: true, source }
    }

    #[test]
    fn deliveries_of_one_content_add_up() {
        let mut ledger = Ledger::default();
        for (again, live) in [(false, true), (true, true), (true, false), (true, false)] {
            ledger.deliver_as(&delivery(5, 9), Manner { again, live, spread_to: None });
        }
        let content = ledger.seen()[&(TOPIC, 5)].values().next().expect("the content");
        assert_eq!((content.deliveries, content.again, content.live), (4, 3, 2));
    }

    /// What a command came to: its number, the HTTP status if it had one, and whether it was acknowledged, as
    /// seq 5 of worker 2.
    fn ended(id: u32, status: Option<u16>, outcome: Outcome) -> Published {
        Published {
            outcome,
            status,
            ..testing::published(
                PublishId::Planned(id),
                2,
                [10, 20],
                (outcome == Outcome::Ok).then_some(5),
            )
        }
    }

    /// An event that shows which command it stems from, and its worker's seq.
    fn event(publish: u32, topic: TopicId, seq: u64, own: u64) -> Delivery {
        let publish = PublishId::Planned(publish);
        let (intended, begun, worker_seq) = (None, None, Some(own));
        let source = Source::Event { publish, intended, begun, payload: 0, worker_seq };
        Delivery { topic, source, ..delivery(seq, own) }
    }

    #[test]
    fn a_command_that_was_refused_and_came_out_is_told_once_wherever_it_did() {
        let of = |statuses: &[Option<u16>], events: &[(u32, TopicId, u64)]| {
            let mut ledger = Ledger::default();
            for (&status, id) in statuses.iter().zip(0..) {
                ledger.publish(&ended(id, status, Outcome::ProtocolError));
            }
            for &(publish, topic, seq) in events {
                ledger.deliver(&event(publish, topic, seq, 1));
            }
            ledger.refused_and_seen()
        };
        let others = TopicId::WORKER_SUMMARIES;
        // Neither an answer that says nothing of what became of the command, nor none.
        let open = [Some(408), Some(399), Some(500), Some(503), None];
        let all: Vec<_> = (0..5).map(|id| (id, TOPIC, 10 + u64::from(id))).collect();
        assert_eq!(of(&open, &all), (0, None));
        let refused = [Some(408), Some(400), Some(499), Some(429)];
        assert_eq!(of(&refused, &[(0, TOPIC, 9)]), (0, None), "they came out nowhere");
        let came_out = [(2, TOPIC, 7), (1, others, 4), (1, TOPIC, 8)];
        let first = Some((
            PublishId::Planned(1),
            400,
            TOPIC.min(others),
            if TOPIC < others { 8 } else { 4 },
        ));
        assert_eq!(of(&refused, &came_out), (2, first));
    }

    #[test]
    fn where_clients_were_shown_different_seqs_of_a_worker_that_of_most_counts() {
        let mut ledger = Ledger::default();
        ledger.publish(&ended(0, None, Outcome::Ok));
        for own in [4, 6, 6] {
            ledger.deliver(&event(0, TOPIC, 9, own));
        }
        let misnamed = ledger.reconcile();
        assert_eq!(misnamed.len(), 1);
        let Misnamed { topic, seq, worker, said, shown, .. } = misnamed[0];
        assert_eq!((topic, seq, worker, said, shown), (TOPIC, 9, 2, 5, 6));
        assert_eq!(ledger.acknowledged()[&PublishId::Planned(0)].worker_seq, 6);
    }

    #[test]
    fn of_too_many_contents_the_lowest_are_told_apart_and_the_others_counted_together() {
        let most = u64::try_from(CONTENTS_MAX).expect("small");
        let of = |contents: &[u64]| {
            let mut ledger = Ledger::default();
            contents.iter().for_each(|&content| ledger.deliver(&delivery(5, content)));
            ledger.seen()[&(TOPIC, 5)].clone()
        };
        let just: Vec<_> = (0..most).collect();
        assert_eq!(of(&just).into_keys().collect::<Vec<_>>(), just);
        let beyond: Vec<_> = (0..most + 3).collect();
        let seen = of(&beyond);
        assert_eq!(seen.len(), CONTENTS_MAX + 1);
        let others = seen[&OTHERS];
        assert_eq!((others.deliveries, others.hash_fits), (3, false));
        assert_eq!(others.source, Source::State { worker: u16::MAX, version: 0 });
        assert_eq!(of(&beyond.into_iter().rev().collect::<Vec<_>>()), seen, "whoever came first");
    }
}
