//! Sync tokens: claims, signing, and verification against a ring of keys.
//!
//! Time is an argument: this module reads no clock.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use crate::hs256;

/// `oa_claims_version`.
pub const CLAIMS_VERSION: &str = "oa_sync_claims_v1";
/// `kid` of the development key.
pub const DEFAULT_KID: &str = "sync-auth-v1";
/// `iss` of development.
pub const DEFAULT_ISSUER: &str = "https://openagents.test";
/// `aud` of development.
pub const DEFAULT_AUDIENCE: &str = "openagents-sync";
/// Clock skew that a verifier grants to `iat` and `nbf`, in seconds; `exp` gets none.
pub const CLOCK_SKEW_S: i64 = 30;

/// Claims of a sync token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Audience.
    pub aud: String,
    /// Expiry, unix seconds.
    pub exp: i64,
    /// Issued at, unix seconds.
    pub iat: i64,
    /// Issuer.
    pub iss: String,
    /// Token id: required, revocable.
    pub jti: String,
    /// Not before, unix seconds.
    pub nbf: i64,
    /// [`CLAIMS_VERSION`].
    pub oa_claims_version: String,
    /// Fall-back for the compatibility parameter `client_build_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oa_client_build_id: Option<String>,
    /// `web-shell`, `desktop`, `ios` or `onyx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oa_client_surface: Option<String>,
    /// Device; required on the WebSocket lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oa_device_id: Option<String>,
    /// Organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oa_org_id: Option<String>,
    /// Fall-back for `protocol_version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oa_protocol_version: Option<String>,
    /// Fall-back for `schema_version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oa_schema_version: Option<u32>,
    /// Session; required on the WebSocket lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oa_session_id: Option<String>,
    /// Topics and scopes granted: an array, or a comma list.
    #[serde(default, deserialize_with = "scopes")]
    pub oa_sync_scopes: Vec<String>,
    /// User.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oa_user_id: Option<String>,
    /// `user:{id}`
    pub sub: String,
}

fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Array(Vec<String>),
        CommaList(String),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Array(list) => list,
        Form::CommaList(list) => {
            list.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
        }
    })
}

/// Why a verifier refuses a token; the names are the contract's deny codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Deny {
    /// No token at all.
    #[error("missing_token")]
    MissingToken,
    /// Not three base64url parts of JSON.
    #[error("invalid_token_format")]
    InvalidTokenFormat,
    /// Any `alg` but `HS256`, `none` among them.
    #[error("unsupported_alg")]
    UnsupportedAlg,
    /// No `kid` in the header.
    #[error("missing_kid")]
    MissingKid,
    /// A `kid` that the ring does not hold.
    #[error("unknown_kid")]
    UnknownKid,
    /// Signed with another key.
    #[error("invalid_signature")]
    InvalidSignature,
    /// A claim is missing or of the wrong type.
    #[error("invalid_claims")]
    InvalidClaims,
    /// `exp` is past; no skew.
    #[error("token_expired")]
    TokenExpired,
    /// `nbf` or `iat` is in the future by more than the skew.
    #[error("token_not_yet_valid")]
    TokenNotYetValid,
    /// Issuer, audience or claims version is another.
    #[error("claim_mismatch")]
    ClaimMismatch,
}

/// A key with its id. `Debug` does not show the secret.
#[derive(Clone)]
pub struct Key {
    kid: String,
    secret: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Signing failed: the claims could not be serialised or the key was refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign a token with key `{kid}`: {source}")]
pub struct SignError {
    kid: String,
    #[source]
    source: jsonwebtoken::errors::Error,
}

impl Key {
    /// A key for HS256.
    #[must_use]
    pub fn new(kid: impl Into<String>, secret: impl Into<Vec<u8>>) -> Self {
        Self { kid: kid.into(), secret: secret.into() }
    }

    /// The secret itself: for whoever must take it out of texts.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The key's id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The same secret under another id.
    #[must_use]
    pub fn renamed(&self, kid: impl Into<String>) -> Self {
        Self { kid: kid.into(), secret: self.secret.clone() }
    }

