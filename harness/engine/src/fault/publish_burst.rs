//! `publish_burst`: the publishers send more than the load says, for a moment.
//!
//! The schedule holds its publishes, and the publishers send them like all others. Proven by the
//! target's acknowledgements of just these.

use std::time::Duration;

use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof, Sides};

/// How long the last acknowledgement may take.
const GRACE: Duration = Duration::from_secs(5);

/// The fault.
#[derive(Debug)]
pub struct PublishBurst {
    /// How many events.
    pub events: u32,
    /// Over how long.
    pub over: Duration,
}

impl Fault for PublishBurst {
    fn proven_by_answers(&self) -> bool {
        true
    }

    fn prove(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Proof {
        let acknowledged = sides.tried(fault, "").effective.unwrap_or_default();
        Proof {
            effective: Some(u64::from(acknowledged >= u64::from(self.events))),
            how: format!("{acknowledged} of {} publishes acknowledged", self.events),
        }
    }

    fn proof_timeout(&self) -> Duration {
        self.over + GRACE
    }
}
