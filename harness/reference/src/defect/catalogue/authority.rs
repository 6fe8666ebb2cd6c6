//! Defects of tokens, scopes, revocations and commands.

use super::{Defect, Group, Kind, Per};

/// The group, in the order in which its page shows it.
pub(super) const DEFECTS: &[Defect] = &[
    Defect {
        kind: Kind::CrossTopicLeak,
        group: Group::Authority,
        name: "cross_topic_leak",
        summary: "After one live batch in twenty (probability) comes the newest event of a topic \
                  that the token does not open.",
        per: Per::Batch,
        primary: "authz_leak",
        consequences: &["after_unsubscribe", "gap", "lost_publish", "nonmonotonic", "state_stale"],
        probability: 0.05,
    },
    Defect {
        kind: Kind::ExpiredAccepted,
        group: Group::Authority,
        name: "expired_accepted",
        summary: "An expired token is accepted, on the socket and for snapshots.",
        per: Per::Request,
        primary: "authz_leak",
        consequences: &[],
        probability: 1.0,
    },
    Defect {
        kind: Kind::AlgNoneAccepted,
        group: Group::Authority,
        name: "alg_none_accepted",
        summary: "A token without a signature whose header says `alg: none` is accepted, on the \
                  socket and for snapshots.",
        per: Per::Request,
        primary: "authz_leak",
        consequences: &[],
        probability: 1.0,
    },
    Defect {
        kind: Kind::ClaimsUnchecked,
        group: Group::Authority,
        name: "claims_unchecked",
        summary: "A token of another issuer, for another audience or of another version of the claims is accepted, \
                  on the socket and for snapshots.",
        per: Per::Request,
        primary: "authz_leak",
        consequences: &[],
        probability: 1.0,
    },
    Defect {
        kind: Kind::RevocationIgnored,
        group: Group::Authority,
        name: "revocation_ignored",
        summary: "A revocation is answered as if it had been done, and nothing is done.",
        per: Per::Request,
        primary: "authz_leak",
        consequences: &[],
        probability: 1.0,
    },
    Defect {
        kind: Kind::RevocationForgotten,
        group: Group::Authority,
        name: "revocation_forgotten",
        summary: "A revoked session is let in again after 5 s instead of 900 s.",
        per: Per::Request,
        primary: "authz_leak",
        consequences: &[],
        probability: 1.0,
    },
    Defect {
        kind: Kind::ScopeIgnored,
        group: Group::Authority,
        name: "scope_ignored",
        summary: "A known topic outside of the token's scopes can be subscribed, and its snapshot \
                  taken.",
        per: Per::Request,
        primary: "authz_leak",
        consequences: &[],
        probability: 1.0,
    },
    Defect {
        kind: Kind::CommandObeyed,
        group: Group::Authority,
        name: "command_obeyed",
        summary: "A command that comes over the socket is obeyed and answered ok.",
        per: Per::Request,
        primary: "command_accepted",
        consequences: &["phantom"],
        probability: 1.0,
    },
];
