//! Rule `state_regress`: a document's version never goes back as the topic's seq goes on.
//!
//! Looks at fresh deliveries only: above everything that the client had, so that what a resume from
//! an older cursor brings again is not held against it. Versions may be skipped and may stay. Cases:
//! fresh deliveries of a document that the client had a version of. Undecided: of documents of others
//! beyond [`DOCUMENTS_MAX`] a client. Memory: one version for each topic and worker, and for each of those.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::Delivery;

/// Documents of others followed at a client.
pub const DOCUMENTS_MAX: usize = 2_048;

/// Judges a fresh delivery of `version`, against the one that the client has.
pub fn on_fresh(delivery: &Delivery, whose: &str, version: u64, known: u64, tally: &mut Tally) {
    tally.judged(Rule::StateRegress, 1);
    if version >= known {
        return;
    }
    let Delivery { client, topic, seq, at, epoch, .. } = *delivery;
    let violation = Violation {
        at_us: at,
        rule: Rule::StateRegress,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: Some(epoch),
        message: format!(
            "seq {seq} has version {version} of {whose} document; the client had {known}"
        ),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Source;

    #[test]
    fn a_version_may_stay_or_grow_but_not_go_back() {
        let source = Source::State { worker: 1, version: 4 };
        let delivery = Delivery {
            client: 0,
            epoch: 1,
            topic: khala_wire::topic::TopicId::WORKER_SUMMARIES,
            seq: 9,
            at: 5,
            content: 1,
            hash_fits: true,
            source,
        };
        let mut tally = Tally::new(5);
        for known in [3, 4] {
            on_fresh(&delivery, "its", 4, known, &mut tally);
        }
        assert_eq!(tally.total(), 0);
        on_fresh(&delivery, "its", 4, 5, &mut tally);
        assert_eq!(tally.count(Rule::StateRegress), 1);
        assert_eq!(tally.rule(Rule::StateRegress).judged, 3);
    }
}
