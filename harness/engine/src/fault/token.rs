//! `token`: clients try a bad token on a socket beside their own, at an instant.
//!
//! Proven by the target's answers, whatever they are: a bad token that was accepted has been presented
//! for sure, and that it is refused is for the oracle to see.

use khala_plan::fault::token::Token;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof};
use crate::aside::Aside;

impl Fault for Token {
    fn aside(&self, _fault: &PlannedFault) -> Option<Aside> {
        Some(Aside::Token(self.kind))
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered, "bad tokens that the target answered, one way or another")
    }
}
