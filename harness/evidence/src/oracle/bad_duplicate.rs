//! Rule `bad_duplicate`: what is delivered again has the content that it had, and no publish comes
//! out under two seqs of a stream.
//!
//! Settled at the merge, from the ledger. A content that is not the right one of its seq and only
//! ever came as a repeat or redelivery is a bad duplicate; one that somebody also got fresh is
//! `divergent_value`'s. Of a publish seen under two seqs the lower is the right one. Cases: repeats
//! and redeliveries. Nothing is undecided.

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

/// Judges all that was seen.
pub fn settle(ledger: &Ledger, tally: &mut Tally) {
    let mut first_seq: BTreeMap<(TopicId, PublishId), u64> = BTreeMap::new();
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
        let Some(content) = right.and_then(|right| contents.get(&right)) else { continue };
        let Source::Event { publish, .. } = content.source else { continue };
        if topic.kind() != TopicKind::Stream {
            continue;
        }
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
    fn a_publish_under_two_seqs_is_a_violation() {
        let tally = judged(&[(5, 1, 77, false), (6, 2, 78, false), (7, 1, 79, false)]);
        assert_eq!((tally.total(), tally.count(Rule::BadDuplicate)), (1, 1));
        assert_eq!(tally.kept()[0].seqs, Some((7, 7)));
    }
}
