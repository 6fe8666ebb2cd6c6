//! Rule `starved_topic`: fair drain. Of the topics of one connection none waits while others go on.
//!
//! Starved is a topic when something comes on it after a silence in which its oldest outstanding
//! event had waited for longer than the settle bound, counted from its acknowledgement, while the
//! same client was sent another topic in [`READS`] reads or more, the first of them of something
//! that was begun only after that acknowledgement. On a state topic the oldest outstanding is the
//! version after the last that the client has of the document. The stalls of the client's own thread are taken out
//! of the wait.
//!
//! For live clients that the plan never makes slow, and for what was begun after they were live:
//! replay has no fair order. The order on one connection is the target's own; but how long
//! something waited is not, so this is lateness. What never comes is `lost_publish`'s or
//! `state_stale`'s.
//!
//! Cases: reads of a topic after [`READS`] of another on the same connection. Undecided: candidates
//! beyond [`FACTS_MAX`] a client. Memory: [`READS`] small entries a topic, and the facts.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use khala_plan::units::micros;
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::ledger::{Acknowledged, Ledger};
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Micros, PublishId};
use crate::shard::stalls;

/// Reads of another topic that a silence must hold: fewer are no drain that goes on.
pub const READS: usize = 5;
/// Candidates kept of a client.
pub const FACTS_MAX: usize = 64;

/// What something on a topic stems from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A publish.
    Publish(PublishId),
    /// The version of a worker's document: the worker's seq of a publish.
    Version {
        /// Our number of the worker.
        worker: u16,
        /// The version.
        version: u64,
    },
}

/// Something fresh on a topic of a live client.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// The topic.
    pub topic: TopicId,
    /// Its place there.
    pub seq: u64,
    /// When it was read.
    pub at: Micros,
    /// What it stems from.
    pub origin: Origin,
    /// What the topic owed next, if that is known and may have been begun after `since`.
    pub owed: Option<Origin>,
    /// From when on the client was sent the topic live.
    pub since: Micros,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Topic {
    last_at: Micros,
    /// The read before that.
    before: Micros,
    /// Whether the last read has an entry in `reads`, and whether what it ended was looked at.
    entered: bool,
    looked_at: bool,
    /// The first thing of each of the last reads.
    reads: VecDeque<(Micros, Origin)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fact {
    topic: TopicId,
    seq: u64,
    at: Micros,
    owed: Origin,
    since: Micros,
    silent_since: Micros,
    other: TopicId,
    other_first: Origin,
}

/// How one client's topics were drained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    topics: BTreeMap<TopicId, Topic>,
    facts: Vec<Fact>,
    beyond: u64,
}

impl Topic {
    /// Something was read at `at`.
    fn read(&mut self, at: Micros) {
        if self.last_at != at {
            self.before = std::mem::replace(&mut self.last_at, at);
            (self.entered, self.looked_at) = (false, false);
        }
    }

    /// The first fresh thing of a read; whether it is that.
    fn enter(&mut self, at: Micros, origin: Origin) -> bool {
        if std::mem::replace(&mut self.entered, true) {
            return false;
        }
        self.reads.push_back((at, origin));
        if self.reads.len() > READS {
            self.reads.pop_front();
        }
        true
    }
}

impl Drain {
    /// The socket is gone: what comes on the next is no part of this drain.
    pub fn offline(&mut self) {
        self.topics.clear();
    }

    /// Something came on a topic that is neither fresh nor live: the topic was not silent.
    pub fn heard(&mut self, topic: TopicId, at: Micros) {
        self.topics.entry(topic).or_default().read(at);
    }

    /// Something fresh came to a live client.
    pub fn on_fresh(&mut self, fresh: &Fresh, settle_within: Duration, tally: &mut Tally) {
        let Fresh { topic, seq, at, origin, owed, since } = *fresh;
        let mine = self.topics.entry(topic).or_default();
        mine.read(at);
        let silent_since = mine.before.max(since);
        let first = mine.enter(at, origin);
        // Of what one read brings, the first that was begun live had waited longest.
        let owed = owed.filter(|_| !mine.looked_at);
        mine.looked_at |= owed.is_some();
        let full = |other: &Topic| (other.reads.len() == READS).then(|| other.reads[0]);
        let others = self.topics.iter().filter(|(other, _)| **other != topic);
        let others: Vec<_> =
            others.filter_map(|(&other, topic)| Some((other, full(topic)?))).collect();
        tally.judged(Rule::StarvedTopic, u64::from(first && !others.is_empty()));
        let settle = micros(settle_within);
        let silent = at.saturating_sub(silent_since) > settle;
        let during = others.into_iter().find(|(_, (first_at, _))| *first_at > silent_since);
        let (true, Some(owed), Some((other, (_, other_first)))) = (silent, owed, during) else {
            return;
        };
        if self.facts.len() < FACTS_MAX {
            let fact = Fact { topic, seq, at, owed, since, silent_since, other, other_first };
            self.facts.push(fact);
        } else {
            self.beyond += 1;
        }
    }

