//! `revoke_sessions`: the target is told to revoke the sessions of clients, at an instant.
//!
//! Proven by the target's answers when a revoked session is tried, whatever they are: that they are
//! refusals, and that the sockets end, is for the oracle to see.

use std::time::Duration;

use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof, Sides};
use crate::aside::Aside;
use crate::clock::micros;

/// The fault.
#[derive(Debug)]
pub struct RevokeSessions {
    /// How long the clients stay away.
    pub revoked_for: Duration,
}

impl Fault for RevokeSessions {
    fn aside(&self, fault: &PlannedFault) -> Option<Aside> {
        Some(Aside::Revoke { until: fault.at_us + micros(self.revoked_for) })
    }

    fn proven_by_answers(&self) -> bool {
        true
    }

    fn prove(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Proof {
        sides.tried(fault, "revoked sessions whose first try the target answered")
    }
}
