//! Where the target says that a topic stands, or a worker, held against what was published after it was said: that
//! has a higher seq, or a later version.
//!
//! A head beyond the log is a promise of what is not there: who waits for it waits for ever, and who resumes after it
//! misses what comes. Said in heartbeats and in the heads of batches it breaks `malformed_message` (what is said is
//! not so); in the reply to a subscribe, `false_replay_complete`, which judges streams there by itself.
//!
//! A client tells what is beyond all that it was sent, or had named as its cursor: of that the first to be told it
//! proves most. A publish that is begun afterwards cannot have come before, so that no slowness of ours makes a
//! violation. A state may lag behind its event by the settle bound, and several events become one update: what is
//! begun within the bound after the word is left open, and a document may be as much newer than its version.
//! What nothing is published after is believed. Memory: of each topic and worker the `HEADS_MAX` highest.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::ledger::{Acknowledged, Ledger};
use super::malformed_message;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::windows::Windows;
use crate::record::{Micros, PublishId, Source, Telling};

/// Heads kept of a topic, or of a worker, the highest: some 200 KiB.
const HEADS_MAX: usize = 4_096;

/// Who was told it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct First {
    /// When.
    pub at: Micros,
    /// The client.
    pub client: u32,
    /// Where.
    pub by: Telling,
}

/// Heads that were told, each with who was told it first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Heads(#[serde(with = "crate::pairs")] BTreeMap<u64, First>);

/// Where the target says that topics and workers stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    #[serde(default)]
    topics: BTreeMap<TopicId, Heads>,
    #[serde(default, with = "crate::pairs")]
    workers: BTreeMap<u16, Heads>,
}

impl Heads {
    fn add(&mut self, head: u64, first: First) {
        let known = self.0.entry(head).or_insert(first);
        *known = first.min(*known);
        if self.0.len() > HEADS_MAX {
            self.0.pop_first();
        }
    }

    fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(head, first)| self.add(head, first));
    }
}

impl Stands {
    /// A topic was said to stand at a seq.
    pub fn topic(&mut self, topic: TopicId, head: u64, first: First) {
        self.topics.entry(topic).or_default().add(head, first);
    }

    /// A worker's document was said to be of this version, or a later one than its own.
    pub fn worker(&mut self, worker: u16, latest: u64, first: First) {
        self.workers.entry(worker).or_default().add(latest, first);
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        for (topic, heads) in other.topics {
            self.topics.entry(topic).or_default().merge(heads);
        }
        for (worker, heads) in other.workers {
            self.workers.entry(worker).or_default().merge(heads);
        }
    }

    /// Judges all that was told.
    pub fn settle(&self, later: &Later, tally: &mut Tally) {
        for (&topic, heads) in &self.topics {
            for (&head, &first) in &heads.0 {
                let Some(lowest) = later.seq_after(topic, first.at, head) else { continue };
                let by = first.by;
                let name = topic.name();
                let why = format!(
                    "{name} stands at {head} by {by}, and seq {lowest} was published after that"
                );
                enter(Some((topic, (lowest, head))), first, &why, tally);
            }
        }
        for (&worker, heads) in &self.workers {
            for (&latest, &first) in &heads.0 {
                let Some(lowest) = later.version_after(worker, first.at, latest) else { continue };
                let why = format!(
                    "a document of worker {worker} says that its latest seq is {latest}, and seq {lowest} was \
                     published more than the settle bound after that"
                );
                enter(None, first, &why, tally);
            }
        }
    }
}

/// What the target's metrics show beyond what was published afterwards, and how often: no client goes by it.
#[must_use]
pub fn of_metrics(windows: &Windows, later: &Later) -> Option<(String, u64)> {
    let mut ahead = windows.all().filter_map(|(topic, window)| {
        Some((topic, window, later.seq_after(topic, window.answered, window.head)?))
    });
    let (topic, window, lowest) = ahead.next()?;
    let (at, head) = (Duration::from_micros(window.answered), window.head);
    let message = format!(
        "the fan-out metrics showed head {head} of {} at {:.1} s, and seq {lowest} was published after that",
        topic.name(),
        at.as_secs_f64()
    );
    Some((message, 1 + ahead.count() as u64))
}

fn enter(of: Option<(TopicId, (u64, u64))>, first: First, why: &str, tally: &mut Tally) {
    let violation = Violation {
        at_us: first.at,
        rule: Rule::MalformedMessage,
        client: Some(first.client),
        topic: of.map(|(topic, _)| topic),
        seqs: of.map(|(_, seqs)| seqs),
        epoch: None,
        message: malformed_message::not_so(why),
    };
    tally.violate_as(malformed_message::NOT_SO, violation);
}

/// What was published after an instant: by when commands were begun, the lowest seq of all that were begun then or
/// later, of each topic; and the lowest version, of each worker.
#[derive(Clone, Debug, Default)]
pub struct Later {
    seqs: BTreeMap<TopicId, Vec<(Micros, u64)>>,
    versions: BTreeMap<u16, Vec<(Micros, u64)>>,
}

