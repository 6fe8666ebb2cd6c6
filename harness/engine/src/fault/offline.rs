//! `offline`: resets sockets at an instant; the clients stay away and come back with an old cursor.
//!
//! Proven like a disconnect: the target saw the sockets end. That the cursors were as old as wanted
//! is for the oracle to see, from the refusals.

use std::rc::Rc;
use std::time::Duration;

use khala_plan::model::Resume;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof, Sides, Undo, disconnect};
use crate::client::orders::{Control, Order};
use crate::clock::micros;

/// The fault.
#[derive(Debug)]
pub struct Offline {
    /// How long the clients stay away.
    pub offline_for: Duration,
    /// The cursor that they come back with.
    pub resume: Resume,
}

impl Fault for Offline {
    fn on_clients(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        for control in targets {
            control.give(Order::Away {
                fault: fault.id,
                intended: fault.at_us,
                until: fault.at_us + micros(self.offline_for),
                resume: self.resume,
            });
        }
        Undo::nothing()
    }

    fn prove(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Proof {
        disconnect::cut_sockets(fault.targets.len() as u64, sides)
    }
}