    /// Signs any claims as `{"alg":"HS256","typ":"JWT","kid":…}`.
    ///
    /// # Errors
    /// When the claims cannot be serialised.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, SignError> {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.kid.clone());
        hs256::serve_jwt();
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&self.secret))
            .map_err(|source| SignError { kid: self.kid.clone(), source })
    }

    /// Signs any claims by HS256 under a header of one's own, which may say what it likes. `None` when the claims
    /// cannot be serialised.
    #[must_use]
    pub fn sign_as<C: Serialize>(&self, header: &serde_json::Value, claims: &C) -> Option<String> {
        by_hand(header, claims, |text| hs256::mac(&self.secret, text).to_vec())
    }

    /// Signs any claims rightly by HS384, which the contract does not have: every verifier must refuse it. `None`
    /// when the claims cannot be serialised.
    #[must_use]
    pub fn sign_hs384<C: Serialize>(&self, claims: &C) -> Option<String> {
        let header = serde_json::json!({ "alg": "HS384", "kid": self.kid, "typ": "JWT" });
        by_hand(&header, claims, |text| hs256::mac_384(&self.secret, text).to_vec())
    }
}

fn by_hand<C: Serialize>(
    header: &serde_json::Value,
    claims: &C,
    mac: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Option<String> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = serde_json::to_vec(claims).ok()?;
    let text = format!("{}.{}", base64.encode(header.to_string()), base64.encode(claims));
    let tag = base64.encode(mac(text.as_bytes()));
    Some(format!("{text}.{tag}"))
}

/// Claims under a header that says `alg: none`, and no signature: every verifier must refuse it.
/// `None` when the claims cannot be serialised.
#[must_use]
pub fn unsigned<C: Serialize>(kid: &str, claims: &C) -> Option<String> {
    use base64::Engine as _;
    let header = serde_json::json!({ "alg": "none", "kid": kid, "typ": "JWT" }).to_string();
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = serde_json::to_vec(claims).ok()?;
    Some(format!("{}.{}.", base64.encode(header), base64.encode(claims)))
}

/// The keys a verifier knows (current and previous), and what the claims must say.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
    issuer: String,
    audience: String,
}

impl KeyRing {
    /// A ring; the first key is the current one.
    #[must_use]
    pub fn new(keys: Vec<Key>, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { keys, issuer: issuer.into(), audience: audience.into() }
    }

    /// The key that new tokens are signed with.
    #[must_use]
    pub fn current(&self) -> Option<&Key> {
        self.keys.first()
    }

    /// `iss` of the ring's tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `aud` of the ring's tokens.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Verifies format, key, signature, times, issuer, audience and claims version, in this order.
    ///
    /// # Errors
    /// The first deny code that applies.
    pub fn verify(&self, token: &str, now_unix_s: i64) -> Result<Claims, Deny> {
        #[derive(Deserialize)]
        struct RawHeader {
            alg: String,
            kid: Option<String>,
        }
        let header: RawHeader = json_part(token.split('.').next().unwrap_or_default())?;
        if token.split('.').count() != 3 {
            return Err(Deny::InvalidTokenFormat);
        }
        if header.alg != "HS256" {
            return Err(Deny::UnsupportedAlg);
        }
        let kid = header.kid.ok_or(Deny::MissingKid)?;
        let key = self.keys.iter().find(|key| key.kid == kid).ok_or(Deny::UnknownKid)?;

        let mut validation = Validation::new(Algorithm::HS256);
        // Times and names are judged below, because the contract's skew differs by claim.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let secret = DecodingKey::from_secret(&key.secret);
        hs256::serve_jwt();
        let claims = jsonwebtoken::decode::<Claims>(token, &secret, &validation)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => Deny::InvalidSignature,
                jsonwebtoken::errors::ErrorKind::Json(_) => Deny::InvalidClaims,
                _ => Deny::InvalidTokenFormat,
            })?
            .claims;

        if claims.exp <= now_unix_s {
            return Err(Deny::TokenExpired);
        }
        if claims.nbf.max(claims.iat) > now_unix_s + CLOCK_SKEW_S {
            return Err(Deny::TokenNotYetValid);
        }
        if claims.jti.is_empty() {
            return Err(Deny::InvalidClaims);
        }
        if claims.iss != self.issuer
            || claims.aud != self.audience
            || claims.oa_claims_version != CLAIMS_VERSION
        {
            return Err(Deny::ClaimMismatch);
        }
        Ok(claims)
    }
}

