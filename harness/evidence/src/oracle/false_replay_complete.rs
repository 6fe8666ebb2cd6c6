//! Rule `false_replay_complete`: the ok reply to a subscribe does not come before all that was
//! acknowledged before the subscribe was sent.
//!
//! Streams: the client's highest seq at the reply is at least that of every publish acknowledged
//! before the subscribe was sent, up to the first seq that was not decided by then: neither acknowledged nor
//! seen by anybody. A runtime that allocates a seq before it inserts holds back what stands above one that is
//! still under way, or it would break the order. States: each of our documents is at least at the version that was
//! acknowledged the settle bound before. Both are lower bounds of what the server must have known,
//! so a correct server cannot break them.
//!
//! A stream that is subscribed to without a cursor, for the first time on a socket, is replayed from the retention
//! floor: what others had been sent of it before, above the highest floor that the target's windows allow, comes
//! before the reply, and first. Without windows that is not judged: nobody knows what was pruned.
//!
//! What a client took from a snapshot is not seen: a version that it was never sent is held against
//! it only if it was published after the snapshot ([`Baseline`]), else it
//! is known by its watermark, or undecided.
//!
//! Of a document of which a client was never sent anything, only what is surely owed is judged: a log
//! may have been pruned before the client came.
//!
//! Nor does the reply say that a stream stands where it does not: what is published after it has a higher seq than the
//! watermark that it told, unless a fault had chosen the cursor.
//!
//! A passive run has nothing acknowledged: there a stream's reply is held against what others had been sent of it
//! before the subscribe was sent, and documents of others against nothing.
//!
//! A reply leaves a few facts behind; the ledger is asked at the merge. The facts are bounded; beyond
//! the bound replies are undecided. What never came at all is a `gap`, and the early reply then its
//! consequence. Cases: replies, one for each stream and for each document of a state topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Has, Versions};
use super::ledger::{Content, Ledger};
use super::rule::Rule;
use super::stands::Later;
use super::tally::{Tally, Violation};
use super::track::Track;
use super::windows::Timelines;
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
    /// Where the reply says that the stream stands, unless a fault had chosen the cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stands: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Had {
    Seq(u64),
    Version {
        worker: u16,
        version: u64,
        baseline: Option<Baseline>,
    },
    /// All of the stream above this: the seq before the first that came of a replay without a cursor, or
    /// where the reply says that the stream stands if none came.
    Above(u64),
    /// Nothing of the documents for which the reply left no fact of its own.
    Nothing {
        baseline: Option<Baseline>,
    },
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
    /// Enters an ok reply for a stream; `stands`: where it says that the stream stands, if that is the target's
    /// own word.
    pub fn stream(&mut self, reply: Reply, highest: u64, stands: Option<u64>) {
        self.enter(reply, Had::Seq(highest), stands);
    }

    /// Enters an ok reply for a stream without a cursor, the first on its socket, which brought what is above
    /// `floor`.
    pub fn from_floor(&mut self, reply: Reply, floor: u64) {
        self.push(reply, Had::Above(floor));
    }

    /// Enters an ok reply for one of our documents of a state topic. `baseline`: what the client counts
    /// as known of the topic without a delivery.
    pub fn state(&mut self, reply: Reply, worker: u16, version: u64, baseline: Option<Baseline>) {
        self.push(reply, Had::Version { worker, version, baseline });
    }

    /// Enters an ok reply for the documents of which the client was never sent anything.
    pub fn other_states(&mut self, reply: Reply, baseline: Option<Baseline>) {
        self.push(reply, Had::Nothing { baseline });
    }

    fn push(&mut self, reply: Reply, had: Had) {
        self.enter(reply, had, None);
    }

    fn enter(&mut self, reply: Reply, had: Had, stands: Option<u64>) {
        let Reply { client, topic, epoch, sent_at, at } = reply;
        self.keep(Fact { at, client, topic, epoch, sent_at, had, stands }, FACTS_MAX);
    }

    /// Keeps a fact, of so many at the most.
    fn keep(&mut self, fact: Fact, most: usize) {
        if self.facts.len() < most {
            self.facts.push(fact);
        } else {
            self.beyond_bound += 1;
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        self.merge_within(other, FACTS_MAX);
    }

    fn merge_within(&mut self, other: Self, most: usize) {
        if !other.facts.is_empty() {
            self.facts.extend(other.facts);
            self.facts.sort_unstable();
        }
        // Of too many the earliest are kept, in whatever order they come together.
        let excess = self.facts.len().saturating_sub(most);
        self.facts.truncate(most);
        self.beyond_bound += excess as u64 + other.beyond_bound;
    }

    /// How many replies are judged: one for each stream, and for each document that came.
    #[must_use]
    pub fn len(&self) -> usize {
        let counts = |fact: &&Fact| !matches!(fact.had, Had::Nothing { .. } | Had::Above(_));
        self.facts.iter().filter(counts).count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Judges all replies against the ledger.
    pub fn settle(&self, against: &Against<'_>, tally: &mut Tally) {
        for _ in 0..self.beyond_bound {
            tally.undecided(Rule::FalseReplayComplete);
        }
        let known = Known::of(against.ledger, against.by_sight);
        let mut named: BTreeSet<(u32, TopicId, u32, u16)> = BTreeSet::new();
        for fact in &self.facts {
            match fact.had {
                Had::Seq(highest) => {
                    known.stream(fact, highest, against, tally);
                    Known::told_ahead(fact, against.later, tally);
                }
                Had::Version { worker, version, baseline } => {
                    named.insert((fact.client, fact.topic, fact.epoch, worker));
                    known.state(fact, (worker, version), baseline, against, tally);
                }
                Had::Above(floor) => known.past(fact, floor, against, tally),
                Had::Nothing { .. } => {}
            }
        }
        for fact in &self.facts {
            let Had::Nothing { baseline } = fact.had else { continue };
            for &worker in known.versions_before.keys() {
                if !named.contains(&(fact.client, fact.topic, fact.epoch, worker)) {
                    known.state(fact, (worker, 0), baseline, against, tally);
                }
            }
        }
    }
}

/// What replies are judged against.
pub struct Against<'a> {
    /// What was published and seen.
    pub ledger: &'a Ledger,
    /// What was published after an instant.
    pub later: &'a Later,
    /// What the target's windows say.
    pub timelines: &'a Timelines,
    /// How long a state may lag behind its event.
    pub settle_within: Duration,
    /// Whether the harness published nothing, so that what others were sent stands for what was acknowledged.
    pub by_sight: bool,
    /// A client's view of a topic at the end.
    pub track_of: &'a dyn Fn(u32, TopicId) -> Option<Track>,
}