impl Later {
    /// What the ledger tells.
    #[must_use]
    pub fn of(ledger: &Ledger, settle_within: Duration) -> Self {
        let settle_us = Micros::try_from(settle_within.as_micros()).unwrap_or(Micros::MAX);
        let mut later = Self::default();
        let mut versions: BTreeMap<(u16, u64), &Acknowledged> = BTreeMap::new();
        for (publish, entry) in ledger.acknowledged() {
            if matches!(publish, PublishId::Planned(_)) {
                versions.insert((entry.worker, entry.worker_seq), entry);
                let list = later.versions.entry(entry.worker).or_default();
                list.push((entry.begun.saturating_sub(settle_us), entry.worker_seq));
            }
        }
        // What came under several seqs is another rule's, and of them the highest proves least.
        let (mut events, mut states) = (BTreeMap::new(), BTreeMap::new());
        for (&(topic, seq), contents) in ledger.seen() {
            for content in contents.values() {
                match content.source {
                    Source::Event { publish: publish @ PublishId::Planned(_), .. } => {
                        events.insert((topic, publish), seq);
                    }
                    // So are contents that differ: what one of them says may be of any time.
                    Source::State { worker, version } if contents.len() == 1 => {
                        states.insert((topic, worker, version), seq);
                    }
                    _ => {}
                }
            }
        }
        for ((topic, publish), seq) in events {
            let begun = ledger.begun(publish).map(|begun| (begun, seq));
            later.seqs.entry(topic).or_default().extend(begun);
        }
        for ((topic, worker, version), seq) in states {
            let entry = versions.get(&(worker, version));
            let begun = entry.map(|entry| (entry.begun.saturating_sub(settle_us), seq));
            later.seqs.entry(topic).or_default().extend(begun);
        }
        later.seqs.values_mut().for_each(|list| minimum_of_the_rest(list));
        later.versions.values_mut().for_each(|list| minimum_of_the_rest(list));
        later
    }

    /// The lowest seq of a topic up to `most` that was published after an instant; of a state, longer after it than
    /// the settle bound.
    #[must_use]
    pub fn seq_after(&self, topic: TopicId, at: Micros, most: u64) -> Option<u64> {
        lowest_after(self.seqs.get(&topic)?, at, most)
    }

    /// The lowest version of a worker's document up to `most` that was published longer after an instant than the
    /// settle bound.
    #[must_use]
    pub fn version_after(&self, worker: u16, at: Micros, most: u64) -> Option<u64> {
        lowest_after(self.versions.get(&worker)?, at, most)
    }
}

fn lowest_after(list: &[(Micros, u64)], at: Micros, most: u64) -> Option<u64> {
    let after = list.partition_point(|&(begun, _)| begun <= at);
    list.get(after).map(|&(_, lowest)| lowest).filter(|lowest| *lowest <= most)
}

