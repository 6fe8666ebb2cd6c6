//! `command_over_socket`: clients send a command where only subscriptions may travel.
//!
//! Each target opens a socket of its own beside the one it has, joins, and publishes to a worker of the
//! run as the HTTP command path would have it. It must be refused, and must change nothing.

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind};
use crate::read::fields::Fields;
use crate::read::schema::Key;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "command_over_socket",
    summary: "Its targets send a command over a socket of their own beside the one they have.",
    acts_on: ActsOn::Clients,
    extent: Extent::Instant,
    attributes,
    read,
};

fn attributes() -> Vec<Key> {
    Vec::new()
}

fn read(_attributes: &mut Fields<'_>) -> Option<FaultKind> {
    Some(FaultKind::CommandOverSocket)
}
