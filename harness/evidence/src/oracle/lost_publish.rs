//! Rule `lost_publish`: when the run has drained, every acknowledged publish has reached every
//! client that was subscribed throughout.
//!
//! Two cases, both settled at the merge. A publish that no client ever saw, though some client was
//! there to see it, was lost for all of them. A client that ends below the seq of an acknowledged
//! publish has lost the tail. (Holes below a client's highest seq are `gap`'s.) If the run did not
//! drain, the tails are undecided. A topic that a client left, or was refused, owes it nothing.
//! Cases: an acknowledged publish and a live client subscribed to its topic, each pair one; of a run
//! that did not drain only those of clients without a missing tail.

use std::collections::{BTreeMap, BTreeSet};

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::ledger::Ledger;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::{Standing, Track};
use crate::record::{Micros, PublishId};

/// A client at the end of the run.
pub struct Witness<'a> {
    /// The client.
    pub client: u32,
    /// Whether it is live: connected, replay complete.
    pub live: bool,
    /// What it got.
    pub tracks: &'a BTreeMap<TopicId, Track>,
}

/// How the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When the last client was retired.
    pub at: Micros,
    /// Whether the harness waited for the topics to run dry, so that what is missing is lost.
    pub drained: bool,
}

/// Judges the ledger against all clients.
pub fn settle(
    ledger: &Ledger,
    published_on: &BTreeSet<TopicId>,
    witnesses: &[Witness<'_>],
    end: End,
    tally: &mut Tally,
) {
    let seqs = ledger.seqs();
    for &topic in published_on.iter().filter(|topic| topic.kind() == TopicKind::Stream) {
        let watching: Vec<_> = witnesses
            .iter()
            .filter(|witness| witness.live)
            .filter_map(|witness| Some((witness.client, witness.tracks.get(&topic)?)))
            .filter(|(_, track)| track.standing == Standing::Subscribed)
            .collect();
        if watching.is_empty() {
            continue;
        }
        never_seen(ledger, topic, &seqs, end, tally);
        let head = ledger
            .acknowledged()
            .keys()
            .filter_map(|&publish| seqs.get(&(topic, publish)))
            .max()
            .copied()
            .unwrap_or_default();
        let publishes = ledger.acknowledged().len() as u64;
        for (client, track) in watching {
            let decided = end.drained || track.highest.unwrap_or_default() >= head;
            tally.judged(Rule::LostPublish, if decided { publishes } else { 0 });
            tail_lost(client, topic, track, head, end, tally);
        }
    }
}

fn never_seen(
    ledger: &Ledger,
    topic: TopicId,
    seqs: &BTreeMap<(TopicId, PublishId), u64>,
    end: End,
    tally: &mut Tally,
) {
    // A publish that came out on a seq that every client missed is known to nobody by name, but the
    // hole is: each client has it as a `gap`, and the lost publish is its consequence.
    // Where no client has a gap, as after lost cursors, nothing else tells of the loss.
    let mut excused = if tally.count(Rule::Gap) > 0 { ledger.holes(topic) } else { 0 };
    for (&publish, entry) in ledger.acknowledged() {
        if seqs.contains_key(&(topic, publish)) {
            continue;
        }
        if excused > 0 {
            excused -= 1;
            tally.consequence(Rule::LostPublish);
            continue;
        }
        if !end.drained {
            tally.undecided(Rule::LostPublish);
            continue;
        }
        let what = match publish {
            PublishId::Planned(n) => format!("publish {n}"),
            PublishId::Lifecycle { .. } => "a lifecycle event".to_owned(),
            // Never acknowledged as a publish; said for completeness.
            PublishId::OverSocket { client } => format!("the command of client {client}"),
        };
        let message = format!(
            "{what} (worker {}, worker seq {}) was acknowledged and reached no client",
            entry.worker, entry.worker_seq
        );
        let violation = Violation {
            at_us: entry.at,
            rule: Rule::LostPublish,
            client: None,
            topic: Some(topic),
            seqs: None,
            epoch: None,
            message,
        };
        tally.violate(violation, 0);
    }
}

fn tail_lost(client: u32, topic: TopicId, track: &Track, head: u64, end: End, tally: &mut Tally) {
    let highest = track.highest.unwrap_or_default();
    if highest >= head {
        return;
    }
    if !end.drained {
        tally.undecided(Rule::LostPublish);
        return;
    }
    let violation = Violation {
        at_us: end.at,
        rule: Rule::LostPublish,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((highest + 1, head)),
        epoch: Some(track.epoch),
        message: format!(
            "the run has drained, and the client ends at seq {highest} of {head} acknowledged"
        ),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Delivery, Outcome, Published, Source};

    const RULE: Rule = Rule::LostPublish;
    const TOPIC: TopicId = TopicId::WORKER_EVENTS;
    const END: End = End { at: 9_000, drained: true };

    fn publish(ledger: &mut Ledger, n: u32) {
        ledger.publish(&Published {
            id: PublishId::Planned(n),
            worker: 0,
            intended: 1,
            start: 1,
            done: 2,
            outcome: Outcome::Ok,
            status: None,
            worker_seq: Some(u64::from(n)),
            payload: 0,
        });
    }

    fn deliver(ledger: &mut Ledger, n: u32, seq: u64) {
        let publish = PublishId::Planned(n);
        let source = Source::Event { publish, intended: Some(1), begun: Some(1), payload: 0 };
        ledger.deliver(&Delivery {
            client: 1,
            epoch: 1,
            topic: TOPIC,
            seq,
            at: 5,
            content: seq,
            hash_fits: true,
            source,
        });
    }

    #[test]
    fn a_gap_that_everybody_has_explains_as_many_lost_publishes_as_it_is_wide() {
        let mut ledger = Ledger::default();
        (1..=6).for_each(|n| publish(&mut ledger, n));
        // Seqs 12 and 13 came to nobody; of four publishes nobody heard.
        deliver(&mut ledger, 1, 11);
        deliver(&mut ledger, 2, 14);
        let gap = Violation {
            at_us: 1,
            rule: Rule::Gap,
            client: Some(1),
            topic: Some(TOPIC),
            seqs: Some((12, 13)),
            epoch: Some(1),
            message: String::new(),
        };
        // After lost cursors nobody has a gap, and nothing else tells of the loss.
        for (gaps, lost, explained) in [(Some(gap), 2, 2), (None, 4, 0)] {
            let mut tally = Tally::new(9);
            gaps.into_iter().for_each(|gap| tally.violate(gap, 0));
            never_seen(&ledger, TOPIC, &ledger.seqs(), END, &mut tally);
            assert_eq!((tally.count(RULE), tally.rule(RULE).consequences), (lost, explained));
        }
    }

    #[test]
    fn without_a_drain_only_a_client_that_has_all_is_a_case() {
        let mut ledger = Ledger::default();
        (1..=3).for_each(|n| publish(&mut ledger, n));
        (1..=3).for_each(|n| deliver(&mut ledger, n, 10 + u64::from(n)));
        for (has, drained, [lost, judged, open]) in [
            (13, false, [0, 3, 0]),
            (14, false, [0, 3, 0]),
            (12, false, [0, 0, 1]),
            (12, true, [1, 3, 0]),
            (13, true, [0, 3, 0]),
        ] {
            let mut track = Track::default();
            track.begin(1, Some(has));
            let tracks = BTreeMap::from([(TOPIC, track)]);
            let witness = Witness { client: 1, live: true, tracks: &tracks };
            let mut tally = Tally::new(9);
            let end = End { at: 9_000, drained };
            settle(&ledger, &BTreeSet::from([TOPIC]), &[witness], end, &mut tally);
            let found = tally.rule(RULE);
            let found = [found.violations, found.judged, found.undecided];
            assert_eq!(found, [lost, judged, open], "{has} of 13, drained: {drained}");
        }
    }

    #[test]
    fn a_lost_tail_is_named_from_the_seq_after_the_last_that_came() {
        let mut track = Track::default();
        track.begin(1, Some(11));
        let mut tally = Tally::new(9);
        tail_lost(1, TOPIC, &track, 14, END, &mut tally);
        assert_eq!(tally.kept()[0].seqs, Some((12, 14)));
        tail_lost(1, TOPIC, &track, 11, END, &mut tally);
        assert_eq!(tally.count(RULE), 1);
    }
}
