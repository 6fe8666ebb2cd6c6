//! Rule `phantom`: on a target that nobody else writes to, every event that is delivered was
//! published, and none before its command was begun.
//!
//! The plan says which target is exclusive; the embedded runtime is, unless told otherwise. Settled
//! from the ledger, for the topics that the run's commands feed: an event is known by its marker,
//! one without (a worker's start) by worker and seq, a document by its version. A command without
//! an answer may have made an event. So may the stop of a worker, whose answer tells no seq: one
//! more for each. What others wrote below the first event of ours is older than the run; on a state
//! topic, which lags behind the commands, below the first version of ours that was begun after the
//! settle bound. What a command over the socket has made is
//! [`command_accepted`](super::command_accepted)'s.
//!
//! Only the right content of a place is judged: what one client alone saw there is
//! [`divergent_value`](super::divergent_value)'s. Cases: places (topic and seq) with an event of
//! the run's time. Undecided: what is not known, if the run did not drain or left no trace of its
//! commands: the records may be missing and not the commands. Memory: the ledger's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khala_wire::topic::TopicId;

use super::divergent_value::right_content;
use super::ledger::{Content, Ledger};
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Micros, PublishId, Source};

/// What may exist.
struct Known<'a> {
    ledger: &'a Ledger,
    /// Worker seqs that were acknowledged, and when their commands were begun.
    seqs: BTreeMap<(u16, u64), Micros>,
    /// The highest of them, by worker.
    last: BTreeMap<u16, u64>,
    /// Commands without an answer, by worker.
    unanswered: BTreeMap<u16, u64>,
    /// Events of commands over sockets, of whatever worker.
    over_socket: u64,
}

fn is_over_socket(source: Source) -> bool {
    matches!(source, Source::Event { publish: PublishId::OverSession { .. }, .. })
}

impl<'a> Known<'a> {
    fn of(ledger: &'a Ledger) -> Self {
        let mut known = Self {
            ledger,
            seqs: BTreeMap::new(),
            last: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            over_socket: 0,
        };
        let over_socket = |contents: &&BTreeMap<u64, Content>| {
            contents.values().any(|content| is_over_socket(content.source))
        };
        known.over_socket = ledger.seen().values().filter(over_socket).count() as u64;
        for entry in ledger.acknowledged().values() {
            known.seqs.insert((entry.worker, entry.worker_seq), entry.begun);
            let last = known.last.entry(entry.worker).or_default();
            *last = entry.worker_seq.max(*last);
        }
        for entry in ledger.unanswered().values() {
            *known.unanswered.entry(entry.worker).or_default() += 1;
        }
        known
    }

    fn has_planned(&self) -> bool {
        let planned = |id: &PublishId| matches!(id, PublishId::Planned(_));
        self.ledger.acknowledged().keys().chain(self.ledger.unanswered().keys()).any(planned)
    }

    /// Events of a worker that nobody acknowledged and that may exist: its stop among them.
    fn spare(&self, worker: u16) -> u64 {
        self.unanswered.get(&worker).copied().unwrap_or_default() + self.over_socket + 1
    }

    /// Whether nothing above what it is in the topic can be older than the run.
    fn is_of_the_run(&self, content: &Content, settle_within: Duration) -> bool {
        let Source::State { worker, version } = content.source else { return true };
        let begun = self.seqs.get(&(worker, version));
        begun.is_some_and(|&begun| u128::from(begun) > settle_within.as_micros())
    }

    fn last_possible(&self, worker: u16) -> u64 {
        self.last.get(&worker).copied().unwrap_or_default().saturating_add(self.spare(worker))
    }
}

/// What an event is, against what was published.
enum Standing {
    Published,
    /// Of a worker of ours and known by nothing else: one of those that may exist, if there are not
    /// too many.
    Unmarked(u16, u64),
    Phantom(String),
    OverSession,
    Foreign,
}

fn standing(content: &Content, known: &Known<'_>) -> Standing {
    match content.source {
        Source::Document { .. } | Source::Foreign => Standing::Foreign,
        Source::State { worker, version } => {
            let possible = known.last_possible(worker);
            if version <= possible {
                return Standing::Published;
            }
            Standing::Phantom(format!(
                "shows version {version} of worker {worker}'s document; its commands made {possible} \
                 at the most"
            ))
        }
        Source::Event { publish: PublishId::Lifecycle { worker, seq }, .. } => {
            if known.seqs.contains_key(&(worker, seq)) {
                Standing::Published
            } else {
                Standing::Unmarked(worker, seq)
            }
        }
        Source::Event { publish: PublishId::OverSession { .. }, .. } => Standing::OverSession,
        Source::Event { publish: publish @ PublishId::Planned(n), .. } => {
            match known.ledger.begun(publish) {
                Some(begun) if begun <= content.first.0 => Standing::Published,
                Some(begun) => {
                    let early = begun - content.first.0;
                    Standing::Phantom(format!("was there {early} us before publish {n} was begun"))
                }
                None => {
                    Standing::Phantom(format!("claims to be publish {n}, which was never begun"))
                }
            }
        }
    }
}

