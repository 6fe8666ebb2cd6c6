//! Rule `nonmonotonic`: within one subscription and topic, seq increases from the resume cursor.
//!
//! An identical repeat of what the epoch has delivered is a duplicate and allowed. Constant memory:
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
        Step::Fresh | Step::Redelivered | Step::Repeat => {}
        Step::Undecided => tally.undecided(Rule::Nonmonotonic),
        Step::OutOfOrder => {
            let highest = track.highest.unwrap_or_default();
            let floor = track.floor.unwrap_or_default();
            let seq = delivery.seq;
            let message = if seq <= floor {
                format!("seq {seq} came although the subscription resumed after {floor}")
            } else {
                format!("seq {seq} came after seq {highest}")
            };
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
