//! Session access tokens: what a control service hands out at login, and `POST /api/sync/token`
//! asks for.
//!
//! The contract leaves their form to the control service. Here they are JWTs, HS256, with the
//! claims of [`SessionClaims`]; another crate can mint them from this page alone.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use khala_wire::hs256;
use serde::{Deserialize, Serialize};

/// `iss` of session access tokens.
pub const ISSUER: &str = "khala-control";

/// Claims of a session access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// Device of the session.
    pub did: String,
    /// Expiry, unix seconds.
    pub exp: i64,
    /// [`ISSUER`].
    pub iss: String,
    /// Organisation.
    pub org: String,
    /// Scopes that a sync token of this session may carry.
    pub scopes: Vec<String>,
    /// The session's id.
    pub sid: String,
    /// The user's id.
    pub sub: String,
}

/// Why a session access token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionDeny {
    /// Not a token of this form, or signed with another key.
    #[error("invalid_session_token")]
    Invalid,
    /// `exp` is past.
    #[error("session_expired")]
    Expired,
}

/// Signing failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign a session access token: {0}")]
pub struct SessionSignError(#[from] jsonwebtoken::errors::Error);

/// Signs claims.
///
/// # Errors
/// When the signing library refuses the key.
pub fn sign(key: &[u8], claims: &SessionClaims) -> Result<String, SessionSignError> {
    let header = Header::new(Algorithm::HS256);
    hs256::serve_jwt();
    Ok(jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(key))?)
}

/// Verifies signature, issuer and expiry.
///
/// # Errors
/// [`SessionDeny`], the first that applies.
pub fn verify(key: &[u8], token: &str, now_unix_s: i64) -> Result<SessionClaims, SessionDeny> {
    let mut validation = Validation::new(Algorithm::HS256);
    // Time is an argument here, so expiry is judged below.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    hs256::serve_jwt();
    let claims: SessionClaims =
        jsonwebtoken::decode(token, &DecodingKey::from_secret(key), &validation)
            .map_err(|_| SessionDeny::Invalid)?
            .claims;
    if claims.iss != ISSUER {
        return Err(SessionDeny::Invalid);
    }
    if claims.exp <= now_unix_s { Err(SessionDeny::Expired) } else { Ok(claims) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> SessionClaims {
        SessionClaims {
            did: "d".into(),
            exp: 100,
            iss: ISSUER.into(),
            org: "o".into(),
            scopes: vec!["runtime.notifications".into()],
            sid: "s".into(),
            sub: "u".into(),
        }
    }

    #[test]
    fn only_its_own_key_issuer_and_time_open_a_session_token() {
        let token = sign(b"key", &claims()).expect("signs");
        assert_eq!(verify(b"key", &token, 99), Ok(claims()));
        assert_eq!(verify(b"key", &token, 100), Err(SessionDeny::Expired));
        assert_eq!(verify(b"other", &token, 99), Err(SessionDeny::Invalid));
        let foreign = SessionClaims { iss: "elsewhere".into(), ..claims() };
        let token = sign(b"key", &foreign).expect("signs");
        assert_eq!(verify(b"key", &token, 99), Err(SessionDeny::Invalid));
    }
}
