//! `publish_burst`: the publishers send more than the load says, for a moment.
//!
//! The schedule holds its publishes, and the publishers send them like all others. Proven by the
//! target's acknowledgements of just these.

use khala_plan::fault::publish_burst::PublishBurst;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof};

impl Fault for PublishBurst {
    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof {
            effective: u64::from(answered >= u64::from(self.events)),
            how: format!("{answered} of {} publishes acknowledged", self.events),
        }
    }
}
