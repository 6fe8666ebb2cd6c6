//! Tokens that the proxy exchanges for others before the runtime sees them: a verifier that is less strict.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use khala_reference::config::DEVELOPMENT_SYNC_KEY;
use khala_wire::hs256;
use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_KID, Key};
use khala_wire::topic::KNOWN;
use serde_json::{Value, json};

use super::bend::now;

/// What was seen of tokens.
#[derive(Default)]
pub struct Seen {
    tokens: Mutex<HashSet<String>>,
    scopes: Mutex<HashMap<String, Value>>,
    /// The time that the runtime told last, by the `Date` of an answer.
    told: Mutex<i64>,
}

impl Seen {
    /// An answer of the runtime's over HTTP.
    pub fn answered(&self, answer: &[u8]) {
        let text = String::from_utf8_lossy(answer);
        let date = text.lines().find_map(|line| line.strip_prefix("date: "));
        if let Some(date) = date.and_then(|it| jiff::fmt::rfc2822::parse(it.trim()).ok()) {
            *self.told.lock().expect("whole") = date.timestamp().as_second();
        }
    }
}

/// The sync token in the head of a request, as it stands there and as it is.
fn token(head: &str) -> Option<(&str, String)> {
    if !head.starts_with("GET ") {
        return None; // a session's
    }
    let rest = ["token=", "Bearer "].iter().find_map(|it| Some(head.split_once(it)?.1))?;
    let raw = rest.split(['&', ' ', '\r']).next()?;
    let plain = raw.replace("%2E", ".").replace("%2D", "-").replace("%5F", "_");
    Some((raw, plain))
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Option<Value> {
    let part = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// The claims of the token in the head of a request, unverified.
pub fn claims_in(head: &str) -> Option<Value> {
    claims(&token(head)?.1)
}

/// Whether the first half of its signature is right.
fn half_signed(token: &str) -> Option<bool> {
    let (text, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let right = hs256::mac(DEVELOPMENT_SYNC_KEY.as_bytes(), text.as_bytes());
    Some(signature.len() >= 16 && signature[..16] == right[..16])
}

/// The head of a request with another token in it, where this deviation lets one pass that the runtime would not.
pub fn exchanged(name: &str, head: &str, seen: &Seen) -> Option<String> {
    let (raw, token) = token(head)?;
    let claims = changed(name, head, &token, seen)?;
    let other = Key::new(DEFAULT_KID, DEVELOPMENT_SYNC_KEY).sign(&claims).expect("signs");
    Some(head.replacen(raw, &other, 1))
}

/// The claims of the other token.
fn changed(name: &str, head: &str, token: &str, seen: &Seen) -> Option<Value> {
    let mut it = claims(token)?;
    let session = it["oa_session_id"].as_str().unwrap_or_default().to_owned();
    let is_snapshot = head.contains("/snapshot ");
    let past = |it: &Value| it["exp"].as_i64().is_some_and(|exp| exp <= now());
    match name {
        "half_a_signature" if half_signed(token)? => {}
        // By a clock that stood still since then, and is a second behind.
        "expires_late" if past(&it) => {
            if it["exp"].as_i64()? <= *seen.told.lock().expect("whole") - 2 {
                return None;
            }
            it["exp"] = json!(now() + 900);
        }
        "iat_unchecked" => it["iat"] = json!(now()),
        "times_optional" => {
            for name in
                ["iat", "nbf"].into_iter().filter(|name| it[*name].is_null()).collect::<Vec<_>>()
            {
                it[name] = json!(now());
            }
        }
        "remembers_tokens" => {
            if seen.tokens.lock().expect("whole").insert(token.to_owned()) {
                return None;
            }
            it["exp"] = json!(now() + 900);
        }
        "first_scopes_of_a_session" => {
            let own = it["oa_sync_scopes"].clone();
            let mut scopes = seen.scopes.lock().expect("whole");
            it["oa_sync_scopes"] = scopes.entry(session).or_insert(own).clone();
        }
        "opens_all_topics" => {
            let all: Vec<_> = KNOWN.iter().map(|topic| topic.name).collect();
            it["oa_sync_scopes"] = json!(all);
        }
        "open_snapshots" if is_snapshot => it["aud"] = json!(DEFAULT_AUDIENCE),
        "expired_snapshots" if is_snapshot && past(&it) => it["exp"] = json!(now() + 900),
        "revoked_snapshots" if is_snapshot => {
            it["oa_session_id"] = json!(format!("{session}-free"))
        }
        _ => return None,
    }
    Some(it)
}