/// Judges all that was seen on the topics that the run's commands feed.
pub fn settle(
    ledger: &Ledger,
    published_on: &BTreeSet<TopicId>,
    settle_within: Duration,
    drained: bool,
    tally: &mut Tally,
) {
    let known = Known::of(ledger);
    let decides = drained && known.has_planned();
    for &topic in published_on {
        let mut ours_came = false;
        let mut unmarked: BTreeMap<u16, BTreeSet<u64>> = BTreeMap::new();
        for (&(_, seq), contents) in ledger.seen().range((topic, 0)..=(topic, u64::MAX)) {
            let right = right_content(contents, ledger);
            let Some(content) = right.and_then(|digest| contents.get(&digest)) else { continue };
            let wrong = match standing(content, &known) {
                Standing::Published => {
                    ours_came |= known.is_of_the_run(content, settle_within);
                    None
                }
                Standing::Unmarked(worker, worker_seq) => {
                    let seqs = unmarked.entry(worker).or_default();
                    seqs.insert(worker_seq);
                    let (found, may) = (seqs.len() as u64, known.spare(worker));
                    (found > may).then(|| {
                        format!(
                            "is event {worker_seq} of worker {worker}, the {found}. that nobody \
                             published; {may} may exist"
                        )
                    })
                }
                Standing::Phantom(why) => Some(why),
                Standing::OverSession => {
                    tally.consequence(Rule::Phantom);
                    continue;
                }
                Standing::Foreign if ours_came => Some("is nothing that the run published".into()),
                Standing::Foreign => continue,
            };
            match wrong {
                Some(_) if !decides => tally.undecided(Rule::Phantom),
                Some(why) => {
                    tally.judged(Rule::Phantom, 1);
                    tally.violate(violation(topic, seq, content, &why), 0);
                }
                None => tally.judged(Rule::Phantom, 1),
            }
        }
    }
}

