//! `revoke_sessions`: the target is told to revoke the sessions of clients.
//!
//! Their sockets must end, and nothing may come over them after a grace. The clients stay away for a
//! while, in which the revoked session is tried on sockets of its own: each join must be refused.
//! Then they come back with a new session, as after a new sign-in.

use std::time::Duration;

use serde::Serialize;

use super::{Advice, Definition, Extent, FaultKind, FaultType, HITS_NOBODY, Need, SIGN_OURSELVES};
use crate::model::{ActsOn, Plan, TargetKind};
use crate::read::fields::Fields;
use crate::read::key::{Key, Within};
use crate::schedule::{PlannedFault, Schedule};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "revoke_sessions",
    summary: "Revokes the sessions of its targets, which come back with a new session after a while.",
    told: |clients, n| {
        format!("{clients} {} their sessions revoked", if n == 1 { "has" } else { "have" })
    },
    mend: "See under Requests how `revoke` was answered: the target must have that request, and \
           the run the operators' token.",
    acts_on: ActsOn::Clients,
    extent: Extent::Instant,
    by_hand: true,
    exercises: &[],
    attributes: &[&REVOKED_FOR],
    read,
};

/// Revokes sessions at an instant: the sockets must end, and joins be refused. The clients come back with
/// a new session after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RevokeSessions {
    /// How long they stay away; the revoked session is tried meanwhile.
    #[serde(serialize_with = "crate::units::serialize_duration")]
    pub revoked_for: Duration,
}

impl Definition for RevokeSessions {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::Revocation
    }

    fn away(&self) -> Option<Duration> {
        Some(self.revoked_for)
    }

    fn backs_off(&self) -> bool {
        // They stay away for as long as it says, and then come at once.
        false
    }

    fn is_storm(&self) -> bool {
        false
    }

    fn invites_refusals(&self) -> bool {
        true
    }

    fn acts_for(&self, _plan: &Plan, _duration: Option<Duration>) -> Duration {
        self.revoked_for
    }

    fn opens_asides(&self) -> bool {
        true
    }

    fn advice(&self, _fault: &PlannedFault, plan: &Plan, _schedule: &Schedule) -> Option<Advice> {
        let of_others = matches!(plan.target.kind, TargetKind::Url { .. });
        (of_others && !plan.auth.mint.is_of_planned_identities()).then(|| {
            let what =
                "the harness does not know whose session the clients' tokens are of, so it cannot revoke it";
            Advice::new(what, SIGN_OURSELVES).note(HITS_NOBODY)
        })
    }
}

const REVOKED_FOR: Key<Within<Duration>> = Key::new(
    "revoked_for",
    // A revocation holds for 900 s (contract, section 2).
    Within(Duration::from_millis(1), Duration::from_secs(880)),
    "revoked_for = \"5s\"",
    "How long they stay away; meanwhile the revoked session is tried, at once and by \
     the surface's back-off. It is part of `time_to_recovered`.",
)
.required();

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let revoked_for = attributes.need(&REVOKED_FOR)?;
    Some(RevokeSessions { revoked_for }.into())
}
