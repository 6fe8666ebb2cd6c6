//! Rule `divergent_value`: all clients agree on the content of (topic, seq); it fits its hash, and
//! it is what was published.
//!
//! Settled at the merge, from the ledger: the right content is the one that fits its hash and the
//! ledger, and among several of those the one most often delivered, or else one that did not only come
//! again. Every delivery of another content is a violation; the first of each content is kept. A wrong content that only ever came as
//! a repeat or redelivery is `bad_duplicate`'s. Cases: deliveries. Nothing is undecided.

use std::collections::BTreeMap;

use super::ledger::{Content, Ledger};
use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::Source;

fn fits(content: &Content, ledger: &Ledger) -> bool {
    let published = match content.source {
        Source::Event { publish, intended: Some(_), payload, .. } => {
            ledger.acknowledged().get(&publish).is_none_or(|entry| entry.payload == payload)
        }
        _ => true,
    };
    // Real runtimes carry rows of others whose hash was never right (six of the recording's): only
    // what we published must fit, or a correct runtime would be condemned for its history.
    (content.hash_fits || content.source == Source::Foreign) && published
}

pub(super) fn right_content(contents: &BTreeMap<u64, Content>, ledger: &Ledger) -> Option<u64> {
    contents
        .iter()
        .filter(|(_, content)| fits(content, ledger))
        .max_by_key(|(digest, content)| {
            let for_the_first_time = content.again < content.deliveries;
            (content.deliveries, for_the_first_time, std::cmp::Reverse(**digest))
        })
        .map(|(&digest, _)| digest)
}

/// Judges all that was seen.
pub fn settle(ledger: &Ledger, tally: &mut Tally) {
    for (&(topic, seq), contents) in ledger.seen() {
        tally.judged(Rule::DivergentValue, contents.values().map(|c| c.deliveries).sum());
        let right = right_content(contents, ledger);
        for (&digest, content) in contents.iter().filter(|(digest, _)| Some(**digest) != right) {
            if content.again == content.deliveries {
                continue;
            }
            let why = if !content.hash_fits && content.source != Source::Foreign {
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
            tally.violate(violation, content.deliveries - 1);
        }
    }
}
