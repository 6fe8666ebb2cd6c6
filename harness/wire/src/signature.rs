//! `x-oa-runtime-signature` of the HTTP command path:
//! `v1.{base64url(json)}.{base64url(hmac-sha256)}`, the MAC being over the encoded JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::hs256;

/// The header's name.
pub const SIGNATURE_HEADER: &str = "x-oa-runtime-signature";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPayload {
    /// Expiry, unix seconds.
    pub exp: i64,
    /// Issued at, unix seconds.
    pub iat: i64,
    /// Used once.
    pub nonce: String,
    /// The user the command acts for; must equal `x-oa-user-id`.
    pub user_id: String,
}

/// Why a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureDeny {
    /// Not `v1.` and two base64url parts.
    #[error("invalid_signature_format")]
    Format,
    /// The MAC does not fit.
    #[error("invalid_signature")]
    Mac,
    /// `exp` is past.
    #[error("signature_expired")]
    Expired,
}

/// The header's value.
///
/// # Panics
/// Never: the payload is strings and numbers.
#[must_use]
pub fn sign(secret: &[u8], payload: &SignedPayload) -> String {
    let json = serde_json::to_string(payload).expect("strings and numbers serialise");
    let body = URL_SAFE_NO_PAD.encode(json);
    let tag = hs256::mac(secret, body.as_bytes());
    format!("v1.{body}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Checks a header's value.
///
/// # Errors
/// When it is malformed, signed with another secret, or expired.
pub fn verify(
    secret: &[u8],
    header: &str,
    now_unix_s: i64,
) -> Result<SignedPayload, SignatureDeny> {
    let (body, tag) = header
        .strip_prefix("v1.")
        .and_then(|rest| rest.split_once('.'))
        .ok_or(SignatureDeny::Format)?;
    let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| SignatureDeny::Format)?;
    if !hs256::mac_fits(secret, body.as_bytes(), &tag) {
        return Err(SignatureDeny::Mac);
    }
    let json = URL_SAFE_NO_PAD.decode(body).map_err(|_| SignatureDeny::Format)?;
    let payload: SignedPayload =
        serde_json::from_slice(&json).map_err(|_| SignatureDeny::Format)?;
    if payload.exp <= now_unix_s { Err(SignatureDeny::Expired) } else { Ok(payload) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifies_what_it_signed_and_nothing_else() {
        let payload = SignedPayload { exp: 200, iat: 100, nonce: "n".into(), user_id: "1".into() };
        let header = sign(b"key", &payload);
        assert_eq!(verify(b"key", &header, 150), Ok(payload));
        assert_eq!(verify(b"other", &header, 150), Err(SignatureDeny::Mac));
        assert_eq!(verify(b"key", &header, 200), Err(SignatureDeny::Expired));
        assert_eq!(verify(b"key", "v1.x", 150), Err(SignatureDeny::Format));
    }
}
