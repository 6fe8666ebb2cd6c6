//! Rule `late_publish`: an event does not wait for its successor.
//!
//! Streams, for clients that were live since before the event was due and that the harness never made
//! slow. A pair of successive seqs is looked at when it was planned further apart than the settle
//! bound and acknowledged more than twice that apart: the load must have such gaps. It is late when
//! both arrive in one read, the earlier's acknowledgement more than the settle bound before and the
//! later's less, the stalls of the client's own thread not counted; and an answer that the publishers'
//! thread could not read for a stall counts as if it had come before it. A target that is slow for all alike does not
//! do that.
//!
//! Cases: such pairs, once for each client that was live for the earlier. Undecided: pairs that came
//! together beyond [`FACTS_MAX`] a client. A deliberate pause of the target is not taken out: where
//! one is planned, the gaps of the load must lie outside it. Memory: one event a topic, and the facts.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_plan::units::micros;
use khala_wire::TopicKind;
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::ledger::{Acknowledged, Content, Ledger};
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Delivery, Micros, PublishId, Source};
use crate::shard::stalls;

/// Pairs that came together kept of a client.
pub const FACTS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Event {
    seq: u64,
    at: Micros,
    intended: Micros,
    publish: PublishId,
    live: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Fact {
    topic: TopicId,
    seq: u64,
    at: Micros,
    earlier: PublishId,
    later: PublishId,
}

/// One client's events that came together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    last: BTreeMap<TopicId, Event>,
    facts: Vec<Fact>,
    beyond: u64,
}

/// Stalls that may stand between an acknowledgement and a delivery.
#[derive(Clone, Copy, Debug)]
pub struct Stood<'a> {
    /// Those of the client's own thread.
    pub own: &'a stalls::Own,
    /// Those of the publishers' thread.
    pub publisher: &'a stalls::Own,
}

impl Together {
    /// A fresh delivery on a stream. `live`: the client had been live when it was due.
    pub fn on_fresh(&mut self, delivery: &Delivery, live: bool, settle_within: Duration) {
        let Delivery { topic, seq, at, source, .. } = *delivery;
        let Source::Event { publish, intended: Some(intended), .. } = source else {
            self.last.remove(&topic);
            return;
        };
        let event = Event { seq, at, intended, publish, live };
        let Some(before) = self.last.insert(topic, event) else { return };
        let settle = micros(settle_within);
        let candidate = before.live
            && before.seq + 1 == seq
            && before.at == at
            && intended.saturating_sub(before.intended) > settle;
        if !candidate {
            return;
        }
        if self.facts.len() < FACTS_MAX {
            let fact = Fact { topic, seq: before.seq, at, earlier: before.publish, later: publish };
            self.facts.push(fact);
        } else {
            self.beyond += 1;
        }
    }

    /// Judges all pairs of one client.
    pub fn settle(
        &self,
        client: u32,
        ledger: &Ledger,
        stalls: Stood<'_>,
        settle_within: Duration,
        tally: &mut Tally,
    ) {
        tally.undecided_cases(Rule::LatePublish, self.beyond);
        let settle = micros(settle_within);
        for fact in &self.facts {
            let entry = |publish| ledger.acknowledged().get(publish);
            let (Some(earlier), Some(later)) = (entry(&fact.earlier), entry(&fact.later)) else {
                continue;
            };
            let stalled = stalls.own.within(earlier.at, fact.at);
            let waited = fact.at.saturating_sub(earlier.at).saturating_sub(stalled);
            let unread = stalls.publisher.within(later.begun, later.at);
            let later = Acknowledged { at: later.at.saturating_sub(unread), ..*later };
            let late = waited > settle && fact.at.saturating_sub(later.at) < settle;
            if !late || !far_apart(earlier, &later, settle) {
                continue;
            }
            let violation = Violation {
                at_us: fact.at,
                rule: Rule::LatePublish,
                client: Some(client),
                topic: Some(fact.topic),
                seqs: Some((fact.seq, fact.seq)),
                epoch: None,
                message: format!(
                    "seq {} came {:.1?} after it was acknowledged, together with the next one",
                    fact.seq,
                    Duration::from_micros(waited)
                ),
            };
            tally.violate(violation, 0);
        }
    }
}

