//! `unsubscribe`: clients give up topics at an instant and subscribe again after a while.
//!
//! Proven by the target's replies, whatever they are: that nothing of the topic follows one that
//! acknowledges is for the oracle to see.

use std::rc::Rc;

use khala_plan::fault::unsubscribe::Unsubscribe;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof, Undo};
use crate::client::orders::{Control, Order};
use crate::clock::micros;

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

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered, "unsubscribes that the target answered, one way or another")
    }
}
