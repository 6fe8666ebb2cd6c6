//! Bad tokens: a good one with one thing wrong.

use std::time::Duration;

use khala_evidence::record::BadToken;
use khala_plan::schedule::Identity;
use khala_wire::token::{CLOCK_SKEW_S, Claims, Key, unsigned};
use serde_json::{Value, json};

use crate::target::Credentials;

/// How far a token's time is off, in seconds: beyond any skew that a verifier grants.
const OFF_S: i64 = 10 * CLOCK_SKEW_S;

/// How long ago an expired token ended, in seconds: no skew is granted for `exp` (contract, section 2), and one
/// that is granted for the others (30 s) would let it in. The target's clock is taken to be right to within this.
const EXPIRED_S: i64 = 5;

/// A key id that no ring holds.
const UNKNOWN_KID: &str = "khala-harness-unknown";

/// An issuer that no verifier trusts.
const ELSEWHERE: &str = "https://khala-harness.invalid";

/// An audience that is nobody.
const NOBODY: &str = "khala-harness-nobody";

/// A version of the claims that the contract does not have.
const OTHER_CLAIMS_VERSION: &str = "oa_sync_claims_v0";

/// A text that is no JWT.
const NO_JWT: &str = "a.b.c";

/// A token that is bad in one way; `None` without a key to sign it with where that takes one, or of a kind that
/// the target itself makes bad.
pub fn forge(
    credentials: &Credentials,
    who: &Identity,
    scopes: Vec<String>,
    ttl: Duration,
    kind: BadToken,
) -> Option<String> {
    match kind {
        BadToken::NoToken => return Some(String::new()),
        BadToken::NoJwt => return Some(NO_JWT.to_owned()),
        _ => {}
    }
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
        BadToken::OtherAlg => key.sign_hs384(&claims),
        BadToken::MissingKid => key.sign_as(&json!({ "alg": "HS256", "typ": "JWT" }), &claims),
        BadToken::WrongIssuer => {
            claims.iss = ELSEWHERE.to_owned();
            key.sign(&claims).ok()
        }
        BadToken::WrongAudience => {
            claims.aud = NOBODY.to_owned();
            key.sign(&claims).ok()
        }
        BadToken::WrongClaimsVersion => {
            claims.oa_claims_version = OTHER_CLAIMS_VERSION.to_owned();
            key.sign(&claims).ok()
        }
        BadToken::WithoutJti => key.sign(&without(&claims, "jti")?).ok(),
        BadToken::WithoutSession => key.sign(&without(&claims, "oa_session_id")?).ok(),
        BadToken::WithoutDevice => key.sign(&without(&claims, "oa_device_id")?).ok(),
        BadToken::NoToken
        | BadToken::NoJwt
        | BadToken::Revoked
        | BadToken::WrongScope
        | BadToken::Expires
        | BadToken::RevokedDevice => None,
    }
}

/// Claims with one of them missing.
fn without(claims: &Claims, name: &str) -> Option<Value> {
    let mut claims = serde_json::to_value(claims).ok()?;
    claims.as_object_mut()?.remove(name)?;
    Some(claims)
}

#[cfg(test)]
mod tests {
    use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, Deny, KeyRing};

    use super::*;
    use crate::clock::unix_seconds;

    fn with_key(sync_key: Option<Key>) -> Credentials {
        Credentials {
            sync_key,
            issuer: DEFAULT_ISSUER.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            session_key: None,
            session_token: None,
            static_tokens: Vec::new(),
            signature_secret: None,
            admin_token: None,
        }
    }

    fn somebody() -> Identity {
        Identity {
            number: 0,
            user: "u".into(),
            org: "o".into(),
            session: "s".into(),
            device: "d".into(),
            surface: None,
        }
    }

    #[test]
    fn each_is_refused_for_what_it_is_called_after() {
        let key = Key::new("k", "secret");
        let credentials = with_key(Some(key.clone()));
        let who = somebody();
        let ring = KeyRing::new(vec![key], DEFAULT_ISSUER, DEFAULT_AUDIENCE);
        let ttl = Duration::from_secs(900);
        for (kind, deny) in [
            (BadToken::Expired, Deny::TokenExpired),
            (BadToken::NotYetValid, Deny::TokenNotYetValid),
            (BadToken::BadSignature, Deny::InvalidSignature),
            (BadToken::AlgNone, Deny::UnsupportedAlg),
            (BadToken::UnknownKid, Deny::UnknownKid),
            (BadToken::NoToken, Deny::InvalidTokenFormat),
            (BadToken::NoJwt, Deny::InvalidTokenFormat),
            (BadToken::OtherAlg, Deny::UnsupportedAlg),
            (BadToken::MissingKid, Deny::MissingKid),
            (BadToken::WrongIssuer, Deny::ClaimMismatch),
            (BadToken::WrongAudience, Deny::ClaimMismatch),
            (BadToken::WrongClaimsVersion, Deny::ClaimMismatch),
            (BadToken::WithoutJti, Deny::InvalidClaims),
        ] {
            let token = forge(&credentials, &who, vec![], ttl, kind).expect("has a key");
            assert_eq!(ring.verify(&token, unix_seconds()), Err(deny), "{kind:?}");
        }
        // What the WebSocket lane alone requires is missing, and all else is right.
        for (kind, bound) in [
            (BadToken::WithoutSession, (None, Some("d"))),
            (BadToken::WithoutDevice, (Some("s"), None)),
        ] {
            let token = forge(&credentials, &who, vec![], ttl, kind).expect("has a key");
            let claims = ring.verify(&token, unix_seconds()).expect("right but for the lane's");
            let has = (claims.oa_session_id.as_deref(), claims.oa_device_id.as_deref());
            assert_eq!(has, bound, "{kind:?}");
        }
    }

    #[test]
    fn what_takes_no_key_is_made_without_one() {
        let credentials = with_key(None);
        let who = somebody();
        let ttl = Duration::from_secs(900);
        for kind in [BadToken::NoToken, BadToken::NoJwt, BadToken::WrongIssuer] {
            let made = forge(&credentials, &who, vec![], ttl, kind).is_some();
            assert_eq!(made, !kind.takes_credentials(), "{kind:?}");
        }
    }
}