fn far_apart(earlier: &Acknowledged, later: &Acknowledged, settle: Micros) -> bool {
    later.at.saturating_sub(earlier.at) > settle.saturating_mul(2)
}

/// Counts the cases: pairs with a gap, once for each live client.
pub fn count_cases(ledger: &Ledger, settle_within: Duration, tally: &mut Tally) {
    let settle = micros(settle_within);
    let event = |content: &Content| match content.source {
        Source::Event { publish, intended: Some(intended), .. } => {
            let entry = ledger.acknowledged().get(&publish)?;
            Some((intended, *entry, content.live))
        }
        _ => None,
    };
    let mut last: Option<(TopicId, u64, Micros, Acknowledged, u64)> = None;
    for (&(topic, seq), contents) in ledger.seen() {
        let most = contents.values().max_by_key(|content| content.deliveries);
        let now = most.filter(|_| topic.kind() == TopicKind::Stream).and_then(event);
        if let (Some((of, before, due, earlier, live)), Some((intended, later, _))) = (last, now)
            && of == topic
            && before + 1 == seq
            && intended.saturating_sub(due) > settle
            && far_apart(&earlier, &later, settle)
        {
            tally.judged(Rule::LatePublish, live);
        }
        last = now.map(|(intended, entry, live)| (topic, seq, intended, entry, live));
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Manner;
    use super::*;
    use crate::shard::stalls::{Stall, Stalls};
    use crate::testing;

    const TOPIC: TopicId = TopicId::WORKER_EVENTS;
    const SETTLE: Duration = Duration::from_millis(100);

    /// Events as (due, arrival), each acknowledged 1 ms after it was due. Times in ms.
    fn judged(events: &[(u64, u64)], live: bool) -> Tally {
        let acknowledged = |&(due, at): &(u64, u64)| (due * 1_000, due * 1_000 + 1_000, at * 1_000);
        came(events.iter().map(acknowledged), live)
    }

    /// Events as (due, acknowledged, arrival), seqs and publishes from 0. Times in us.
    fn came(events: impl IntoIterator<Item = (u64, u64, u64)>, live: bool) -> Tally {
        stalled(events, live, &Stalls::default())
    }

    /// The same, of a client of thread 0 while threads stood still; thread 2 is the publishers'.
    fn stalled(
        events: impl IntoIterator<Item = (u64, u64, u64)>,
        live: bool,
        stalls: &Stalls,
    ) -> Tally {
        let (mut ledger, mut together) = (Ledger::default(), Together::default());
        for ((due, done, at), n) in events.into_iter().zip(0_u32..) {
            let (publish, number) = (PublishId::Planned(n), u64::from(n));
            ledger.publish(&testing::published(publish, 0, [due, done], Some(number)));
            let source = Source::Event {
                publish,
                intended: Some(due),
                begun: Some(due),
                payload: 0,
                worker_seq: None,
            };
            let delivery = Delivery {
                client: 3,
                epoch: 1,
                topic: TOPIC,
                seq: number,
                at,
                content: number,
                hash_fits: true,
                source,
            };
            ledger.deliver_as(&delivery, Manner { again: false, live, spread_to: None });
            together.on_fresh(&delivery, live, SETTLE);
        }
        let mut tally = Tally::new(5);
        let stood = Stood { own: stalls.of(0), publisher: stalls.of(2) };
        together.settle(3, &ledger, stood, SETTLE, &mut tally);
        count_cases(&ledger, SETTLE, &mut tally);
        tally
    }

    #[test]
    fn an_event_that_waits_for_the_next_is_a_violation() {
        let tally = judged(&[(0, 2), (500, 1_002), (1_000, 1_002)], true);
        assert_eq!(tally.count(Rule::LatePublish), 1);
        assert_eq!(tally.rule(Rule::LatePublish).judged, 2);
        assert_eq!(tally.kept()[0].seqs, Some((1, 1)));
    }

    #[test]
    fn events_that_come_in_time_are_cases_that_held() {
        let tally = judged(&[(0, 2), (500, 502), (1_000, 1_002)], true);
        assert_eq!((tally.total(), tally.rule(Rule::LatePublish).judged), (0, 2));
    }

    #[test]
    fn a_target_that_is_late_for_both_or_a_load_without_gaps_proves_nothing() {
        assert_eq!(judged(&[(0, 900), (500, 900)], true).total(), 0);
        let tally = judged(&[(0, 210), (150, 210)], true);
        assert!(!tally.exercised(Rule::LatePublish));
    }

    #[test]
    fn a_client_that_was_not_live_is_no_witness() {
        assert!(!judged(&[(0, 502), (500, 502)], false).exercised(Rule::LatePublish));
    }

    #[test]
    fn pairs_beyond_the_bound_are_undecided() {
        let pairs: Vec<_> = (0..=u64::try_from(FACTS_MAX).expect("small"))
            .flat_map(|n| [(n * 1_000, n * 1_000 + 502), (n * 1_000 + 500, n * 1_000 + 502)])
            .collect();
        assert_eq!(judged(&pairs, true).rule(Rule::LatePublish).undecided, 1);
    }

    #[test]
    fn every_bound_itself_is_still_in_time() {
        let count = |events: &[(u64, u64)]| {
            let tally = judged(events, true);
            (tally.count(Rule::LatePublish), tally.rule(Rule::LatePublish).judged)
        };
        // Half a second late, with the next.
        assert_eq!(count(&[(0, 502), (500, 502)]), (1, 1));
        // Due and acknowledged just 200 ms apart: not far apart.
        assert_eq!(count(&[(0, 202), (200, 202)]), (0, 0));
        assert_eq!(count(&[(0, 203), (201, 203)]), (1, 1));
        // The later one waited for just as long as may be: then the target was late for both.
        assert_eq!(count(&[(0, 601), (500, 601)]), (0, 1));
        assert_eq!(count(&[(0, 600), (500, 600)]), (1, 1));
    }

    #[test]
    fn what_the_clients_own_thread_or_the_publishers_slept_through_is_not_the_targets() {
        let count = |later_done: u64, stall: Option<(u16, u64, u64)>| {
            let mut stalls = Stalls::default();
            let stall = stall.map(|(thread, from, to)| Stall {
                to: to * 1_000,
                from: from * 1_000,
                thread,
            });
            stall.into_iter().for_each(|stall| stalls.add(stall));
            let events = [(0, 1_000, 502_000), (500_000, later_done * 1_000, 502_000)];
            stalled(events, true, &stalls).count(Rule::LatePublish)
        };
        assert_eq!(count(501, None), 1);
        assert_eq!(count(501, Some((0, 100, 501))), 0, "its own thread did not read");
        assert_eq!(count(501, Some((1, 100, 501))), 1, "another one's stall delayed nobody here");
        // Both waited in the target for half a second; the answer to the later was read late.
        let events = [(0, 1_000, 1_200_000), (500_000, 1_190_000, 1_200_000)];
        let mut stalls = Stalls::default();
        assert_eq!(stalled(events, true, &stalls).count(Rule::LatePublish), 1);
        stalls.add(Stall { to: 1_190_000, from: 600_000, thread: 2 });
        assert_eq!(stalled(events, true, &stalls).count(Rule::LatePublish), 0);
    }

    #[test]
    fn a_wait_counts_from_the_acknowledgement_and_a_pair_by_when_it_was_due() {
        let pair = |(due, done), (later_due, later_done), at| {
            came([(due, done, at), (later_due, later_done, at)], true)
        };
        let count = |earlier, later, at| pair(earlier, later, at).count(Rule::LatePublish);
        let judged = |earlier, later, at| pair(earlier, later, at).rule(Rule::LatePublish).judged;
        // The answer to the first came late: it waited for 100 ms after it, or a microsecond more.
        assert_eq!(count((0, 400_000), (490_000, 650_000), 500_000), 0);
        assert_eq!(count((0, 399_999), (490_000, 650_000), 500_000), 1);
        // Due 100 ms apart, or a microsecond more, whatever the answers.
        assert_eq!(judged((0, 1_000), (100_000, 400_000), 401_000), 0);
        assert_eq!(count((0, 1_000), (100_000, 400_000), 401_000), 0);
        assert_eq!(judged((0, 1_000), (100_001, 400_000), 401_000), 1);
        assert_eq!(count((0, 1_000), (100_001, 400_000), 401_000), 1);
    }
}
