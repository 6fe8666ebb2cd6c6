//! Who a sync token is from: the verifier's verdict, and those that defects overrule.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use khala_wire::token::{CLAIMS_VERSION, Claims, Deny, KeyRing};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::clock;
use crate::defect::{Defects, Kind};

/// Verifies a sync token as of now.
///
/// # Errors
/// The first deny code that applies.
pub fn verify(keys: &KeyRing, defects: &Defects, token: &str) -> Result<Claims, Deny> {
    let now = clock::unix_s();
    let verdict = keys.verify(token, now);
    let (kind, overruled) = match verdict {
        Err(Deny::TokenExpired) => (Kind::ExpiredAccepted, expired(keys, token)),
        Err(Deny::UnsupportedAlg) => (Kind::AlgNoneAccepted, unsigned(keys, token, now)),
        Err(Deny::ClaimMismatch) => (Kind::ClaimsUnchecked, estranged(keys, token, now)),
        _ => return verdict,
    };
    match overruled {
        Some(claims) if defects.acts_every(kind) => {
            defects.note(kind);
            Ok(claims)
        }
        _ => verdict,
    }
}

/// Claims that are right but for their expiry: they were right a second before it.
fn expired(keys: &KeyRing, token: &str) -> Option<Claims> {
    let claims: Claims = part(token, 1)?;
    keys.verify(token, claims.exp - 1).ok()
}

/// Claims that are right but for the signature, of a token that says itself that it has none: they
/// would be right if the verifier had signed them.
fn unsigned(keys: &KeyRing, token: &str, now_unix_s: i64) -> Option<Claims> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let header: Header = part(token, 0)?;
    if !header.alg.eq_ignore_ascii_case("none") {
        return None;
    }
    let claims: Claims = part(token, 1)?;
    let signed = keys.current()?.sign(&claims).ok()?;
    keys.verify(&signed, now_unix_s).ok()
}

/// Claims that are right but for whom they are from and for, and their version: whoever has the key signed them.
fn estranged(keys: &KeyRing, token: &str, now_unix_s: i64) -> Option<Claims> {
    let claims: Claims = part(token, 1)?;
    let ours = Claims {
        aud: keys.audience().to_owned(),
        iss: keys.issuer().to_owned(),
        oa_claims_version: CLAIMS_VERSION.to_owned(),
        ..claims
    };
    let signed = keys.current()?.sign(&ours).ok()?;
    keys.verify(&signed, now_unix_s).ok()
}

fn part<T: DeserializeOwned>(token: &str, index: usize) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(index)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}
