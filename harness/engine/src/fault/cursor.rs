//! `cursor`: closes the sockets of clients at an instant; they come back with a cursor that is not
//! theirs.
//!
//! Proven by the target's answers to subscribes with such a cursor, whatever they are: whether an old
//! one had to be refused is for the oracle to see. A client without a socket, or with less history
//! than the cursor should be old, is not hit.

use std::rc::Rc;
use std::time::Duration;

use khala_plan::model::ChosenCursor;
use khala_plan::schedule::PlannedFault;
use khala_wire::metrics::FanoutMetrics;

use super::{Fault, Proof, Sides, Undo};
use crate::client::orders::{Control, Order};

/// A back-off, a mint, a connect and an answer.
const PROOF: Duration = Duration::from_secs(30);

/// The fault.
#[derive(Debug)]
pub struct Cursor {
    /// The cursor that they come back with.
    pub cursor: ChosenCursor,
}

impl Fault for Cursor {
    fn on_clients(&self, fault: &PlannedFault, targets: &[Rc<Control>]) -> Undo {
        for control in targets {
            let (fault, intended, cursor) = (fault.id, fault.at_us, self.cursor);
            control.give(Order::Cursor { fault, intended, cursor });
        }
        Undo::nothing()
    }

    fn proven_by_answers(&self) -> bool {
        true
    }

    fn prove(&self, fault: &PlannedFault, sides: &Sides<'_>) -> Proof {
        let how = match self.cursor {
            ChosenCursor::StaleBy(_) => {
                // Nothing is counted where the metrics could not be read.
                match refused(sides.after).saturating_sub(refused(sides.before)) {
                    0 => "subscribes with such a cursor that the target answered".to_owned(),
                    refused => format!(
                        "subscribes with such a cursor that the target answered; since then its \
                         metrics count {refused} stale cursors"
                    ),
                }
            }
            ChosenCursor::FutureBy(_) | ChosenCursor::Garbage(_) => {
                "subscribes with such a cursor that the target answered".to_owned()
            }
        };
        sides.tried(fault, &how)
    }

    fn proof_timeout(&self) -> Duration {
        PROOF
    }
}

/// Stale cursors that the target has counted.
fn refused(metrics: &FanoutMetrics) -> u64 {
    let rows = metrics.topic_windows.iter();
    rows.map(|row| row.stale_cursor_budget_exceeded_count + row.stale_cursor_retention_floor_count)
        .sum()
}
