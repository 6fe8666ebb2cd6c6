//! Rule `divergent_value`: all clients agree on the content of (topic, seq); it fits its hash, and
//! it is what was published.
//!
//! Settled at the merge, from the ledger: the right content is the one that fits its hash and the
//! ledger, and among several of those the one most often delivered, or else one that did not only come
//! again. Every delivery of another content is a violation; the first of each content is kept. A wrong content that only ever came as
//! a repeat or redelivery is `bad_duplicate`'s. An update without a payload has no content to judge. Cases: deliveries. Nothing is undecided.

use std::collections::BTreeMap;

use super::ledger::{Content, Ledger, Misnamed};
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Micros, NO_CONTENT, PublishId, Source};

/// Kind of breach: the payload is not what its hash says, and otherwise what everybody got.
pub const HASH: &str = "hash";
/// Kind of breach: the acknowledgement is of another event.
pub const ACKNOWLEDGEMENT: &str = "acknowledgement";

fn fits(content: &Content, ledger: &Ledger) -> bool {
    let published = match content.source {
        Source::Event { publish, intended: Some(_), payload, .. } => {
            ledger.acknowledged().get(&publish).is_none_or(|entry| entry.payload == payload)
        }
        _ => true,
    };
    // Real runtimes carry rows of others whose hash was never right (six of the recording's): only
    // what we published must fit, or a correct runtime would be condemned for its history.
    (content.hash_fits || content.source.is_foreign()) && published
}

/// The right one of the contents of a place; one without a payload only where there is no other.
pub(super) fn right_content(contents: &BTreeMap<u64, Content>, ledger: &Ledger) -> Option<u64> {
    let only = contents.len() == 1;
    contents
        .iter()
        .filter(|(digest, content)| (only || **digest != NO_CONTENT) && fits(content, ledger))
        .max_by_key(|(digest, content)| {
            let for_the_first_time = content.again < content.deliveries;
            (content.deliveries, for_the_first_time, std::cmp::Reverse(**digest))
        })
        .map(|(&digest, _)| digest)
}

/// Judges all that was seen.
pub fn settle(ledger: &Ledger, tally: &mut Tally) {
    for (&(topic, seq), contents) in ledger.seen() {
        let told = || contents.iter().filter(|(digest, _)| **digest != NO_CONTENT);
        tally.judged(Rule::DivergentValue, told().map(|(_, content)| content.deliveries).sum());
        let right = right_content(contents, ledger);
        for (&digest, content) in told().filter(|(digest, _)| Some(**digest) != right) {
            if content.again == content.deliveries {
                continue;
            }
            let why = if !content.hash_fits && !content.source.is_foreign() {
                "does not fit its payload_hash"
            } else if !fits(content, ledger) {
                "is not what was published"
            } else {
                "is not what other clients got"
            };
            let violation = Violation {
                at_us: content.first.0,
                rule: Rule::DivergentValue,
                client: Some(content.first.1),
                topic: Some(topic),
                seqs: Some((seq, seq)),
                epoch: None,
                message: format!(
                    "the content of seq {seq} (digest {digest:016x}, {} deliveries) {why}",
                    content.deliveries
                ),
            };
            // Whoever got it got the same: what is wrong is the hash.
            let kind = if right.is_none() && !content.hash_fits { HASH } else { "" };
            tally.violate_as_many(kind, violation, content.deliveries - 1);
        }
    }
}

/// An acknowledgement that named another seq than the event shows: one of the two is not what was published.
pub fn misnamed(misnamed: &Misnamed, tally: &mut Tally) {
    let Misnamed { at, publish, topic, seq, worker, said, shown } = *misnamed;
    let what = match publish {
        PublishId::Planned(n) => format!("publish {n}"),
        _ => "a command".to_owned(),
    };
    let message = format!(
        "{what} was acknowledged as event {said} of worker {worker}, and what came out of it (seq {seq} of \
         {}) says that it is event {shown}",
        topic.name()
    );
    tally.judged(Rule::DivergentValue, 1);
    let (rule, topic, seqs) = (Rule::DivergentValue, Some(topic), Some((seq, seq)));
    let violation = Violation { at_us: at, rule, client: None, topic, seqs, epoch: None, message };
    tally.violate_as(ACKNOWLEDGEMENT, violation);
}

