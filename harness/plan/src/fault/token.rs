//! `token`: clients try a bad token, which must be refused.
//!
//! Each target tries it on a socket of its own beside the one it has, which stays as it is: a real
//! client would stop for good on a refused token, and the scenario would lose it.

use serde::Serialize;

use super::{Advice, Definition, Extent, FaultKind, FaultType, HITS_NOBODY, Need, SIGN_OURSELVES};
use crate::model::{ActsOn, BadToken, Mint, Plan, TargetKind};
use crate::read::fields::Fields;
use crate::read::key::{Key, Words};
use crate::schedule::{PlannedFault, Schedule};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "token",
    summary: "Its targets try a bad token on a socket of their own beside the one they have.",
    told: |clients, _| format!("{clients} try to come in with bad tokens"),
    mend: "See under Requests how far the bad tokens came (`tried_upgrade`, `tried_join`, \
           `tried_subscribe`): to each an answer is due, a refusal of the upgrade or an error \
           reply.",
    acts_on: ActsOn::Clients,
    extent: Extent::Instant,
    by_hand: true,
    exercises: &[],
    attributes: &[&KIND],
    read,
};

/// Tries a bad token at an instant, on a socket beside the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// What is wrong with it.
    pub kind: BadToken,
}

impl Definition for Token {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::Revocation && matches!(self.kind, BadToken::Revoked | BadToken::RevokedDevice)
    }

    fn opens_asides(&self) -> bool {
        true
    }

    /// Tokens that are not the harness's to make.
    fn advice(&self, _fault: &PlannedFault, plan: &Plan, _schedule: &Schedule) -> Option<Advice> {
        // Of the reference the keys are the harness's own.
        let of_others = matches!(plan.target.kind, TargetKind::Url { .. });
        let cannot = match plan.auth.mint {
            // What was good once the control service mints.
            Mint::Control { .. } => {
                let of_somebody = matches!(self.kind, BadToken::RevokedDevice);
                self.kind.finding().is_none()
                    || (of_somebody && !plan.auth.mint.is_of_planned_identities())
            }
            Mint::Static { .. } => true,
            Mint::Hs256 { .. } => false,
        };
        (of_others && cannot && self.kind.takes_credentials()).then(|| {
            let what = "the harness cannot make such a token: it has no key to sign it with";
            Advice::new(what, SIGN_OURSELVES).note(HITS_NOBODY)
        })
    }
}

const KIND: Key<Words<BadToken>> = Key::new(
    "kind",
    Words(&[
        ("expired", BadToken::Expired),
        ("not_yet_valid", BadToken::NotYetValid),
        ("bad_signature", BadToken::BadSignature),
        ("alg_none", BadToken::AlgNone),
        ("unknown_kid", BadToken::UnknownKid),
        ("no_token", BadToken::NoToken),
        ("no_jwt", BadToken::NoJwt),
        ("other_alg", BadToken::OtherAlg),
        ("missing_kid", BadToken::MissingKid),
        ("wrong_issuer", BadToken::WrongIssuer),
        ("wrong_audience", BadToken::WrongAudience),
        ("wrong_claims_version", BadToken::WrongClaimsVersion),
        ("without_jti", BadToken::WithoutJti),
        ("without_session", BadToken::WithoutSession),
        ("without_device", BadToken::WithoutDevice),
        ("revoked", BadToken::Revoked),
        ("wrong_scope", BadToken::WrongScope),
        ("expires", BadToken::Expires),
        ("revoked_device", BadToken::RevokedDevice),
    ]),
    "kind = \"expired\"",
    "What is wrong with the token. `other_alg`: it is signed with the right key by HS384. `without_jti`, \
     `without_session` and `without_device`: rightly signed, and that claim is not there. `revoked`: it is of a session that the harness makes for \
     this and revokes before. `wrong_scope`: it does not open what the client subscribes \
     to. On two the contract is silent, so that what comes of them is a finding. \
     `expires`: it is good for a few seconds, and the socket that it opened is asked \
     for a heartbeat when it has expired and the settle bound is over. `revoked_device`: it \
     is of a device that the harness makes for this; when the device has been revoked \
     and the settle bound is over, the socket is asked for a heartbeat, and another one \
     tries to join. The others must be refused at the upgrade.",
)
.required();

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let kind = attributes.need(&KIND)?;
    Some(Token { kind }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_called_by_its_name() {
        for &(name, kind) in KIND.kind.0 {
            assert_eq!(kind.name(), name);
            assert_eq!(serde_json::to_value(kind).expect("a word"), name);
        }
    }
}
