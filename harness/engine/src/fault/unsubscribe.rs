//! `unsubscribe`: clients give up topics at an instant and subscribe again after a while.
//!
//! Proven by the target's ok replies, which name what remains.

use std::rc::Rc;
use std::time::Duration;

use khala_plan::schedule::PlannedFault;
use khala_wire::topic::TopicId;

use super::{Fault, Proof, Sides, Undo};
use crate::client::orders::{Control, Order};
use crate::clock::micros;

/// The fault.
#[derive(Debug)]
pub struct Unsubscribe {
    /// The topics.
    pub topics: Vec<TopicId>,
    /// How long they stay unsubscribed.
    pub unsubscribed_for: Duration,
}

impl Fault for Unsubscribe {
    fn on_clients(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        for control in targets {
            control.give(Order::Unsubscribe {
                fault: fault.id,
                topics: self.topics.iter().copied().collect(),
                until: fault.at_us + micros(self.unsubscribed_for),
            });
        }
        Undo::nothing()
    }

    fn proven_by_answers(&self) -> bool {
        true
    }

    fn prove(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Proof {
        let (before, after) = (&sides.answers_before, &sides.answers_after);
        let acknowledged = after.unsubscribed.saturating_sub(before.unsubscribed);
        Proof {
            effective: Some(sides.part(acknowledged, fault.targets.len() as u64)),
            how: "unsubscribes that the target acknowledged".to_owned(),
        }
    }
}
