//! `restart`: the target's process ends at an instant, and another takes its place.
//!
//! Only of a target that the harness starts itself. Its state is kept in a directory of the run, so
//! that nothing that was acknowledged may be missing afterwards.

use std::time::Duration;

use serde::Serialize;

use super::{Befalls, Definition, Extent, FaultKind, FaultType, Need};
use crate::model::{ActsOn, RestartSignal};
use crate::read::fields::Fields;
use crate::read::key::{Key, Words};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "restart",
    summary: "Ends the target's process and starts it again on the same port, with its state.",
    told: |_, _| "the service is restarted".to_owned(),
    mend: "See under Faults why the target did not come back as another process, and start it by \
           a command that does.",
    acts_on: ActsOn::Target,
    extent: Extent::Instant,
    by_hand: true,
    exercises: &[],
    attributes: &[&SIGNAL],
    read,
};

/// How long it may take: five seconds to end in order, thirteen until all is back where it was.
const TAKES: Duration = Duration::from_secs(20);

/// Ends the target's process at an instant and starts it again, with its state. Only of a target that the
/// harness starts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Restart {
    /// How it ends.
    pub signal: RestartSignal,
}

impl Definition for Restart {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::OwnProcess
    }

    fn hits_everybody(&self) -> bool {
        true
    }

    fn away(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn befalls(&self) -> Option<Befalls> {
        Some(Befalls { after: TAKES, causes: None })
    }
}

const SIGNAL: Key<Words<RestartSignal>> = Key::new(
    "signal",
    Words(&[("term", RestartSignal::Term), ("kill", RestartSignal::Kill)]),
    "signal = \"term\"",
    "`term`: it is asked to end, and closes its sockets with 1012. `kill`: it is given no \
     time, and nobody is told.",
)
.required();

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let signal = attributes.need(&SIGNAL)?;
    Some(Restart { signal }.into())
}
