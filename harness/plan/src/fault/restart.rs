//! `restart`: the target's process ends at an instant, and another takes its place.
//!
//! Only of a target that the harness starts itself. Its state is kept in a directory of the run, so
//! that nothing that was acknowledged may be missing afterwards.

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind, RestartSignal};
use crate::read::fields::Fields;
use crate::read::schema::{Key, Shape};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "restart",
    summary: "Ends the target's process and starts it again on the same port, with its state.",
    acts_on: ActsOn::Target,
    extent: Extent::Instant,
    attributes,
    read,
};

const SIGNALS: [(&str, RestartSignal); 2] =
    [("term", RestartSignal::Term), ("kill", RestartSignal::Kill)];

fn attributes() -> Vec<Key> {
    let signal = "`term`: it is asked to end, and closes its sockets with 1012. `kill`: it is given no \
                  time, and nobody is told.";
    vec![Key::new("signal", Shape::words(&SIGNALS), signal).required()]
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let node = attributes.need_node("signal", "signal = \"term\"")?;
    let signal = attributes.cx.keyword("signal", node, &SIGNALS)?;
    Some(FaultKind::Restart { signal })
}
