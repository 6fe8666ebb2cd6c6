//! Tokens that are wrong, and the steps at which that shows.

use serde::{Deserialize, Serialize};

/// What is wrong with a token (contract, section 2). Each must be refused, but for those that were good
/// once and on which the contract is silent: see [`BadToken::finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadToken {
    /// Its time is over.
    Expired,
    /// Its time begins later than any skew explains.
    NotYetValid,
    /// Signed with another key under the right id.
    BadSignature,
    /// Not signed at all: `alg` is `none`.
    AlgNone,
    /// Signed with the right key under an id that nobody knows.
    UnknownKid,
    /// None at all.
    NoToken,
    /// A text that is no JWT.
    NoJwt,
    /// Signed with the right key by another algorithm, HS384.
    OtherAlg,
    /// Signed with the right key, and its header names none.
    MissingKid,
    /// Rightly signed, and of another issuer.
    WrongIssuer,
    /// Rightly signed, and for another audience.
    WrongAudience,
    /// Rightly signed, and of another version of the claims.
    WrongClaimsVersion,
    /// Rightly signed, without an id of its own, by which it could be revoked.
    WithoutJti,
    /// Rightly signed, without a session.
    WithoutSession,
    /// Rightly signed, without a device.
    WithoutDevice,
    /// Of a session that was revoked.
    Revoked,
    /// Good, but it opens none, or not all, of the topics that are subscribed to.
    WrongScope,
    /// Good, and expires while the socket that it opened lives on. The contract is silent on it.
    Expires,
    /// Good, and its device is revoked while the socket that it opened lives on. The contract is silent
    /// on it.
    RevokedDevice,
}

impl BadToken {
    /// Its name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::BadSignature => "bad_signature",
            Self::AlgNone => "alg_none",
            Self::UnknownKid => "unknown_kid",
            Self::NoToken => "no_token",
            Self::NoJwt => "no_jwt",
            Self::OtherAlg => "other_alg",
            Self::MissingKid => "missing_kid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongClaimsVersion => "wrong_claims_version",
            Self::WithoutJti => "without_jti",
            Self::WithoutSession => "without_session",
            Self::WithoutDevice => "without_device",
            Self::Revoked => "revoked",
            Self::WrongScope => "wrong_scope",
            Self::Expires => "expires",
            Self::RevokedDevice => "revoked_device",
        }
    }

    /// Whether it takes a token of the target's, or a key, to make it.
    #[must_use]
    pub fn takes_credentials(self) -> bool {
        !matches!(self, Self::NoToken | Self::NoJwt)
    }

    /// The finding that its acceptance is, of [`FINDINGS`](crate::metric::FINDINGS), where the contract is
    /// silent on it; `None` where it must be refused.
    #[must_use]
    pub fn finding(self) -> Option<&'static str> {
        match self {
            Self::Expires => Some("expired_token_lives"),
            Self::RevokedDevice => Some("revoked_device_lives"),
            _ => None,
        }
    }

    /// The step at which it must be refused at the latest; where the contract is silent, a step that would
    /// show it enforced.
    #[must_use]
    pub fn refused_at(self) -> Step {
        match self {
            Self::Expired
            | Self::NotYetValid
            | Self::BadSignature
            | Self::AlgNone
            | Self::UnknownKid
            | Self::NoToken
            | Self::NoJwt
            | Self::OtherAlg
            | Self::MissingKid
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::WrongClaimsVersion
            | Self::WithoutJti
            | Self::WithoutSession
            | Self::WithoutDevice => Step::Connect,
            Self::Revoked | Self::RevokedDevice => Step::Join,
            Self::WrongScope => Step::Subscribe,
            Self::Expires => Step::Heartbeat,
        }
    }
}

/// The steps of a client on its way to a topic, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The connect; over WebSocket, the upgrade.
    #[serde(rename = "upgrade")]
    Connect,
    /// The join; over WebSocket, `phx_join`.
    Join,
    /// The subscribe; over WebSocket, `sync:subscribe`.
    Subscribe,
    /// A heartbeat, over the session that the steps before it led to.
    Heartbeat,
}