    /// Judges all silences of one client.
    pub fn settle(
        &self,
        client: u32,
        commands: &Commands<'_>,
        stalls: &stalls::Own,
        settle_within: Duration,
        tally: &mut Tally,
    ) {
        tally.undecided_cases(Rule::StarvedTopic, self.beyond);
        for fact in &self.facts {
            let origins = (commands.of(fact.owed), commands.of(fact.other_first));
            let (Some(owed), Some(other_first)) = origins else { continue };
            let waits_since = owed.at.max(fact.silent_since);
            let stalled = stalls.within(waits_since, fact.at);
            let waited = fact.at.saturating_sub(waits_since).saturating_sub(stalled);
            let starved = owed.begun >= fact.since
                && other_first.begun > owed.at
                && waited > micros(settle_within);
            if !starved {
                continue;
            }
            let violation = Violation {
                at_us: fact.at,
                rule: Rule::StarvedTopic,
                client: Some(client),
                topic: Some(fact.topic),
                seqs: Some((fact.seq, fact.seq)),
                epoch: None,
                message: format!(
                    "the topic had been silent for {:.1?} with something acknowledged to send, while \
                     {} went on with what was published later",
                    Duration::from_micros(waited),
                    fact.other.name()
                ),
            };
            tally.violate(violation, 0);
        }
    }
}

/// The acknowledged commands, by all that may tell them.
pub struct Commands<'a> {
    ledger: &'a Ledger,
    by_seq: BTreeMap<(u16, u64), Acknowledged>,
}

impl<'a> Commands<'a> {
    /// Those of a ledger.
    #[must_use]
    pub fn of_ledger(ledger: &'a Ledger) -> Self {
        let all = ledger.acknowledged().values();
        Self {
            ledger,
            by_seq: all.map(|entry| ((entry.worker, entry.worker_seq), *entry)).collect(),
        }
    }

