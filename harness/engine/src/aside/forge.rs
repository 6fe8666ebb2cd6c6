//! Bad tokens: a good one with one thing wrong.

use std::time::Duration;

use khala_evidence::record::BadToken;
use khala_plan::schedule::Identity;
use khala_wire::token::{CLOCK_SKEW_S, Key, unsigned};

use crate::target::Credentials;

/// How far a token's time is off, in seconds: beyond any skew that a verifier grants.
const OFF_S: i64 = 10 * CLOCK_SKEW_S;

/// How long ago an expired token ended, in seconds: no skew is granted for `exp` (contract, section 2), and one
/// that is granted for the others (30 s) would let it in. The target's clock is taken to be right to within this.
const EXPIRED_S: i64 = 5;

/// A key id that no ring holds.
const UNKNOWN_KID: &str = "khala-harness-unknown";

/// A token that is bad in one way; `None` without a key to sign it with, or of a kind that the target
/// itself makes bad.
pub fn forge(
    credentials: &Credentials,
    who: &Identity,
    scopes: Vec<String>,
    ttl: Duration,
    kind: BadToken,
) -> Option<String> {
    let key = credentials.sync_key.as_ref()?;
    let mut claims = credentials.claims(who, scopes, ttl, format!("{}-bad", who.session));
    match kind {
        BadToken::Expired => {
            let life = claims.exp - claims.iat;
            claims.exp = claims.iat - EXPIRED_S;
            claims.iat = claims.exp - life;
            claims.nbf = claims.iat;
            key.sign(&claims).ok()
        }
        BadToken::NotYetValid => {
            claims.iat += OFF_S;
            claims.nbf = claims.iat;
            claims.exp += OFF_S;
            key.sign(&claims).ok()
        }
        BadToken::BadSignature => {
            Key::new(key.kid(), "a secret that no verifier has").sign(&claims).ok()
        }
        BadToken::AlgNone => unsigned(key.kid(), &claims),
        BadToken::UnknownKid => key.renamed(UNKNOWN_KID).sign(&claims).ok(),
        BadToken::Revoked | BadToken::WrongScope | BadToken::Expires | BadToken::RevokedDevice => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, Deny, KeyRing};

    use super::*;
    use crate::clock::unix_seconds;

    #[test]
    fn each_is_refused_for_what_it_is_called_after() {
        let key = Key::new("k", "secret");
        let credentials = Credentials {
            sync_key: Some(key.clone()),
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            session_key: None,
            session_token: None,
            static_tokens: Vec::new(),
            signature_secret: None,
            admin_token: None,
        };
        let who = Identity {
            number: 0,
            user: "u".into(),
            org: "o".into(),
            session: "s".into(),
            device: "d".into(),
            surface: None,
        };
        let ring = KeyRing::new(vec![key], DEFAULT_ISSUER, DEFAULT_AUDIENCE);
        let ttl = Duration::from_secs(900);
        for (kind, deny) in [
            (BadToken::Expired, Deny::TokenExpired),
            (BadToken::NotYetValid, Deny::TokenNotYetValid),
            (BadToken::BadSignature, Deny::InvalidSignature),
            (BadToken::AlgNone, Deny::UnsupportedAlg),
            (BadToken::UnknownKid, Deny::UnknownKid),
        ] {
            let token = forge(&credentials, &who, vec![], ttl, kind).expect("has a key");
            assert_eq!(ring.verify(&token, unix_seconds()), Err(deny), "{kind:?}");
        }
    }
}
