//! What clients never got, gathered over all of them, and which of it are holes.
//!
//! A runtime that allocates a seq before it inserts leaves a hole where the insert fails: a seq that no
//! client can be sent. Only the whole run tells one from a loss. A missing seq that nobody saw is a hole
//! while nothing can claim it: every acknowledged publish that has reached nobody claims one between those of
//! the publishes before and after it, and on a target that nobody else writes to there are no more holes
//! than commands that failed or were not answered. What is claimed, and what is beyond, is `gap`'s; the
//! lowest seqs are claimed first, and are holes first, for which of them it was nobody knows.
//!
//! Memory: `RANGES_MAX` ranges a topic, each with the clients that miss it in blocks of 64; the lowest are
//! kept, further ones are counted, and undecided.

use std::collections::{BTreeMap, BTreeSet};

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::track::Missing;
use crate::record::{Micros, PublishId, second_of};

/// Ranges kept apart of a topic.
const RANGES_MAX: usize = 65_536;

/// One range of seqs, as all who miss it do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// How often: subscriptions that never got it.
    pub times: u64,
    /// The earliest: when a later seq was seen, by which client, in which epoch.
    pub first: (Micros, u32, u32),
    /// When a later seq was seen by the last of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last: Micros,
    /// How often in each second of the run; what journals of before do not tell is of the earliest's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seconds: BTreeMap<u32, u64>,
    /// Client numbers by 64, and which of these.
    clients: BTreeMap<u32, u64>,
}

fn is_zero(at: &Micros) -> bool {
    *at == 0
}

impl Missed {
    fn merge(&mut self, other: Self) {
        self.times += other.times;
        self.last = self.last.max(other.last);
        self.first = self.first.min(other.first);
        for (second, times) in other.seconds {
            *self.seconds.entry(second).or_default() += times;
        }
        for (block, bits) in other.clients {
            *self.clients.entry(block).or_default() |= bits;
        }
    }

    /// The clients that miss it.
    pub fn clients(&self) -> impl Iterator<Item = u32> + '_ {
        let of = |(&block, &bits): (&u32, &u64)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| block * 64 + bit)
        };
        self.clients.iter().flat_map(of)
    }
}

/// What is missing of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfTopic {
    #[serde(with = "crate::pairs")]
    ranges: BTreeMap<(u64, u64), Missed>,
    beyond: u64,
}

impl OfTopic {
    fn add(&mut self, range: (u64, u64), missed: Missed) {
        match self.ranges.get_mut(&range) {
            Some(known) => known.merge(missed),
            None => drop(self.ranges.insert(range, missed)),
        }
        if self.ranges.len() > RANGES_MAX {
            self.beyond += self.ranges.pop_last().map_or(0, |(_, missed)| missed.times);
        }
    }

    /// The ranges, both ends included.
    #[must_use]
    pub fn ranges(&self) -> &BTreeMap<(u64, u64), Missed> {
        &self.ranges
    }

    /// Times that a range beyond those was missed.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

/// What is missing, by topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    topics: BTreeMap<TopicId, OfTopic>,
}

impl Lost {
    /// Enters ranges that an epoch of a client never got.
    pub fn add(&mut self, client: u32, topic: TopicId, epoch: u32, missing: &[Missing]) {
        for &Missing { first, last, noticed_at } in missing {
            let clients = BTreeMap::from([(client / 64, 1 << (client % 64))]);
            let earliest = (noticed_at, client, epoch);
            let seconds = BTreeMap::from([(second_of(noticed_at), 1)]);
            let missed = Missed { times: 1, first: earliest, last: noticed_at, seconds, clients };
            self.topics.entry(topic).or_default().add((first, last), missed);
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        for (topic, theirs) in other.topics {
            let ours = self.topics.entry(topic).or_default();
            ours.beyond += theirs.beyond;
            theirs.ranges.into_iter().for_each(|(range, missed)| ours.add(range, missed));
        }
    }

    /// By topic.
    #[must_use]
    pub fn topics(&self) -> &BTreeMap<TopicId, OfTopic> {
        &self.topics
    }
}

/// Seqs of a topic that somebody missed and nobody saw, as ranges in order, each with how many such seqs
/// come before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    ranges: Vec<(u64, u64, u64)>,
    count: u64,
}