    fn of(&self, origin: Origin) -> Option<&Acknowledged> {
        match origin {
            Origin::Publish(publish) => self.ledger.acknowledged().get(&publish),
            Origin::Version { worker, version } => self.by_seq.get(&(worker, version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const RULE: Rule = Rule::StarvedTopic;
    const STATE: TopicId = TopicId::WORKER_SUMMARIES;
    const STREAM: TopicId = TopicId::WORKER_EVENTS;
    const SETTLE: Duration = Duration::from_secs(1);

    /// A publish every 200 ms, acknowledged at once, but number 8 just as number 9 is begun: number n is
    /// version n of worker 0's document.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for n in 0..40_u32 {
            let at = u64::from(n) * 200_000;
            ledger.publish(&testing::published(
                PublishId::Planned(n),
                0,
                [at, if n == 8 { 1_800_000 } else { at + 1_000 }],
                Some(n.into()),
            ));
        }
        ledger
    }

    /// Arrivals as (publish, ms) on the stream and on the state.
    struct Case {
        stream: Vec<(u32, u64)>,
        state: Vec<(u32, u64)>,
        since_ms: u64,
        stalls: stalls::Stalls,
    }

    impl Case {
        /// Everything within 50 ms, but for the publishes of a topic that wait.
        fn with(stream: impl Fn(u32) -> u64, state: impl Fn(u32) -> u64) -> Self {
            let all = |wait: &dyn Fn(u32) -> u64| {
                (1..30).map(|n| (n, u64::from(n) * 200 + 50 + wait(n))).collect()
            };
            let (stream, state) = (all(&stream), all(&state));
            Self { stream, state, since_ms: 0, stalls: stalls::Stalls::default() }
        }

        fn judge(&self) -> Tally {
            let mut all: Vec<_> = self.stream.iter().map(|&(n, at)| (at, STREAM, n)).collect();
            all.extend(self.state.iter().map(|&(n, at)| (at, STATE, n)));
            all.sort_unstable();
            let (mut drain, mut tally, mut version) = (Drain::default(), Tally::new(5), 0);
            for (at, topic, n) in all {
                let of = |n: u32| match topic {
                    STREAM => Origin::Publish(PublishId::Planned(n)),
                    _ => Origin::Version { worker: 0, version: n.into() },
                };
                let owed = if topic == STATE { std::mem::replace(&mut version, n) + 1 } else { n };
                let live = topic == STATE || u64::from(n) * 200 >= self.since_ms;
                let fresh = Fresh {
                    topic,
                    seq: n.into(),
                    at: at * 1_000,
                    origin: of(n),
                    owed: live.then(|| of(owed)),
                    since: self.since_ms * 1_000,
                };
                drain.on_fresh(&fresh, SETTLE, &mut tally);
            }
            let ledger = ledger();
            let commands = Commands::of_ledger(&ledger);
            drain.settle(3, &commands, self.stalls.of(0), SETTLE, &mut tally);
            tally
        }
    }

    /// Until publish 20 comes, at 4.05 s, nothing does from publish 10 on.
    fn until_20(n: u32) -> u64 {
        if (10..20).contains(&n) { u64::from(20 - n) * 200 } else { 0 }
    }

    #[test]
    fn topics_that_are_drained_alike_are_accepted_however_late() {
        let tally = Case::with(|_| 0, |_| 0).judge();
        assert_eq!(tally.total(), 0);
        assert!(tally.rule(RULE).judged > 40, "{}", tally.rule(RULE).judged);
        assert_eq!(Case::with(until_20, until_20).judge().total(), 0);
    }

    #[test]
    fn a_stream_that_waits_while_the_state_goes_on_is_starved() {
        let tally = Case::with(until_20, |_| 0).judge();
        assert_eq!(tally.count(RULE), 1, "one silence, one violation");
        assert_eq!(tally.kept()[0].topic, Some(STREAM));
        assert_eq!(tally.kept()[0].seqs, Some((10, 10)));
    }

    #[test]
    fn a_state_that_waits_while_the_stream_goes_on_is_starved_though_versions_are_skipped() {
        let mut case = Case::with(|_| 0, until_20);
        case.state.retain(|&(n, _)| !(10..19).contains(&n));
        let tally = case.judge();
        assert_eq!((tally.count(RULE), tally.kept()[0].topic), (1, Some(STATE)));
    }

    #[test]
    fn a_short_wait_or_one_of_ours_is_no_starvation() {
        // Silent from 3.05 s, when publish 15 came, to 4.05 s.
        let short = |n: u32| if n > 15 { until_20(n) } else { 0 };
        assert_eq!(Case::with(short, |_| 0).judge().total(), 0);
        let mut stalled = Case::with(until_20, |_| 0);
        let stall = stalls::Stall { from: 2_100_000, to: 3_200_000, thread: 0 };
        stalled.stalls.add(stall);
        assert_eq!(stalled.judge().total(), 0);
    }

    #[test]
    fn what_was_begun_before_the_client_was_live_came_by_replay() {
        let mut case = Case::with(until_20, |_| 0);
        // Publish 10 was begun at 2 s. Of the same read, the first that was begun live is judged.
        for (since_ms, starved) in [(1_999, Some(10)), (2_001, Some(11)), (3_001, None)] {
            case.since_ms = since_ms;
            let tally = case.judge();
            let seqs = tally.kept().first().and_then(|violation| violation.seqs);
            assert_eq!(seqs, starved.map(|seq| (seq, seq)), "live since {since_ms} ms");
            assert!(tally.count(RULE) <= 1);
        }
    }

    #[test]
    fn an_idle_topic_is_not_starved() {
        // Nothing of the stream was published until 20: publishes of others feed the state alone.
        let mut case = Case::with(|_| 0, |_| 0);
        case.stream.retain(|&(n, _)| n >= 20);
        assert_eq!(case.judge().total(), 0);
    }

    #[test]
    fn a_socket_that_is_gone_ends_the_silence() {
        let mut drain = Drain::default();
        let mut tally = Tally::new(5);
        let fresh = |topic, n: u32, at| Fresh {
            topic,
            seq: n.into(),
            at,
            origin: Origin::Publish(PublishId::Planned(n)),
            owed: Some(Origin::Publish(PublishId::Planned(n))),
            since: 0,
        };
        for n in 1..=10 {
            drain.on_fresh(&fresh(STATE, n, u64::from(n) * 200_000), SETTLE, &mut tally);
        }
        drain.offline();
        drain.on_fresh(&fresh(STREAM, 1, 9_000_000), SETTLE, &mut tally);
        let ledger = ledger();
        drain.settle(3, &Commands::of_ledger(&ledger), &stalls::Own::default(), SETTLE, &mut tally);
        assert_eq!(tally.total(), 0);
    }

    /// The stream was heard at `heard`, the state then read `reads` times from `first` on, microsecond by
    /// microsecond, with publish 9, and the stream came again at `at` with `owed`, live since `since`.
    fn silence(heard: u64, first: u64, reads: u64, at: u64, owed: u32, since: u64) -> Tally {
        let (mut drain, mut tally) = (Drain::default(), Tally::new(5));
        drain.heard(STREAM, heard);
        let fresh = |topic, at, publish, owed| Fresh {
            topic,
            seq: 1,
            at,
            origin: Origin::Publish(PublishId::Planned(publish)),
            owed,
            since,
        };
        for n in 0..reads {
            drain.on_fresh(&fresh(STATE, first + n, 9, None), SETTLE, &mut tally);
        }
        let owed = Some(Origin::Publish(PublishId::Planned(owed)));
        drain.on_fresh(&fresh(STREAM, at, 30, owed), SETTLE, &mut tally);
        let ledger = ledger();
        drain.settle(3, &Commands::of_ledger(&ledger), &stalls::Own::default(), SETTLE, &mut tally);
        tally
    }

    #[test]
    fn every_bound_itself_is_no_starvation() {
        // Publish 1 was begun at 200 ms and acknowledged at 201 ms, publish 9 later than both.
        let cases = [
            // A silence, and a wait, of just a second; and one of a microsecond more.
            ((500_000, 500_001, 5, 1_500_000, 1, 0), 0),
            ((500_000, 500_001, 5, 1_500_001, 1, 0), 1),
            // The wait counts from the acknowledgement.
            ((100, 500_001, 5, 1_201_000, 1, 0), 0),
            ((100, 500_001, 5, 1_201_001, 1, 0), 1),
            // The other's reads lie in the silence, all that are looked at.
            ((500_000, 500_000, 5, 1_500_001, 1, 0), 0),
            ((500_000, 500_000, 6, 1_500_001, 1, 0), 1),
            ((500_000, 500_001, 4, 1_500_001, 1, 0), 0),
            // Begun when the client was live, just so.
            ((500_000, 500_001, 5, 1_500_001, 1, 200_000), 1),
            ((500_000, 500_001, 5, 1_500_001, 1, 200_001), 0),
            // The other's was begun before: it is no later one that was let go first.
            ((500_000, 500_001, 5, 3_500_001, 7, 0), 1),
            ((500_000, 500_001, 5, 3_500_001, 8, 0), 0),
            ((500_000, 500_001, 5, 3_500_001, 9, 0), 0),
        ];
        for (case, starved) in cases {
            let (heard, first, reads, at, owed, since) = case;
            let tally = silence(heard, first, reads, at, owed, since);
            assert_eq!(tally.count(RULE), starved, "{case:?}");
        }
    }

    #[test]
    fn a_read_after_five_of_another_topic_is_a_case_and_candidates_beyond_the_bound_are_open() {
        let judged = |reads| silence(500_000, 500_001, reads, 600_000, 1, 0).rule(RULE).judged;
        assert_eq!((judged(4), judged(5), judged(6)), (0, 1, 1));
        let fresh = |topic, at, owed| Fresh {
            topic,
            seq: 1,
            at,
            origin: Origin::Publish(PublishId::Planned(9)),
            owed,
            since: 0,
        };
        let owed = Some(Origin::Publish(PublishId::Planned(1)));
        // A silence of just the bound is no candidate.
        for (silence, open) in [(1_000_000, 0), (1_000_001, 2)] {
            let (mut drain, mut tally) = (Drain::default(), Tally::new(5));
            drain.heard(STREAM, silence);
            for round in 1..=FACTS_MAX as u64 + 2 {
                let from = round * silence;
                for n in 1..=READS as u64 {
                    drain.on_fresh(&fresh(STATE, from + n, None), SETTLE, &mut tally);
                }
                drain.on_fresh(&fresh(STREAM, from + silence, owed), SETTLE, &mut tally);
            }
            let nothing = Ledger::default();
            drain.settle(
                3,
                &Commands::of_ledger(&nothing),
                &stalls::Own::default(),
                SETTLE,
                &mut tally,
            );
            assert_eq!((tally.total(), tally.rule(RULE).undecided), (0, open), "{silence}");
        }
    }
}
