//! `token`: clients try a bad token on a socket beside their own, at an instant.
//!
//! Proven by the target's answers, whatever they are: that they are refusals is for the oracle to see.

use khala_evidence::record::BadToken;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof, Sides};
use crate::aside::Aside;

/// The fault.
#[derive(Debug)]
pub struct Token {
    /// What is wrong with it.
    pub kind: BadToken,
}

impl Fault for Token {
    fn aside(&self, _fault: &PlannedFault) -> Option<Aside> {
        Some(Aside::Token(self.kind))
    }

    fn proven_by_answers(&self) -> bool {
        true
    }

    fn prove(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Proof {
        sides.tried(fault, "bad tokens that the target answered")
    }
}
