//! `command_over_socket`: clients send a command where only subscriptions may travel.
//!
//! Each target opens a socket of its own beside the one it has, joins, and publishes to a worker of the
//! run as the HTTP command path would have it. It must be refused, and must change nothing.

use serde::Serialize;

use super::{Definition, Exercise, Extent, FaultKind, FaultType, Need};
use crate::model::ActsOn;
use crate::read::fields::Fields;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "command_over_socket",
    summary: "Its targets send a command over a socket of their own beside the one they have.",
    told: |clients, _| format!("{clients} send commands where none are allowed"),
    mend: "Have the service answer a command over the socket as the contract wants it: by an \
           error reply, or by the end of the channel or the socket. One that is dropped without a \
           word cannot be told from one that was taken. Where a request before it failed \
           (`tried_upgrade`, `tried_join`, under Requests), mend that first.",
    acts_on: ActsOn::Clients,
    extent: Extent::Instant,
    by_hand: true,
    exercises: &[Exercise::Commands],
    attributes: &[],
    read,
};

/// Sends a command at an instant, over a socket beside the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CommandOverSocket;

impl Definition for CommandOverSocket {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::Load
    }

    fn opens_asides(&self) -> bool {
        true
    }
}

fn read(_attributes: &mut Fields<'_>) -> Option<FaultKind> {
    Some(CommandOverSocket.into())
}
