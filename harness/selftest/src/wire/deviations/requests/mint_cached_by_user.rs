//! Tokens from a cache by the user's id, of which the first 24 characters are kept: ids that begin alike are one user to
//! it, as a key that is cut to a column's length is to MySQL without strict mode ("data truncated"). Each client then
//! speaks as somebody else (contract, section 1, rule 8).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::wire::deviation::Deviation;
use crate::wire::http::{Head, Purpose};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(
    Deviation::cached_by(Purpose::Mint, user_cut_short),
    "authz_leak",
    "another client's",
)
.control();

/// The beginning of the user's id in the session's token.
fn user_cut_short(head: &Head) -> String {
    let claims = head.header("authorization").and_then(|bearer| bearer.split('.').nth(1));
    let claims = claims.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    claims["sub"].as_str().unwrap_or_default().chars().take(24).collect()
}
