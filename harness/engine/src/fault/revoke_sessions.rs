//! `revoke_sessions`: the target is told to revoke the sessions of clients, at an instant.
//!
//! Proven by the target's acknowledgement: that revoked sessions are refused, and their sockets end, is
//! for the oracle to see.

use khala_plan::fault::revoke_sessions::RevokeSessions;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof};
use crate::aside::Aside;
use crate::clock::micros;

impl Fault for RevokeSessions {
    fn aside(&self, fault: &PlannedFault) -> Option<Aside> {
        Some(Aside::Revoke { until: fault.at_us + micros(self.revoked_for) })
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered, "sessions whose revocation the target acknowledged")
    }
}
