//! `command_over_socket`: clients send a command over a socket beside their own, at an instant.
//!
//! Proven by the target's answers, whatever they are: that they are refusals is for the oracle to see.

use khala_plan::fault::command_over_socket::CommandOverSocket;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof};
use crate::aside::Aside;

impl Fault for CommandOverSocket {
    fn aside(&self, _fault: &PlannedFault) -> Option<Aside> {
        Some(Aside::Command)
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered, "commands that the target answered")
    }
}