fn json_part<T: for<'a> Deserialize<'a>>(part: &str) -> Result<T, Deny> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Deny::InvalidTokenFormat)?;
    serde_json::from_slice(&bytes).map_err(|_| Deny::InvalidTokenFormat)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn claims() -> Claims {
        Claims {
            aud: DEFAULT_AUDIENCE.into(),
            exp: NOW + 900,
            iat: NOW,
            iss: DEFAULT_ISSUER.into(),
            jti: "j1".into(),
            nbf: NOW,
            oa_claims_version: CLAIMS_VERSION.into(),
            oa_client_build_id: None,
            oa_client_surface: Some("desktop".into()),
            oa_device_id: Some("d1".into()),
            oa_org_id: Some("o1".into()),
            oa_protocol_version: None,
            oa_schema_version: None,
            oa_session_id: Some("s1".into()),
            oa_sync_scopes: vec!["runtime.notifications".into()],
            oa_user_id: Some("u1".into()),
            sub: "user:u1".into(),
        }
    }

    fn ring() -> KeyRing {
        KeyRing::new(
            vec![Key::new("now", "secret-a"), Key::new("before", "secret-b")],
            DEFAULT_ISSUER,
            DEFAULT_AUDIENCE,
        )
    }

    #[test]
    fn both_keys_of_the_ring_open_what_they_signed() {
        for key in [Key::new("now", "secret-a"), Key::new("before", "secret-b")] {
            let token = key.sign(&claims()).expect("signs");
            assert_eq!(ring().verify(&token, NOW), Ok(claims()));
        }
    }

    #[test]
    fn every_deny_code_has_a_token_that_earns_it() {
        let key = Key::new("now", "secret-a");
        let with = |edit: fn(&mut Claims)| {
            let mut claims = claims();
            edit(&mut claims);
            key.sign(&claims).expect("signs")
        };
        let headed = |header: &str| {
            let good = key.sign(&claims()).expect("signs");
            let rest = good.split_once('.').expect("three parts").1.to_owned();
            format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
        };
        let cases = [
            ("garbage".to_owned(), Deny::InvalidTokenFormat),
            (headed(r#"{"alg":"none","kid":"now"}"#), Deny::UnsupportedAlg),
            (headed(r#"{"alg":"HS256"}"#), Deny::MissingKid),
            (Key::new("who", "x").sign(&claims()).expect("signs"), Deny::UnknownKid),
            (Key::new("now", "x").sign(&claims()).expect("signs"), Deny::InvalidSignature),
            (key.sign(&serde_json::json!({"sub": 1})).expect("signs"), Deny::InvalidClaims),
            (with(|c| c.exp = NOW), Deny::TokenExpired),
            (with(|c| c.nbf = NOW + CLOCK_SKEW_S + 1), Deny::TokenNotYetValid),
            (with(|c| c.jti.clear()), Deny::InvalidClaims),
            (with(|c| c.aud = "other".into()), Deny::ClaimMismatch),
        ];
        for (token, deny) in cases {
            assert_eq!(ring().verify(&token, NOW), Err(deny), "{token}");
        }
    }

    #[test]
    fn what_is_signed_by_hand_is_right_but_for_its_header() {
        let key = Key::new("now", "secret-a");
        let header = serde_json::json!({ "alg": "HS256", "kid": "now", "typ": "JWT" });
        let token = key.sign_as(&header, &claims()).expect("signs");
        assert_eq!(ring().verify(&token, NOW), Ok(claims()));
        let token = key.sign_hs384(&claims()).expect("signs");
        assert_eq!(ring().verify(&token, NOW), Err(Deny::UnsupportedAlg));
    }

    #[test]
    fn skew_is_granted_to_nbf_and_iat_but_not_to_exp() {
        let key = Key::new("now", "secret-a");
        let mut early = claims();
        (early.nbf, early.iat) = (NOW + CLOCK_SKEW_S, NOW + CLOCK_SKEW_S);
        assert!(ring().verify(&key.sign(&early).expect("signs"), NOW).is_ok());
    }

    #[test]
    fn scopes_may_be_a_comma_list() {
        let mut json = serde_json::to_value(claims()).expect("json");
        json["oa_sync_scopes"] = "a, b".into();
        let token = Key::new("now", "secret-a").sign(&json).expect("signs");
        assert_eq!(ring().verify(&token, NOW).expect("valid").oa_sync_scopes, ["a", "b"]);
    }

    #[test]
    fn a_key_does_not_show_its_secret() {
        assert!(!format!("{:?}", ring()).contains("secret-a"));
    }
}
