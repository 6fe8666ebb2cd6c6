//! Fair drain: topics of one connection that come alike are accepted however late they are, and one
//! that waits while the other goes on is starved, whichever it is.

use khala_evidence::oracle::{End, Rule};
use khala_evidence::record::{PublishId, Source};
use khala_evidence::{Record, Settled};
use khala_wire::topic::TopicId;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::records::{self, Entry, state, stream};
use crate::support::{all_broken, cases, plans, shards};

/// Publishes that a topic waits for: at 20 ms and more apart they take longer than the settle bound of
/// [`plans::HISTORY`], and are more reads than the rule asks for.
const HELD: usize = 14;

/// What one client is sent of one worker's publishes.
#[derive(Clone, Debug)]
struct Run {
    /// When each publish is begun.
    begun: Vec<u64>,
    /// When its event and its document come.
    events: Vec<u64>,
    documents: Vec<u64>,
}

fn run(gap_us: std::ops::Range<u64>, late_us: u64) -> impl Strategy<Value = Run> {
    prop::collection::vec((gap_us, 0..late_us, 0_u64..3_000), 40..80).prop_map(|publishes| {
        let (mut now, mut last) = (500_000, 0);
        let mut run = Run { begun: vec![], events: vec![], documents: vec![] };
        for (gap, late, apart) in publishes {
            now += gap;
            // In the order of the seqs, and the document a little after its event.
            last = (now + 2_000 + late).max(last + 1);
            run.begun.push(now);
            run.events.push(last);
            run.documents.push(last + apart);
            last += apart;
        }
        run
    })
}

impl Run {
    /// The client does not read for a while, or the target does not send: both topics alike.
    fn frozen(mut self, at: Index, for_us: u64) -> Self {
        let from = *at.get(&self.begun);
        let thaw = |at: &mut u64| {
            if (from..from + for_us).contains(at) {
                *at = from + for_us;
            }
        };
        self.events.iter_mut().for_each(thaw);
        self.documents.iter_mut().for_each(thaw);
        self
    }

    /// One topic waits from some publish on until [`HELD`] later ones have come on the other.
    fn starving(mut self, topic: TopicId, at: Index) -> Self {
        let first = 1 + at.index(self.begun.len() - HELD - 1);
        let until = self.events[first + HELD].max(self.documents[first + HELD]) + 1;
        let waits = if topic == stream() { &mut self.events } else { &mut self.documents };
        waits[first..].iter_mut().for_each(|at| *at = until.max(*at));
        self
    }

    fn settle(&self) -> Settled {
        let mut timed: Vec<(u64, Record)> = Vec::new();
        let started = PublishId::Lifecycle { worker: 0, seq: 1 };
        timed.push((0, records::published(started, 0, 0, 0, Some(1), 0)));
        timed.push((1_000, records::connected(0, 1_000)));
        let topics = [(stream(), None, 0), (state(), None, 0)];
        timed.push((2_000, records::subscribe_sent(0, 1, 2_000, &topics)));
        for (topic, source) in [(stream(), event(started, 0)), (state(), version(1))] {
            let entry = Entry { topic, seq: 1, content: 1, hash_fits: true, source };
            timed.push((3_000, records::delivered(0, 1, 3_000, &entry)));
        }
        let marks = [(stream(), 1), (state(), 1)];
        timed.push((4_000, records::subscribe_ok(0, 1, 4_000, &marks)));
        for (n, &begun) in (0_u32..).zip(&self.begun) {
            let (place, seq, id) = (n as usize, u64::from(n) + 2, PublishId::Planned(n));
            let done = begun + 1_000;
            timed.push((done, records::published(id, 0, begun, done, Some(seq), 7)));
            let mut came = |topic, at, source| {
                let entry = Entry { topic, seq, content: seq, hash_fits: true, source };
                timed.push((at, records::delivered(0, 1, at, &entry)));
            };
            came(stream(), self.events[place], event(id, begun));
            came(state(), self.documents[place], version(seq));
        }
        timed.sort_by_key(|(at, _)| *at);
        let end = timed.last().map_or(0, |(at, _)| at + 1_000);
        timed.push((end, records::retired(0, end, true)));
        let records: Vec<_> = timed.into_iter().map(|(_, record)| record).collect();
        shards::settle(plans::alone(), &records, End { at: end, drained: true })
    }
}

/// What is broken. A state that waits beyond the settle bound is stale, whatever else goes on.
fn but_for_stale_states(settled: &Settled) -> Vec<(Rule, u64)> {
    let mut broken = all_broken(settled);
    broken.retain(|(rule, _)| *rule != Rule::StateStale);
    broken
}

fn event(publish: PublishId, begun: u64) -> Source {
    let at = matches!(publish, PublishId::Planned(_)).then_some(begun);
    Source::Event { publish, intended: at, begun: at, payload: 7, worker_seq: None }
}

fn version(version: u64) -> Source {
    Source::State { worker: 0, version }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn topics_that_come_alike_are_accepted_however_late(
        run in run(1_000..120_000, 400_000),
        at in any::<Index>(),
        for_us in 0_u64..3_000_000,
    ) {
        let settled = run.frozen(at, for_us).settle();
        // Frozen long enough, all of it comes at once, and there was no drain to be fair.
        prop_assert_eq!(but_for_stale_states(&settled), []);
    }

    #[test]
    fn two_topics_that_go_on_are_cases(run in run(1_000..120_000, 400_000)) {
        prop_assert!(run.settle().tally.exercised(Rule::StarvedTopic));
    }

    #[test]
    fn a_topic_that_waits_while_the_other_goes_on_is_starved(
        run in run(20_000..60_000, 5_000),
        at in any::<Index>(),
        on_stream in any::<bool>(),
    ) {
        let topic = if on_stream { stream() } else { state() };
        let settled = run.starving(topic, at).settle();
        prop_assert_eq!(but_for_stale_states(&settled), [(Rule::StarvedTopic, 1)]);
        prop_assert_eq!(settled.tally.kept()[0].topic, Some(topic));
    }
}