/// A command was acknowledged as another one, or as another worker's.
pub fn misacknowledged(at_us: Micros, command: &str, why: &str, tally: &mut Tally) {
    let message = format!("{command} was acknowledged as {why}");
    tally.judged(Rule::DivergentValue, 1);
    let (rule, client, topic, seqs) = (Rule::DivergentValue, None, None, None);
    let violation = Violation { at_us, rule, client, topic, seqs, epoch: None, message };
    tally.violate_as(ACKNOWLEDGEMENT, violation);
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::TopicId;

    use super::*;
    use crate::oracle::ledger::Manner;
    use crate::record::{Delivery, PublishId, Published};
    use crate::testing;

    const TOPIC: TopicId = TopicId::WORKER_EVENTS;

    fn delivery(content: u64, hash_fits: bool, source: Source) -> Delivery {
        Delivery { client: 3, epoch: 1, topic: TOPIC, seq: 5, at: 9, content, hash_fits, source }
    }

    #[test]
    fn a_command_that_is_acknowledged_as_another_one_is_no_content_of_anybodys() {
        let mut tally = Tally::new(5);
        misacknowledged(9, "publish 7", "publish 8", &mut tally);
        let of = tally.rule(Rule::DivergentValue);
        assert_eq!((of.violations, of.judged), (1, 1));
        let kinds: Vec<_> = of.kinds.keys().map(ToString::to_string).collect();
        assert_eq!(kinds, [ACKNOWLEDGEMENT]);
        let kept = &tally.kept()[0];
        assert_eq!((kept.at_us, kept.client), (9, None));
        assert_eq!(kept.message, "publish 7 was acknowledged as publish 8");
    }

    /// The messages about contents of one seq, each as often as it says, new or again.
    fn said(contents: &[(Delivery, u32, bool)]) -> Vec<String> {
        let mut ledger = Ledger::default();
        ledger.publish(&Published {
            payload: 7,
            ..testing::published(PublishId::Planned(1), 0, [1, 2], Some(1))
        });
        for &(delivery, times, again) in contents {
            (0..times).for_each(|_| {
                ledger.deliver_as(&delivery, Manner { again, live: true, spread_to: None })
            });
        }
        let mut tally = Tally::new(9);
        settle(&ledger, &mut tally);
        tally.kept().iter().map(|violation| violation.message.clone()).collect()
    }

    fn event(payload: u64) -> Source {
        let publish = PublishId::Planned(1);
        Source::Event { publish, intended: Some(1), begun: Some(1), payload, worker_seq: None }
    }

    #[test]
    fn a_wrong_content_is_named_by_what_is_wrong_with_it() {
        let right = (delivery(1, true, event(7)), 3, false);
        for (wrong, why) in [
            (delivery(2, true, event(8)), "is not what was published"),
            (delivery(2, false, event(7)), "does not fit its payload_hash"),
            (delivery(2, true, event(7)), "is not what other clients got"),
            (delivery(2, true, Source::Foreign), "is not what other clients got"),
            (delivery(2, false, Source::Foreign), "is not what other clients got"),
        ] {
            let said = said(&[right, (wrong, 1, false)]);
            assert_eq!(said.len(), 1);
            assert!(said[0].ends_with(why), "{said:?}");
            assert!(said[0].starts_with("the content of seq 5 "), "{said:?}");
        }
    }

    #[test]
    fn a_hash_that_is_wrong_for_everybody_is_a_kind_of_its_own() {
        let kinds = |contents: &[(u64, bool, Source)]| {
            let mut ledger = Ledger::default();
            for &(content, hash_fits, source) in contents {
                let manner = Manner { again: false, live: true, spread_to: None };
                (0..3)
                    .for_each(|_| ledger.deliver_as(&delivery(content, hash_fits, source), manner));
            }
            let mut tally = Tally::new(9);
            settle(&ledger, &mut tally);
            let kinds = tally.rule(Rule::DivergentValue).kinds;
            kinds
                .into_iter()
                .map(|(kind, it)| (kind.to_string(), it.violations))
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(&[(2, false, event(7))]), [(HASH.to_owned(), 3)]);
        assert_eq!(kinds(&[(1, true, event(7)), (2, false, event(7))]), [], "others got it right");
        assert_eq!(kinds(&[(1, true, event(7))]), []);
    }

    #[test]
    fn an_update_without_a_payload_is_held_against_nothing() {
        let pointer = (delivery(NO_CONTENT, true, event(0)), 5, false);
        let right = (delivery(1, true, event(7)), 1, false);
        assert_eq!(said(&[pointer, right]), Vec::<String>::new());
        assert_eq!(said(&[pointer]), Vec::<String>::new());
        let wrong = (delivery(2, false, event(7)), 1, false);
        assert_eq!(said(&[pointer, right, wrong]).len(), 1, "the others are judged");
    }

    #[test]
    fn of_two_contents_as_frequent_the_right_one_is_that_which_somebody_got_first() {
        // The lower digest would win, if it were not only a repetition.
        let (low, high) = (delivery(1, true, event(7)), delivery(2, true, event(7)));
        assert_eq!(said(&[(low, 2, true), (high, 2, false)]), Vec::<String>::new());
        assert_eq!(said(&[(low, 2, false), (high, 2, true)]), Vec::<String>::new());
        assert_eq!(said(&[(low, 2, false), (high, 2, false)]).len(), 1);
    }
}