impl Unseen {
    /// Those of a topic.
    #[must_use]
    pub fn of(lost: &OfTopic, topic: TopicId, ledger: &Ledger) -> Self {
        let mut unseen = Self::default();
        // Nothing below it is looked at again: ranges of different clients overlap.
        let mut next = 0;
        for &(first, last) in lost.ranges.keys() {
            let first = first.max(next);
            if first > last {
                continue;
            }
            next = last.saturating_add(1);
            let mut from = first;
            for ((_, seq), _) in ledger.seen().range((topic, first)..=(topic, last)) {
                unseen.push(from, *seq);
                from = seq.saturating_add(1);
            }
            unseen.push(from, next);
        }
        unseen
    }

    /// From `from` up to below `to`.
    fn push(&mut self, from: u64, to: u64) {
        if from < to {
            self.ranges.push((from, to - 1, self.count));
            self.count = self.count.saturating_add(to - from);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The n-th of them, from 0.
    #[must_use]
    pub fn nth(&self, n: u64) -> Option<u64> {
        let after = self.ranges.partition_point(|(.., before)| *before <= n);
        let (first, last, before) = *self.ranges.get(after.checked_sub(1)?)?;
        first.checked_add(n - before).filter(|seq| *seq <= last)
    }

    /// How many lie below a seq.
    fn below(&self, seq: u64) -> u64 {
        let after = self.ranges.partition_point(|(first, ..)| *first < seq);
        let Some((first, last, before)) = after.checked_sub(1).and_then(|at| self.ranges.get(at))
        else {
            return 0;
        };
        before + (seq - first).min(last - first + 1)
    }

    /// Whether nobody saw anything of a range.
    fn holds(&self, (first, last): (u64, u64)) -> bool {
        self.below(last.saturating_add(1)) - self.below(first) == last - first + 1
    }
}

/// A publish that got lost, and between which seqs its own was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The publish.
    pub publish: PublishId,
    /// Its seq was above this.
    pub above: u64,
    /// Its seq was below this.
    pub below: u64,
}

/// What the missing seqs of a topic that nobody saw come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    unseen: Unseen,
    /// Those that are claimed, in order.
    claimed: Vec<u64>,
    /// As many of the others, the lowest, are holes; the rest nobody can have left.
    pub holes: u64,
    /// The publishes that have claimed one.
    pub explained: BTreeSet<PublishId>,
}

impl Shares {
    /// Shares them out, so that as many are claimed as can be. `may_be`: how many may be holes.
    #[must_use]
    pub fn of(unseen: Unseen, mut claims: Vec<Claim>, may_be: u64) -> Self {
        claims.sort_unstable_by_key(|claim| std::cmp::Reverse((claim.above, claim.publish)));
        let mut shares = Self { unseen, ..Self::default() };
        // Of those that may claim a seq the one that must go first does, as jobs with deadlines do.
        let mut open: BTreeSet<(u64, PublishId)> = BTreeSet::new();
        let mut n = 0;
        while let Some(seq) = shares.unseen.nth(n) {
            while let Some(claim) = claims.pop_if(|claim| claim.above < seq) {
                open.insert((claim.below, claim.publish));
            }
            while open.first().is_some_and(|(below, _)| *below <= seq) {
                open.pop_first();
            }
            n = match (open.pop_first(), claims.last()) {
                (Some((_, publish)), _) => {
                    shares.claimed.push(seq);
                    shares.explained.insert(publish);
                    n + 1
                }
                (None, Some(next)) => shares.unseen.below(next.above.saturating_add(1)),
                (None, None) => break,
            };
        }
        shares.holes = may_be.min(shares.unseen.count() - shares.claimed.len() as u64);
        shares
    }

    fn claimed_below(&self, seq: u64) -> u64 {
        self.claimed.partition_point(|claimed| *claimed < seq) as u64
    }

    /// Whether all of a range are holes.
    #[must_use]
    pub fn are_holes(&self, (first, last): (u64, u64)) -> bool {
        let after = last.saturating_add(1);
        self.unseen.holds((first, last))
            && self.claimed_below(after) == self.claimed_below(first)
            && self.unseen.below(after) - self.claimed_below(after) <= self.holes
    }