fn minimum_of_the_rest(list: &mut [(Micros, u64)]) {
    list.sort_unstable();
    let mut min = u64::MAX;
    for (_, value) in list.iter_mut().rev() {
        min = min.min(*value);
        *value = min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const STREAM: TopicId = TopicId::WORKER_EVENTS;
    const STATE: TopicId = TopicId::WORKER_SUMMARIES;
    const SETTLE: Micros = 500;

    /// Publish n of worker 4 is begun at n thousand, and is seq and version 10 + n.
    fn later() -> Later {
        let mut ledger = Ledger::default();
        for n in 1..=4_u32 {
            let (begun, number) = (u64::from(n) * 1_000, 10 + u64::from(n));
            let publish = PublishId::Planned(n);
            ledger.publish(&testing::published(publish, 4, [begun, begun + 10], Some(number)));
            let event = testing::event(publish, begun, Some(number));
            let state = Source::State { worker: 4, version: number };
            for (topic, source) in [(STREAM, event), (STATE, state)] {
                ledger.deliver(&testing::delivered(topic, number, begun + 20, number, source));
            }
        }
        Later::of(&ledger, Duration::from_micros(SETTLE))
    }

    fn first(at: Micros) -> First {
        First { at, client: 3, by: Telling::Heartbeat }
    }

    fn found(topic: TopicId, head: u64, at: Micros) -> Option<String> {
        let mut stands = Stands::default();
        stands.topic(topic, head, first(at));
        let mut tally = Tally::new(5);
        stands.settle(&later(), &mut tally);
        assert!(tally.total() <= 1 && tally.total() == tally.count(Rule::MalformedMessage));
        tally.kept().first().map(|kept| kept.message.clone())
    }

    #[test]
    fn what_is_published_after_a_head_was_told_lies_above_it() {
        assert_eq!(found(STREAM, 12, 2_000), None);
        assert_eq!(found(STREAM, 13, 3_000), None, "begun in that very moment");
        let said = found(STREAM, 13, 2_999).expect("13 was begun afterwards");
        assert!(said.contains("runtime.codex_worker_events stands at 13 by a heartbeat"));
        assert!(said.ends_with("and seq 13 was published after that"), "{said}");
        assert!(found(STREAM, 1_000, 1_500).is_some_and(|said| said.contains("and seq 12")));
        assert_eq!(found(STREAM, 1_000, 4_000), None, "nothing was published after it");
        assert_eq!(found(TopicId::NOTIFICATIONS, 1_000, 0), None, "nothing at all");
    }

    #[test]
    fn of_all_that_is_published_later_the_lowest_counts_and_contents_that_differ_do_not() {
        let mut ledger = Ledger::default();
        // Three publishes, in whose order the seqs are not.
        for (n, begun, seq) in [(1, 1_000, 12), (2, 2_000, 11), (3, 3_000, 13)] {
            let (id, version) = (PublishId::Planned(n), u64::from(n));
            ledger.publish(&testing::published(id, 4, [begun, begun + 10], Some(version)));
            // Of the second state two clients got another content.
            let contents = if n == 2 { 2 } else { 1 };
            let of = |topic, source, content| {
                testing::delivered(topic, seq, begun + 20, content, source)
            };
            let state = Source::State { worker: 4, version };
            ledger.deliver(&of(STREAM, testing::event(id, begun, Some(version)), 7));
            (0..contents).for_each(|content| ledger.deliver(&of(STATE, state, content)));
        }
        let later = Later::of(&ledger, Duration::from_micros(SETTLE));
        assert_eq!(
            later.seq_after(STREAM, 500, 100),
            Some(11),
            "not 12, which was begun before it"
        );
        assert_eq!(later.seq_after(STREAM, 1_500, 100), Some(11));
        assert_eq!(later.seq_after(STREAM, 2_500, 100), Some(13));
        assert_eq!(later.seq_after(STATE, 400, 100), Some(12), "nobody can say which state 11 is");
    }

    #[test]
    fn what_came_under_several_seqs_counts_by_the_highest() {
        let mut ledger = Ledger::default();
        let (publish, worker_seq) = (PublishId::Planned(1), Some(1));
        ledger.publish(&testing::published(publish, 4, [1_000, 1_010], worker_seq));
        for seq in [3, 15] {
            let event = testing::event(publish, 1_000, worker_seq);
            ledger.deliver(&testing::delivered(STREAM, seq, 1_020, 7, event));
        }
        let later = Later::of(&ledger, Duration::from_micros(SETTLE));
        assert_eq!(later.seq_after(STREAM, 500, 14), None);
        assert_eq!(later.seq_after(STREAM, 500, 15), Some(15));
    }

    #[test]
    fn a_state_may_lag_behind_its_event_by_the_settle_bound() {
        assert_eq!(found(STATE, 13, 2_500), None);
        assert!(found(STATE, 13, 2_499).is_some_and(|said| said.contains("and seq 13")));
    }

    #[test]
    fn metrics_that_show_more_than_there_is_are_told() {
        use crate::oracle::windows::Window;
        let of = |windows: &[(Micros, u64)]| {
            let mut all = Windows::default();
            for &(answered, head) in windows {
                let (asked, floor, budget) = (answered - 1, 0, 100);
                all.add(STREAM, Window { asked, answered, floor, head, budget });
            }
            of_metrics(&all, &later())
        };
        assert_eq!(of(&[(1_500, 11), (2_500, 12), (9_000, 1_000)]), None);
        let (message, times) = of(&[(1_500, 11), (2_500, 13), (2_700, 14)]).expect("ahead");
        assert_eq!(times, 2);
        assert!(message.contains("head 13") && message.contains("and seq 13"), "{message}");
    }

    #[test]
    fn a_document_is_no_newer_than_what_was_published_within_the_settle_bound() {
        let of = |latest, at| {
            let mut stands = Stands::default();
            stands.worker(4, latest, first(at));
            let mut tally = Tally::new(5);
            stands.settle(&later(), &mut tally);
            tally.kept().first().map(|kept| kept.message.clone())
        };
        assert_eq!((of(13, 2_500), of(12, 2_000), of(1_000, 3_500)), (None, None, None));
        let said = of(13, 2_499).expect("13 was begun long after");
        assert!(said.contains("says that its latest seq is 13, and seq 13"), "{said}");
    }

    #[test]
    fn of_each_head_the_first_counts_and_of_too_many_the_highest_are_kept_in_any_order() {
        let last = HEADS_MAX as u64 + 12;
        let mut all: Vec<Stands> = Vec::new();
        for (head, at) in [(5, 50), (5, 40), (5, 60)].into_iter().chain((1..=last).map(|n| (n, 70)))
        {
            let mut one = Stands::default();
            one.topic(STREAM, head, first(at));
            one.worker(4, head, first(at));
            all.push(one);
        }
        let together = |all: &[Stands]| {
            let mut sum = Stands::default();
            all.iter().cloned().for_each(|one| sum.merge(one));
            sum
        };
        let forth = together(&all);
        all.reverse();
        assert_eq!(forth, together(&all));
        let heads: Vec<u64> = forth.topics[&STREAM].0.keys().copied().collect();
        assert_eq!(heads, (13..=last).collect::<Vec<_>>());
        let first_of = |all: &[Stands]| together(all).topics[&STREAM].0[&5].at;
        assert_eq!(first_of(&all[all.len() - 3..]), 40);
    }
}
