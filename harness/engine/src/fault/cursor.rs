//! `cursor`: closes the sockets of clients at an instant; they come back with a cursor that is not
//! theirs.
//!
//! Proven by the target's answers to subscribes with such a cursor, whatever they are: whether an old
//! one had to be refused is for the oracle to see. A client without a socket, or with less history
//! than the cursor should be old, is not hit.

use std::rc::Rc;

use khala_plan::fault::cursor::Cursor;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Proof, Undo};
use crate::client::orders::{Comeback, Control, Order, Parting};
use crate::session::Goodbye;

impl Fault for Cursor {
    fn on_clients(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        for control in targets {
            let (fault, intended) = (fault.id, fault.at_us);
            let parting = Parting::Goodbye(Goodbye::InOrder);
            let comeback = Comeback::With(self.cursor);
            control.give(Order::Cut { fault, intended, parting, comeback });
        }
        Undo::nothing()
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered, "subscribes with such a cursor that the target answered")
    }
}