    /// The first hole.
    #[must_use]
    pub fn first_hole(&self) -> Option<u64> {
        let nth = |n| self.unseen.nth(n);
        let claimed = self.claimed.iter().zip(0..);
        let before = claimed.take_while(|(seq, n)| nth(*n) == Some(**seq)).count() as u64;
        nth(before).filter(|_| self.holes > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Delivery, Source};

    const TOPIC: TopicId = TopicId::WORKER_EVENTS;

    fn lost(ranges: &[(u32, u64, u64)]) -> Lost {
        let mut lost = Lost::default();
        for &(client, first, last) in ranges {
            let missing = Missing { first, last, noticed_at: 100 - u64::from(client.min(99)) };
            lost.add(client, TOPIC, 1, &[missing]);
        }
        lost
    }

    fn unseen(ranges: &[(u32, u64, u64)], seen: &[u64]) -> Unseen {
        let mut ledger = Ledger::default();
        for &seq in seen {
            ledger.deliver(&Delivery {
                client: 0,
                epoch: 1,
                topic: TOPIC,
                seq,
                at: 1,
                content: 1,
                hash_fits: true,
                source: Source::Foreign,
            });
        }
        let lost = lost(ranges);
        Unseen::of(&lost.topics[&TOPIC], TOPIC, &ledger)
    }

    #[test]
    fn who_misses_the_same_range_in_another_second_counts_there() {
        let mut missing = Lost::default();
        for (client, noticed_at) in [(1, 900_000), (2, 2_100_000), (3, 2_900_000)] {
            missing.add(client, TOPIC, 1, &[Missing { first: 4, last: 4, noticed_at }]);
        }
        let of = &missing.topics[&TOPIC];
        assert_eq!(of.ranges()[&(4, 4)].seconds, BTreeMap::from([(0, 1), (2, 2)]));
    }

    #[test]
    fn those_who_miss_the_same_range_are_told_together() {
        let lost = lost(&[(3, 4, 4), (64, 4, 4), (3, 4, 4), (130, 6, 9)]);
        let of = &lost.topics[&TOPIC];
        let missed = &of.ranges()[&(4, 4)];
        assert_eq!((missed.times, missed.first), (3, (36, 64, 1)));
        assert_eq!(missed.clients().collect::<Vec<_>>(), [3, 64]);
        assert_eq!(missed.seconds, BTreeMap::from([(0, 3)]));
        assert_eq!(of.ranges()[&(6, 9)].clients().collect::<Vec<_>>(), [130]);
    }

    #[test]
    fn ranges_beyond_the_bound_are_counted_whoever_came_first() {
        let most = u64::try_from(RANGES_MAX).expect("small");
        let of = |seqs: &mut dyn Iterator<Item = u64>| {
            let ranges: Vec<_> = seqs.map(|n| (0, n * 2, n * 2)).collect();
            lost(&ranges).topics.remove(&TOPIC).expect("has some")
        };
        let upwards = of(&mut (0..most + 3));
        assert_eq!((upwards.ranges().len(), upwards.beyond()), (RANGES_MAX, 3));
        assert_eq!(of(&mut (0..most + 3).rev()), upwards);
    }

    #[test]
    fn what_shards_miss_adds_up_to_what_all_do() {
        let most = u64::try_from(RANGES_MAX).expect("small");
        let of = |clients: &[u32]| {
            let few = clients.iter().map(|&client| (client, u64::MAX, u64::MAX));
            let all = |&client| (0..most + 3).map(move |n| (client, n * 2, n * 2));
            lost(&clients.iter().flat_map(all).chain(few).collect::<Vec<_>>())
        };
        let mut merged = of(&[3]);
        merged.merge(of(&[64]));
        assert_eq!(merged, of(&[3, 64]));
        assert_eq!(merged.topics[&TOPIC].beyond(), 8);
        let mut from_nothing = Lost::default();
        from_nothing.merge(of(&[3]));
        assert_eq!(from_nothing, of(&[3]));
    }

    #[test]
    fn what_nobody_saw_is_counted_once_however_many_miss_it() {
        // 4 to 9 and 8 to 12, of which 6 and 10 were seen.
        let unseen = unseen(&[(0, 4, 9), (1, 8, 12), (2, 4, 9), (3, 5, 5)], &[3, 6, 10, 13]);
        assert_eq!(unseen.ranges, [(4, 5, 0), (7, 9, 2), (11, 12, 5)]);
        assert_eq!(unseen.count(), 7);
        let each: Vec<_> = (0..8).map(|n| unseen.nth(n)).collect();
        let seqs = [4, 5, 7, 8, 9, 11, 12];
        assert_eq!(each, seqs.into_iter().map(Some).chain([None]).collect::<Vec<_>>());
        let below: Vec<_> = [0, 4, 5, 6, 7, 10, 12, 99].map(|seq| unseen.below(seq)).to_vec();
        assert_eq!(below, [0, 0, 1, 2, 2, 5, 6, 7]);
    }

    #[test]
    fn a_range_as_wide_as_can_be_takes_no_time() {
        let unseen = unseen(&[(0, 2, u64::MAX - 1)], &[9]);
        assert_eq!((unseen.count(), unseen.nth(7)), (u64::MAX - 3, Some(10)));
    }

    #[test]
    fn the_lowest_are_claimed_the_next_are_holes_and_the_rest_nobodys() {
        // 4, 5, 7, 8, 9 and 11.
        let unseen = unseen(&[(0, 4, 9), (0, 11, 11), (1, 4, 5), (1, 7, 9)], &[6]);
        let shares = Shares::of(unseen.clone(), claims(&[(0, 99), (0, 99)]), 3);
        assert_eq!(
            (&shares.claimed[..], shares.holes, shares.first_hole()),
            (&[4, 5][..], 3, Some(7))
        );
        let ranges = [(4, 5), (5, 7), (6, 7), (7, 9), (8, 8), (9, 11), (11, 11)];
        let are: Vec<_> = ranges.iter().filter(|&&range| shares.are_holes(range)).collect();
        assert_eq!(are, [&(7, 9), &(8, 8)]);
        let all = Shares::of(unseen.clone(), claims(&[(0, 99); 9]), 3);
        assert_eq!((all.claimed.len(), all.holes, all.first_hole()), (6, 0, None));
        assert_eq!(Shares::of(unseen.clone(), Vec::new(), u64::MAX).holes, 6);
        let nobodys = Shares::of(unseen, claims(&[(0, 99)]), 0);
        assert_eq!((nobodys.holes, nobodys.first_hole()), (0, None), "none may be a hole");
    }

    fn claims(between: &[(u64, u64)]) -> Vec<Claim> {
        let claim =
            |(n, &(above, below)): (u32, _)| Claim { publish: PublishId::Planned(n), above, below };
        (0..).zip(between).map(claim).collect()
    }

    #[test]
    fn a_publish_claims_what_lies_between_those_before_and_after_it() {
        // 4, 5, 7, 8, 9 and 11.
        let unseen = unseen(&[(0, 4, 9), (0, 11, 11)], &[6]);
        for (between, claimed, explained) in [
            // None between 5 and 7, nor above 11; one between 9 and 12.
            (&[(5, 7), (11, 99), (9, 12)][..], &[11][..], &[2][..]),
            // The one that has no other choice goes first.
            (&[(3, 12), (3, 5)], &[4, 5], &[0, 1]),
            (&[(7, 10), (6, 9), (6, 8)], &[7, 8, 9], &[0, 1, 2]),
            (&[(7, 9), (7, 9)], &[8], &[0]),
            // The seq before it is another's, although it is next in turn.
            (&[(3, 12), (5, 7)], &[4], &[0]),
        ] {
            let shares = Shares::of(unseen.clone(), claims(between), 9);
            let of: Vec<_> = explained.iter().copied().map(PublishId::Planned).collect();
            assert_eq!(shares.claimed, claimed, "{between:?}");
            assert_eq!(shares.explained.into_iter().collect::<Vec<_>>(), of, "{between:?}");
        }
    }
}