fn violation(topic: TopicId, seq: u64, content: &Content, why: &str) -> Violation {
    Violation {
        at_us: content.first.0,
        rule: Rule::Phantom,
        client: Some(content.first.1),
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: None,
        message: format!("seq {seq} {why} ({} deliveries)", content.deliveries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Delivery;
    use crate::testing;

    const STREAM: TopicId = TopicId::WORKER_EVENTS;
    const STATE: TopicId = TopicId::WORKER_SUMMARIES;
    const RULE: Rule = Rule::Phantom;
    const SETTLE: Duration = Duration::from_micros(50);

    fn event(publish: PublishId) -> Source {
        Source::Event { publish, intended: None, begun: None, payload: 0, worker_seq: None }
    }

    fn planned(n: u32) -> Source {
        event(PublishId::Planned(n))
    }

    fn unmarked(seq: u64) -> Source {
        event(PublishId::Lifecycle { worker: 3, seq })
    }

    fn state(version: u64) -> Source {
        Source::State { worker: 3, version }
    }

    fn seen(topic: TopicId, seq: u64, at: Micros, source: Source) -> Delivery {
        Delivery { client: 5, epoch: 1, topic, seq, at, content: seq, hash_fits: true, source }
    }

    /// Worker 3 was started, publish 0 acknowledged as its seq 2, and publish 1 begun at 200 and never
    /// answered.
    fn ledger(deliveries: &[Delivery]) -> Ledger {
        let mut ledger = Ledger::default();
        let start = PublishId::Lifecycle { worker: 3, seq: 1 };
        let (one, two) = (PublishId::Planned(0), PublishId::Planned(1));
        for (id, start, seq) in [(start, 0, Some(1)), (one, 100, Some(2)), (two, 200, None)] {
            ledger.publish(&testing::published(id, 3, [start, start + 50], seq));
        }
        deliveries.iter().for_each(|delivery| ledger.deliver(delivery));
        ledger
    }

    fn judged(deliveries: &[Delivery], drained: bool) -> Tally {
        judged_within(SETTLE, deliveries, drained)
    }

    fn judged_within(settle_within: Duration, deliveries: &[Delivery], drained: bool) -> Tally {
        let mut tally = Tally::new(5);
        let topics = BTreeSet::from([STREAM, STATE]);
        settle(&ledger(deliveries), &topics, settle_within, drained, &mut tally);
        tally
    }

    /// What is wrong with one event that comes after the worker's start.
    fn wrong(source: Source) -> u64 {
        judged(&[seen(STREAM, 1, 10, unmarked(1)), seen(STREAM, 2, 300, source)], true).count(RULE)
    }

    #[test]
    fn what_was_published_is_accepted_answered_or_not() {
        let sources = [unmarked(1), planned(0), planned(1), unmarked(3), unmarked(4)];
        let events = sources.iter().zip(1..).map(|(&source, seq)| seen(STREAM, seq, 300, source));
        let states = [1, 2, 3, 4].map(|version| seen(STATE, version, 300, state(version)));
        let tally = judged(&events.chain(states).collect::<Vec<_>>(), true);
        assert_eq!((tally.total(), tally.rule(RULE).judged), (0, 9));
    }

    #[test]
    fn a_number_that_was_never_begun_is_a_phantom() {
        assert_eq!(wrong(planned(0)), 0);
        assert_eq!(wrong(planned(2)), 1);
    }

    #[test]
    fn an_event_before_its_command_is_a_phantom() {
        let early = |at| judged(&[seen(STREAM, 1, at, planned(1))], true);
        assert_eq!(
            (early(180).count(RULE), early(199).count(RULE), early(200).count(RULE)),
            (1, 1, 0)
        );
        let why = "seq 1 was there 20 us before publish 1 was begun (1 deliveries)";
        assert_eq!(early(180).kept()[0].message, why);
    }

    #[test]
    fn more_unmarked_events_of_a_worker_than_may_exist_are_phantoms() {
        // The stop, and the command without an answer.
        let events = [7, 8, 9].map(|seq| seen(STREAM, seq, 300, unmarked(seq)));
        assert_eq!(judged(&events[..2], true).total(), 0);
        assert_eq!(judged(&events, true).count(RULE), 1);
    }

    #[test]
    fn a_version_beyond_all_commands_is_a_phantom() {
        assert_eq!(judged(&[seen(STATE, 1, 300, state(4))], true).count(RULE), 0);
        assert_eq!(judged(&[seen(STATE, 1, 300, state(5))], true).count(RULE), 1);
    }

    #[test]
    fn what_others_wrote_is_a_phantom_only_after_something_of_ours() {
        let before = [seen(STREAM, 1, 300, Source::Foreign), seen(STREAM, 2, 300, planned(0))];
        let tally = judged(&before, true);
        assert_eq!((tally.total(), tally.rule(RULE).judged), (0, 1));
        assert_eq!(wrong(Source::Foreign), 1);
    }

    #[test]
    fn a_state_of_others_may_lag_behind_their_last_command() {
        let after = |version, settle_within| {
            let states = [state(version), Source::Foreign];
            let states = states.iter().zip(1..).map(|(&source, seq)| seen(STATE, seq, 300, source));
            let settle_within = Duration::from_micros(settle_within);
            judged_within(settle_within, &states.collect::<Vec<_>>(), true).count(RULE)
        };
        // Version 1 was begun at 0, version 2 at 100.
        assert_eq!((after(1, 50), after(2, 50)), (0, 1));
        assert_eq!((after(2, 99), after(2, 100)), (1, 0));
    }

    #[test]
    fn a_command_over_the_socket_is_judged_elsewhere() {
        let obeyed = event(PublishId::OverSession { client: 4 });
        let deliveries = [seen(STREAM, 1, 300, obeyed), seen(STATE, 1, 300, state(5))];
        let tally = judged(&deliveries, true);
        assert_eq!((tally.total(), tally.rule(RULE).consequences), (0, 1));
    }

    #[test]
    fn what_one_client_alone_saw_is_not_judged_here() {
        let place =
            |client, content, source| Delivery { client, content, ..seen(STREAM, 1, 300, source) };
        let deliveries =
            [place(1, 7, planned(0)), place(2, 7, planned(0)), place(3, 8, planned(9))];
        assert_eq!(judged(&deliveries, true).total(), 0);
    }

    #[test]
    fn a_run_that_did_not_drain_may_have_lost_the_records_of_its_commands() {
        let tally = judged(&[seen(STREAM, 1, 300, planned(2))], false);
        assert_eq!((tally.total(), tally.rule(RULE).undecided), (0, 1));
        let mut tally = Tally::new(5);
        let mut nothing = Ledger::default();
        nothing.deliver(&seen(STREAM, 1, 300, planned(2)));
        settle(&nothing, &BTreeSet::from([STREAM]), SETTLE, true, &mut tally);
        assert_eq!((tally.total(), tally.rule(RULE).undecided), (0, 1));
    }
}
