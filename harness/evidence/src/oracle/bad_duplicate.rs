//! Rule `bad_duplicate`: what is delivered again has the content that it had, and no publish comes
//! out under two seqs of a stream.
//!
//! Settled at the merge, from the ledger. A content that is not the right one of its seq and only
//! ever came as a repeat or redelivery is a bad duplicate; one that somebody also got fresh is
//! `divergent_value`'s. Of a publish seen under two seqs the lower is the right one; an event of others is
//! known by its content, which names worker and number (contract, section 3: of a worker's events alone).
//! Cases: repeats and redeliveries. Nothing is undecided.

use std::collections::BTreeMap;

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::divergent_value::right_content;
use super::ledger::{Content, Ledger};
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{NO_CONTENT, PublishId, Source};

fn violation(topic: TopicId, seq: u64, content: &Content, message: String) -> Violation {
    Violation {
        at_us: content.first.0,
        rule: Rule::BadDuplicate,
        client: Some(content.first.1),
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: None,
        message,
    }
}

/// By what a publish is known again.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Publish(PublishId),
    Content(u64),
}

impl Identity {
    fn of(topic: TopicId, digest: u64, content: &Content) -> Option<Self> {
        match content.source {
            Source::Event { publish, .. } => Some(Self::Publish(publish)),
            Source::Foreign if topic == TopicId::WORKER_EVENTS && digest != NO_CONTENT => {
                Some(Self::Content(digest))
            }
            _ => None,
        }
    }
}

/// Judges all that was seen.
pub fn settle(ledger: &Ledger, tally: &mut Tally) {
    let mut first_seq: BTreeMap<(TopicId, Identity), u64> = BTreeMap::new();
    for (&(topic, seq), contents) in ledger.seen() {
        let told = || contents.iter().filter(|(digest, _)| **digest != NO_CONTENT);
        tally.judged(Rule::BadDuplicate, told().map(|(_, content)| content.again).sum());
        let right = right_content(contents, ledger);
        for (&digest, content) in told() {
            if Some(digest) != right && content.again == content.deliveries {
                let message = format!(
                    "seq {seq} came again with another content (digest {digest:016x}, {} times)",
                    content.deliveries
                );
                let extra = content.deliveries.saturating_sub(1);
                tally.violate(violation(topic, seq, content, message), extra);
            }
        }
        if topic.kind() != TopicKind::Stream {
            continue;
        }
        let right = right.and_then(|right| Some((right, contents.get(&right)?)));
        let Some((digest, content)) = right else { continue };
        let Some(publish) = Identity::of(topic, digest, content) else { continue };
        // Seqs come in order, so the first is the lowest.
        let first = *first_seq.entry((topic, publish)).or_insert(seq);
        if first != seq {
            let message = format!("what came out as seq {first} came out again as seq {seq}");
            tally.violate(violation(topic, seq, content, message), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::divergent_value;
    use super::super::ledger::Manner;
    use super::*;
    use crate::record::Delivery;

    const TOPIC: TopicId = TopicId::WORKER_EVENTS;

    /// Deliveries as (seq, publish, content, again).
    fn judged(list: &[(u64, u32, u64, bool)]) -> Tally {
        let mut ledger = Ledger::default();
        for (&(seq, publish, content, again), at) in list.iter().zip(0..) {
            let source = Source::Event {
                publish: PublishId::Planned(publish),
                intended: Some(0),
                begun: Some(0),
                payload: 0,
                worker_seq: None,
            };
            let delivery = Delivery {
                client: 0,
                epoch: 1,
                topic: TOPIC,
                seq,
                at,
                content,
                hash_fits: true,
                source,
            };
            ledger.deliver_as(&delivery, Manner { again, live: false, spread_to: None });
        }
        let mut tally = Tally::new(5);
        settle(&ledger, &mut tally);
        divergent_value::settle(&ledger, &mut tally);
        tally
    }

    #[test]
    fn an_identical_duplicate_is_accepted_and_another_content_is_not() {
        let tally = judged(&[(5, 1, 77, false), (5, 1, 77, false), (5, 1, 77, true)]);
        assert_eq!((tally.total(), tally.rule(Rule::BadDuplicate).judged), (0, 1));
        let tally = judged(&[(5, 1, 77, false), (5, 1, 77, false), (5, 1, 78, true)]);
        assert_eq!((tally.total(), tally.count(Rule::BadDuplicate)), (1, 1));
    }

    #[test]
    fn a_wrong_content_that_somebody_got_fresh_is_divergent() {
        let list = [(5, 1, 77, false), (5, 1, 77, false), (5, 1, 77, false)];
        let tally = judged(&[&list[..], &[(5, 1, 78, true), (5, 1, 78, false)]].concat());
        assert_eq!(tally.count(Rule::BadDuplicate), 0);
        assert_eq!(tally.count(Rule::DivergentValue), 2);
    }

    #[test]
    fn an_event_of_others_under_two_seqs_is_known_by_its_content() {
        let broken = |topic, content| {
            let mut ledger = Ledger::default();
            for seq in [5, 6, 7] {
                let content = if seq == 6 { 78 } else { content };
                let source = Source::Foreign;
                let (client, epoch, at, hash_fits) = (0, 1, seq, true);
                let delivery =
                    Delivery { client, epoch, topic, seq, at, content, hash_fits, source };
                let manner = Manner { again: false, live: false, spread_to: None };
                ledger.deliver_as(&delivery, manner);
            }
            let mut tally = Tally::new(5);
            settle(&ledger, &mut tally);
            let seqs = tally.kept().first().and_then(|kept| kept.seqs);
            (tally.count(Rule::BadDuplicate), seqs)
        };
        assert_eq!(broken(TOPIC, 77), (1, Some((7, 7))));
        assert_eq!(broken(TOPIC, NO_CONTENT), (0, None), "a pointer says nothing");
        assert_eq!(broken(TopicId::NOTIFICATIONS, 77), (0, None), "these may be alike");
    }

    #[test]
    fn a_publish_under_two_seqs_is_a_violation() {
        let tally = judged(&[(5, 1, 77, false), (6, 2, 78, false), (7, 1, 79, false)]);
        assert_eq!((tally.total(), tally.count(Rule::BadDuplicate)), (1, 1));
        assert_eq!(tally.kept()[0].seqs, Some((7, 7)));
    }
}
