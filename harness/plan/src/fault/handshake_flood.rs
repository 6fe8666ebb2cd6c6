//! `handshake_flood`: connections that begin an upgrade and never finish it, held for a while.
//!
//! What a slow network, a broken client or an attacker (slowloris) does. Nobody else may notice: it excuses
//! nothing.

use serde::Serialize;

use super::{Definition, Extent, FaultKind, FaultType};
use crate::model::ActsOn;
use crate::read::fields::Fields;
use crate::read::key::{Key, Within};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "handshake_flood",
    summary: "Opens connections that begin an upgrade and never finish it, and holds them for a while.",
    told: |_, _| "the service is flooded with half-begun connections".to_owned(),
    mend: "Hold fewer connections (`sockets`), or raise what the target, or this machine (`ulimit \
           -n`), takes.",
    acts_on: ActsOn::Target,
    extent: Extent::Interval,
    by_hand: true,
    exercises: &[],
    attributes: &[&SOCKETS],
    read,
};

const SOCKETS: Key<Within<u32>> = Key::new(
    "sockets",
    // Half of the descriptors that a process commonly has.
    Within(1, 10_000),
    "sockets = 200",
    "How many connections, all at once; one that the target ends is opened again.",
)
.unit("connections")
.required();

/// Opens connections that never finish their upgrade, for an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HandshakeFlood {
    /// How many, all at once.
    pub sockets: u32,
}

impl Definition for HandshakeFlood {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn sockets(&self) -> u64 {
        self.sockets.into()
    }
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let sockets = attributes.need(&SOCKETS)?;
    Some(HandshakeFlood { sockets }.into())
}
