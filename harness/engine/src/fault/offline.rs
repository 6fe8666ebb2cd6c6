//! `offline`: resets sockets at an instant; the clients stay away and come back with an old cursor.
//!
//! With the cursor that the clients have it is proven like a disconnect. With one that is chosen, by
//! new upgrades of clients for which there was such a cursor: where the target tells its windows neither by
//! metrics nor by a refusal there is none, and they come back with what they have.

use std::rc::Rc;

use khala_plan::fault::offline::Offline;
use khala_plan::model::Resume;
use khala_plan::schedule::PlannedFault;

use super::{Counted, Fault, Proof, ShownBy, Sides, Undo, disconnect};
use crate::client::orders::{Comeback, Control, Order, Parting};
use crate::clock::micros;

impl Fault for Offline {
    fn on_clients(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        for control in targets {
            let until = fault.at_us + micros(self.offline_for);
            control.give(Order::Cut {
                fault: fault.id,
                intended: fault.at_us,
                parting: Parting::Reset,
                comeback: Comeback::At { until, resume: self.resume },
            });
        }
        Undo::nothing()
    }

    fn counted_as(&self) -> Counted {
        Counted::Disconnects
    }

    fn shown_by(&self) -> &'static [ShownBy] {
        match self.resume {
            Resume::Kept => &[ShownBy::Metrics, ShownBy::Answers],
            // A socket that ended says nothing of the cursor.
            _ => &[ShownBy::Answers],
        }
    }

    fn by_metrics(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Option<Proof> {
        disconnect::cut_sockets(fault.targets.len() as u64, sides)
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        match self.resume {
            Resume::Kept => Proof::of(answered, disconnect::RETURNED),
            _ => Proof::of(answered, "new upgrades by clients that had such a cursor"),
        }
    }
}
