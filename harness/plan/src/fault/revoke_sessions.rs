//! `revoke_sessions`: the target is told to revoke the sessions of clients.
//!
//! Their sockets must end, and nothing may come over them after a grace. The clients stay away for a
//! while, in which the revoked session is tried on sockets of its own: each join must be refused.
//! Then they come back with a new session, as after a new sign-in.

use std::time::Duration;

use super::{Extent, FaultType};
use crate::model::{ActsOn, FaultKind};
use crate::read::fields::Fields;
use crate::read::schema::{Key, Shape};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "revoke_sessions",
    summary: "Revokes the sessions of its targets, which come back with a new session after a while.",
    acts_on: ActsOn::Clients,
    extent: Extent::Instant,
    attributes,
    read,
};

/// A revocation holds for 900 s (contract, section 2).
const REVOKED_FOR: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(880);

fn attributes() -> Vec<Key> {
    let revoked_for = "How long they stay away; meanwhile the revoked session is tried, at once and by \
                       the surface's back-off.";
    vec![Key::new("revoked_for", Shape::Duration(REVOKED_FOR), revoked_for).required()]
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let revoked_for = attributes.need_within("revoked_for", "revoked_for = \"5s\"", REVOKED_FOR)?;
    Some(FaultKind::RevokeSessions { revoked_for })
}
