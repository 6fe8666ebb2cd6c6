//! Tokens, scopes, revocations and commands.

use crate::case::{Case, How};

const AUTHORITY: How = How::whole("authority");

pub const CASES: &[Case] = &[
    Case::both("cross_topic_leak", AUTHORITY),
    Case::of("expired_accepted", AUTHORITY),
    Case::of("alg_none_accepted", AUTHORITY),
    Case::of("claims_unchecked", AUTHORITY),
    Case::of("revocation_ignored", AUTHORITY),
    Case::of("revocation_forgotten", AUTHORITY),
    Case::of("scope_ignored", AUTHORITY),
    Case::of("command_obeyed", AUTHORITY),
];