impl Against<'_> {
    fn settle_us(&self) -> Micros {
        u64::try_from(self.settle_within.as_micros()).unwrap_or(u64::MAX)
    }
}

impl Fact {
    fn violation(&self, had: u64, required: u64, worker: Option<u16>, how: &str) -> Violation {
        let message = match worker {
            None => format!(
                "the subscribe was answered when the client had seq {had}, but seq {required} had \
                 been {how} before it was sent"
            ),
            Some(worker) => format!(
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
    /// When each seq was first seen by anybody.
    seen: BTreeMap<(TopicId, u64), Micros>,
    /// When each seq was first known to have come to be.
    decided: BTreeMap<(TopicId, u64), Micros>,
    versions_before: BTreeMap<u16, Vec<(Micros, u64)>>,
    versions: Versions,
}

impl Known {
    fn of(ledger: &Ledger, by_sight: bool) -> Self {
        let mut seqs: BTreeMap<TopicId, Vec<(Micros, u64)>> = BTreeMap::new();
        let first_seen = |contents: &BTreeMap<u64, Content>| {
            contents.values().map(|content| content.first.0).min().unwrap_or(Micros::MAX)
        };
        let seen: BTreeMap<_, _> =
            ledger.seen().iter().map(|(&place, contents)| (place, first_seen(contents))).collect();
        if by_sight {
            for (&(topic, seq), &since) in &seen {
                seqs.entry(topic).or_default().push((since, seq));
            }
        }
        let mut decided = seen.clone();
        for ((topic, publish), seq) in ledger.seqs() {
            let entry = ledger.acknowledged().get(&publish);
            if let (PublishId::Planned(_), Some(entry)) = (publish, entry) {
                seqs.entry(topic).or_default().push((entry.at, seq));
                let since = decided.entry((topic, seq)).or_insert(entry.at);
                *since = entry.at.min(*since);
            }
        }
        let mut versions: BTreeMap<u16, Vec<(Micros, u64)>> = BTreeMap::new();
        for (publish, entry) in ledger.acknowledged() {
            if matches!(publish, PublishId::Planned(_)) {
                versions.entry(entry.worker).or_default().push((entry.at, entry.worker_seq));
            }
        }
        seqs.values_mut().chain(versions.values_mut()).for_each(running_maximum);
        Self { seqs, seen, decided, versions_before: versions, versions: Versions::of(ledger) }
    }

    fn stream(&self, fact: &Fact, had: u64, against: &Against<'_>, tally: &mut Tally) {
        let required = self.seq_before(fact.topic, fact.sent_at);
        tally.judged(Rule::FalseReplayComplete, 1);
        let required = self.decided_up_to(required, had, fact);
        if had >= required {
            return;
        }
        let track = (against.track_of)(fact.client, fact.topic);
        if track.is_some_and(|track| track.all_lost(had + 1, required)) {
            tally.consequence(Rule::FalseReplayComplete);
        } else {
            let how = if against.by_sight { "sent to others" } else { "acknowledged" };
            tally.violate(fact.violation(had, required, None, how), 0);
        }
    }

    /// Judges where the reply says that the stream stands: what is published after it has a higher seq.
    fn told_ahead(fact: &Fact, later: &Later, tally: &mut Tally) {
        let Some(stands) = fact.stands else { return };
        let Some(lowest) = later.seq_after(fact.topic, fact.at, stands) else { return };
        let violation = Violation {
            at_us: fact.at,
            rule: Rule::FalseReplayComplete,
            client: Some(fact.client),
            topic: Some(fact.topic),
            seqs: Some((lowest, stands)),
            epoch: Some(fact.epoch),
            message: format!(
                "the subscribe was answered with watermark {stands}, and seq {lowest} was published after that: \
                 a client that comes back after {stands} never gets it"
            ),
        };
        tally.violate(violation, 0);
    }

    /// Judges what a replay without a cursor began with.
    fn past(&self, fact: &Fact, floor: u64, against: &Against<'_>, tally: &mut Tally) {
        let bounds = against.timelines.bounds(fact.topic, fact.sent_at, fact.at);
        let Some(retained) = bounds.and_then(|bounds| bounds.floor_hi) else { return };
        if floor <= retained {
            return;
        }
        let above = (fact.topic, retained + 1)..=(fact.topic, floor);
        let mut before = self.seen.range(above).filter(|&(_, &since)| since < fact.sent_at);
        let Some((&(_, first), _)) = before.next() else { return };
        let last = before.next_back().map_or(first, |(&(_, seq), _)| seq);
        let violation = Violation {
            at_us: fact.at,
            rule: Rule::FalseReplayComplete,
            client: Some(fact.client),
            topic: Some(fact.topic),
            seqs: Some((first, last)),
            epoch: Some(fact.epoch),
            message: format!(
                "the subscribe without a cursor was answered, and nothing up to seq {floor} was replayed: \
                 seqs {first} to {last} had been sent to others before, and the target retains what is above \
                 {retained}"
            ),
        };
        tally.violate(violation, 0);
    }

    /// Judges a document of which the client had version `had`, 0 for none.
    fn state(
        &self,
        fact: &Fact,
        (worker, had): (u16, u64),
        baseline: Option<Baseline>,
        against: &Against<'_>,
        tally: &mut Tally,
    ) {
        let before = fact.sent_at.saturating_sub(against.settle_us());
        let required = self.version_before(worker, before);
        let (topic, timelines) = (fact.topic, against.timelines);
        let baseline = baseline.filter(|base| !base.replays_all(topic, had, timelines));
        match self.versions.has((topic, worker), had, required, baseline) {
            Has::Yes => tally.judged(Rule::FalseReplayComplete, u64::from(had > 0)),
            Has::No => {
                tally.judged(Rule::FalseReplayComplete, 1);
                tally.violate(fact.violation(had, required, Some(worker), "acknowledged"), 0);
            }
            Has::Open if had > 0 => tally.undecided(Rule::FalseReplayComplete),
            Has::Open => {}
        }
    }

    /// The highest seq up to `required` before which all was decided that the client, which had `had`, lacked.
    /// Below the lowest seq that anybody knows of lies the past.
    fn decided_up_to(&self, required: u64, had: u64, fact: &Fact) -> u64 {
        if had >= required {
            return required;
        }
        let topic = fact.topic;
        let mut known = self.decided.range((topic, 0)..=(topic, u64::MAX));
        let lowest = known.next().map_or(0, |(&(_, seq), _)| seq);
        let mut next = lowest.max(had + 1);
        for (&(_, seq), &since) in self.decided.range((topic, next)..=(topic, required)) {
            if seq != next || since >= fact.sent_at {
                break;
            }
            next += 1;
        }
        next - 1
    }

    fn seq_before(&self, topic: TopicId, at: Micros) -> u64 {
        self.seqs.get(&topic).map_or(0, |list| value_before(list, at))
    }

    fn version_before(&self, worker: u16, at: Micros) -> u64 {
        self.versions_before.get(&worker).map_or(0, |list| value_before(list, at))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::windows::{Window, Windows};
    use crate::record::{Delivery, Source};
    use crate::testing;

    const RULE: Rule = Rule::FalseReplayComplete;
    const STREAM: TopicId = TopicId::WORKER_EVENTS;
    const SETTLE: Duration = Duration::from_micros(100);

    /// Publishes as (acknowledged at, seq), of worker 4, whose versions are the seqs.
    fn ledger(publishes: &[(Micros, u64)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (&(done, seq), n) in publishes.iter().zip(0_u32..) {
            let id = PublishId::Planned(n);
            ledger.publish(&testing::published(id, 4, [1, done], Some(seq)));
            let source = Source::Event {
                publish: id,
                intended: Some(1),
                begun: Some(1),
                payload: 0,
                worker_seq: None,
            };
            ledger.deliver(&Delivery {
                client: 1,
                epoch: 1,
                topic: STREAM,
                seq,
                at: 5_000,
                content: seq,
                hash_fits: true,
                source,
            });
        }
        ledger
    }

    fn reply(client: u32, sent_at: Micros) -> Reply {
        Reply { client, topic: STREAM, epoch: 3, sent_at, at: sent_at + 10 }
    }

    fn settled(replies: &Replies, ledger: &Ledger, track: Option<&Track>) -> Tally {
        let track_of = |_: u32, _: TopicId| track.cloned();
        let timelines = Timelines::default();
        let later = &Later::of(ledger, SETTLE);
        let (settle_within, timelines, by_sight) = (SETTLE, &timelines, false);
        let against =
            Against { ledger, later, timelines, settle_within, by_sight, track_of: &track_of };
        let mut tally = Tally::new(5);
        replies.settle(&against, &mut tally);
        tally
    }

    fn stream(publishes: &[(Micros, u64)], sent_at: Micros, had: u64) -> Option<(u64, u64)> {
        let mut replies = Replies::default();
        replies.stream(reply(1, sent_at), had, None);
        let tally = settled(&replies, &ledger(publishes), None);
        assert_eq!(tally.rule(RULE).judged, 1);
        tally.kept().first().map(|violation| violation.seqs.expect("seqs"))
    }

    #[test]
    fn only_what_was_acknowledged_before_the_subscribe_is_owed_by_its_reply() {
        let publishes = [(1_000, 5), (2_000, 6)];
        assert_eq!(stream(&publishes, 2_001, 5), Some((6, 6)));
        assert_eq!(stream(&publishes, 2_001, 3), Some((4, 6)));
        assert_eq!(stream(&publishes, 2_000, 5), None, "acknowledged in that very moment");
        assert_eq!(stream(&publishes, 2_001, 6), None);
    }

    #[test]
    fn what_is_published_after_a_reply_stands_above_the_watermark_that_it_told() {
        let mut ledger = Ledger::default();
        for (n, start, seq) in [(0, 2_000, 7), (1, 4_000, 8)] {
            let id = PublishId::Planned(n);
            let source = Source::Event {
                publish: id,
                intended: Some(start),
                begun: Some(start),
                payload: 0,
                worker_seq: None,
            };
            ledger.publish(&testing::published(id, 4, [start, start + 100], Some(seq)));
            ledger.deliver(&Delivery {
                client: 1,
                epoch: 1,
                topic: STREAM,
                seq,
                at: start + 50,
                content: seq,
                hash_fits: true,
                source,
            });
        }
        let of = |sent_at: Micros, stands: Option<u64>| {
            let mut replies = Replies::default();
            replies.stream(reply(1, sent_at), 100, stands);
            let tally = settled(&replies, &ledger, None);
            tally.kept().first().map(|violation| violation.seqs.expect("seqs"))
        };
        assert_eq!(of(1_000, Some(6)), None);
        assert_eq!(of(1_000, Some(7)), Some((7, 7)));
        assert_eq!(of(1_000, Some(1_000)), Some((7, 1_000)));
        assert_eq!(of(2_500, Some(7)), None, "that was begun before");
        assert_eq!(of(2_500, Some(9)), Some((8, 9)));
        assert_eq!(of(4_500, Some(99)), None, "nothing was published after it");
        assert_eq!(of(1_000, None), None, "a fault had chosen the cursor");
    }

    #[test]
    fn what_others_had_and_the_target_retains_is_replayed_without_a_cursor() {
        // Seqs 1 to 6, seen by others at 5,000.
        let ledger = ledger(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)]);
        let of = |sent_at: Micros, floor: u64, retained: Option<u64>| {
            let mut replies = Replies::default();
            replies.from_floor(reply(1, sent_at), floor);
            let mut windows = Windows::default();
            if let Some(floor) = retained {
                let (asked, answered) = (sent_at + 20, sent_at + 30);
                let window = Window { asked, answered, floor, head: 6, budget: 100 };
                windows.add(STREAM, window);
            }
            let timelines = windows.timelines(0);
            let track_of = |_: u32, _: TopicId| None;
            let (ledger, settle_within) = (&ledger, SETTLE);
            let later = &Later::of(ledger, SETTLE);
            let (timelines, by_sight) = (&timelines, false);
            let against =
                Against { ledger, later, timelines, settle_within, by_sight, track_of: &track_of };
            let mut tally = Tally::new(5);
            replies.settle(&against, &mut tally);
            tally.kept().first().map(|violation| violation.seqs.expect("seqs"))
        };
        assert_eq!(of(6_000, 6, Some(0)), Some((1, 6)), "nothing came at all");
        assert_eq!(of(6_000, 2, Some(0)), Some((1, 2)), "the head is missing");
        assert_eq!(of(6_000, 3, Some(2)), Some((3, 3)), "1 and 2 may have been pruned");
        assert_eq!(of(6_000, 1, Some(0)), Some((1, 1)));
        assert_eq!(of(6_000, 0, Some(0)), None, "all came");
        assert_eq!(of(6_000, 4, Some(4)), None, "pruned up to there");
        assert_eq!(of(6_000, 6, None), None, "nobody knows what was pruned");
        assert_eq!(of(5_000, 6, Some(0)), None, "nobody had it when the subscribe was sent");
    }

    #[test]
    fn what_stands_above_a_seq_that_is_not_decided_yet_may_be_held_back() {
        let publishes = [(1_000, 5), (2_500, 6), (2_000, 7)];
        assert_eq!(stream(&publishes, 2_400, 5), None, "6 is under way, 7 would come before it");
        assert_eq!(stream(&publishes, 2_501, 5), Some((6, 7)));
        assert_eq!(stream(&publishes, 2_400, 4), Some((5, 5)), "5 is owed all the same");
        assert_eq!(stream(&publishes, 2_400, 6), Some((7, 7)), "6 was there");
        let a_hole = [(1_000, 5), (2_000, 7)];
        assert_eq!(stream(&a_hole, 2_400, 5), None, "nobody knows when 6 came to nothing");
        assert_eq!(stream(&a_hole, 2_400, 2), Some((3, 5)), "before the first is the past");
    }

    #[test]
    fn a_version_is_owed_once_the_settle_bound_has_passed_since_its_acknowledgement() {
        let of = |sent_at| {
            let mut replies = Replies::default();
            replies.state(reply(1, sent_at), 4, 5, None);
            let tally = settled(&replies, &ledger(&[(1_000, 5), (2_000, 6)]), None);
            assert_eq!(tally.rule(RULE).judged, 1);
            tally.count(RULE)
        };
        let settle = 100;
        assert_eq!((of(2_000 + settle), of(2_001 + settle)), (0, 1));
    }

    #[test]
    fn a_lower_seq_that_was_acknowledged_later_takes_nothing_back() {
        let publishes = [(1_000, 6), (2_000, 5)];
        assert_eq!(stream(&publishes, 3_000, 5), Some((6, 6)));
        assert_eq!(stream(&publishes, 1_500, 5), Some((6, 6)));
    }

    #[test]
    fn what_is_missing_altogether_is_the_consequence_of_a_gap() {
        let publishes = ledger(&[(1_000, 5), (2_000, 6)]);
        for (came, late) in [(&[5, 6, 7][..], 1), (&[7], 0), (&[5, 7], 1), (&[6, 7], 1)] {
            let mut track = Track::default();
            track.begin(3, Some(4));
            for &seq in came {
                track.deliver(true, seq, 4_000);
            }
            let mut replies = Replies::default();
            replies.stream(reply(1, 3_000), 4, None);
            assert_eq!(settled(&replies, &publishes, Some(&track)).count(RULE), late, "{came:?}");
        }
    }

    #[test]
    fn a_document_that_is_open_counts_only_where_something_of_it_came() {
        let before = 5_000;
        let known =
            |cursor| Baseline { cursor, before, reset: true, replayed_by: None, whole: false };
        let of = |had, cursor| {
            let mut replies = Replies::default();
            replies.state(reply(1, 3_000), 4, had, Some(known(cursor)));
            let tally = settled(&replies, &ledger(&[(1_000, 5), (2_000, 6)]), None);
            let counted = tally.rule(RULE);
            (tally.count(RULE), counted.judged, counted.undecided)
        };
        assert_eq!(of(6, Some(9)), (0, 1, 0));
        assert_eq!(of(5, Some(9)), (0, 0, 1), "nothing says what the cursor stands for");
        assert_eq!(of(0, Some(9)), (0, 0, 0));
        let mut none = Replies::default();
        none.state(reply(1, 3_000), 4, 0, None);
        let tally = settled(&none, &ledger(&[]), None);
        assert_eq!(tally.rule(RULE).judged, 0, "there is no such document");
    }

    #[test]
    fn of_too_many_replies_the_earliest_are_judged_and_the_others_open() {
        const MOST: u32 = 1_000;
        let (most, within) = (MOST, MOST as usize);
        let fact = |n, sent_at| {
            let Reply { client, topic, epoch, sent_at, at } = reply(n, sent_at);
            Fact { at, client, topic, epoch, sent_at, had: Had::Seq(1), stands: None }
        };
        let (mut ours, mut theirs) = (Replies::default(), Replies::default());
        assert!(ours.is_empty());
        (0..most + 2).for_each(|n| ours.keep(fact(n, 3_000), within));
        assert_eq!((ours.len(), ours.beyond_bound, ours.is_empty()), (within, 2, false));
        (0..most + 3).for_each(|n| theirs.keep(fact(n, 2_000), within));
        ours.merge_within(theirs, within);
        assert_eq!((ours.len(), ours.beyond_bound), (within, u64::from(most) + 5));
        assert!(ours.facts.iter().all(|fact| fact.sent_at == 2_000));
        let tally = settled(&ours, &ledger(&[]), None);
        assert_eq!(tally.rule(RULE).undecided, u64::from(most) + 5);
    }

    #[test]
    fn replies_for_documents_that_never_came_are_no_cases() {
        let mut replies = Replies::default();
        replies.other_states(reply(1, 3_000), None);
        assert!(replies.is_empty());
    }

    #[test]
    fn what_others_had_been_sent_is_owed_where_nothing_was_published() {
        // Seqs 5 and 6, which another client was sent at 5,000.
        let mut ledger = Ledger::default();
        for seq in [5, 6] {
            let (at, source) = (5_000, Source::Foreign);
            let (content, hash_fits) = (seq, true);
            let client = 9;
            let delivery =
                Delivery { client, epoch: 1, topic: STREAM, seq, at, content, hash_fits, source };
            ledger.deliver(&delivery);
        }
        let of = |sent_at: Micros, had: u64, by_sight: bool| {
            let mut replies = Replies::default();
            replies.stream(reply(1, sent_at), had, None);
            let (timelines, track_of) = (Timelines::default(), |_: u32, _: TopicId| None);
            let (ledger, timelines, settle_within) = (&ledger, &timelines, SETTLE);
            let later = &Later::of(ledger, SETTLE);
            let against =
                Against { ledger, later, timelines, settle_within, by_sight, track_of: &track_of };
            let mut tally = Tally::new(5);
            replies.settle(&against, &mut tally);
            tally.kept().first().map(|violation| violation.seqs.expect("seqs"))
        };
        assert_eq!(of(5_001, 5, true), Some((6, 6)));
        assert_eq!(of(5_001, 6, true), None);
        assert_eq!(of(5_000, 5, true), None, "nobody had it when the subscribe was sent");
        assert_eq!(of(5_001, 5, false), None, "what others wrote is not owed by a ledger");
    }
}
