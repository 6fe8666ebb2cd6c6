//! Rule `nonmonotonic`: within one subscription and topic, seq increases from the resume cursor.
//!
//! A repeat of what the epoch has delivered is a duplicate and allowed, and so is what lies at or below
//! the cursor that the client sent: it has that, and applies only what is above (contract, section 1,
//! rule 4). Whether its content is the same is [`bad_duplicate`](super::bad_duplicate)'s. What breaks the
//! rule is a seq that is new to the subscription and comes after a higher one. Constant memory:
//! it reads the [`Track`]'s step and keeps nothing. Cases: deliveries. Undecided: what is older than
//! the track remembers of a state topic.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::track::{Step, Track};
use crate::record::Delivery;

/// Judges one delivery's step.
pub fn on_step(step: Step, delivery: &Delivery, track: &Track, tally: &mut Tally) {
    tally.judged(Rule::Nonmonotonic, u64::from(step != Step::Undecided));
    match step {
        Step::Fresh | Step::Redelivered | Step::Repeat | Step::Overlap => {}
        Step::Undecided => tally.undecided(Rule::Nonmonotonic),
        Step::OutOfOrder => {
            let (highest, seq) = (track.highest.unwrap_or_default(), delivery.seq);
            let message = format!("seq {seq} came after seq {highest}");
            let violation = Violation {
                at_us: delivery.at,
                rule: Rule::Nonmonotonic,
                client: Some(delivery.client),
                topic: Some(delivery.topic),
                seqs: Some((seq, seq)),
                epoch: Some(delivery.epoch),
                message,
            };
            tally.violate(violation, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::TopicId;

    use super::*;
    use crate::record::Source;

    const RULE: Rule = Rule::Nonmonotonic;

    /// A client that resumed after 4 and got 6, and then this.
    fn judged(step: Step, seq: u64) -> Tally {
        let mut track = Track::default();
        track.begin(1, Some(4));
        track.deliver(true, 6, 1);
        let (topic, source) = (TopicId::WORKER_EVENTS, Source::Foreign);
        let delivery = Delivery {
            client: 3,
            epoch: 1,
            topic,
            seq,
            at: 9,
            content: 1,
            hash_fits: true,
            source,
        };
        let mut tally = Tally::new(1);
        on_step(step, &delivery, &track, &mut tally);
        tally
    }

    #[test]
    fn what_is_new_and_comes_after_a_higher_one_is_a_violation() {
        for (seq, message) in [(4, "seq 4 came after seq 6"), (5, "seq 5 came after seq 6")] {
            let tally = judged(Step::OutOfOrder, seq);
            assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
            assert_eq!(tally.kept()[0].message, message);
            assert_eq!(tally.kept()[0].seqs, Some((seq, seq)));
        }
    }

    #[test]
    fn every_other_step_is_in_order_and_what_is_forgotten_is_open() {
        for step in [Step::Fresh, Step::Redelivered, Step::Repeat, Step::Overlap] {
            let tally = judged(step, 7);
            let counted = tally.rule(RULE);
            assert_eq!((tally.total(), counted.judged, counted.undecided), (0, 1, 0));
        }
        let tally = judged(Step::Undecided, 7);
        let counted = tally.rule(RULE);
        assert_eq!((tally.total(), counted.judged, counted.undecided), (0, 0, 1));
    }
}
