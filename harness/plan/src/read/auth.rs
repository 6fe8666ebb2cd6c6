//! `[auth]`: how clients come by tokens. Secrets are named here, never held.

use std::time::Duration;

use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID};

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::interpolate::is_variable;
use super::scalar::Read;
use super::tree::{Node, Value};
use crate::model::{Auth, Mint, Secret};

pub(crate) const TTL: Duration = Duration::from_secs(15 * 60);
pub(crate) const TTLS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
pub(crate) const MINTERS: [(&str, Minter); 3] =
    [("hs256", Minter::Hs256), ("control", Minter::Control), ("static", Minter::Static)];

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Minter {
    Hs256,
    Control,
    Static,
}

/// Reads `[auth]`; `reference` says whether the target is the embedded one.
pub(crate) fn read(mut fields: Fields<'_>, reference: Option<bool>) -> Option<Auth> {
    let minter = fields.keyword_or("mint", Minter::Hs256, &MINTERS);
    let mint = match minter {
        Some(Minter::Hs256) => hs256(&mut fields, reference),
        Some(Minter::Control) => {
            no_effect(&mut fields, &["kid", "secret", "issuer", "audience", "token"], "control");
            Some(Mint::Control)
        }
        Some(Minter::Static) => static_token(&mut fields, reference),
        None => {
            for key in ["kid", "secret", "issuer", "audience", "token"] {
                let _ = fields.node(key);
            }
            None
        }
    };
    let ttl = match minter {
        Some(Minter::Static) => {
            fields.no_effect("ttl", "on a token that was made elsewhere");
            TTL
        }
        _ => fields.within("ttl", TTLS).unwrap_or(TTL),
    };
    fields.finish();
    Some(Auth { mint: mint?, ttl })
}

fn no_effect(fields: &mut Fields<'_>, keys: &[&'static str], mint: &str) {
    for key in keys {
        fields.no_effect(key, &format!("with `mint = \"{mint}\"`"));
    }
}

fn hs256(fields: &mut Fields<'_>, reference: Option<bool>) -> Option<Mint> {
    no_effect(fields, &["token"], "hs256");
    let kid = fields.or("kid", DEFAULT_KID.to_owned());
    let issuer = fields.or("issuer", DEFAULT_ISSUER.to_owned());
    let audience = fields.or("audience", DEFAULT_AUDIENCE.to_owned());
    let secret = match fields.node("secret") {
        Some(node) => secret(fields.cx, "secret", node),
        None if reference == Some(false) && !fields.has("secret") => {
            let what = format!("{} lacks the `secret` that the target verifies with", fields.name);
            let help = "add `secret = { env = \"RUNTIME_SYNC_TOKEN_SIGNING_KEY\" }`";
            fields.cx.report_missing(Diagnostic::error(&fields.place, what).help(help));
            None
        }
        None => Some(Secret::Generated),
    };
    Some(Mint::Hs256 { kid, secret: secret?, issuer, audience })
}

fn static_token(fields: &mut Fields<'_>, reference: Option<bool>) -> Option<Mint> {
    no_effect(fields, &["kid", "secret", "issuer", "audience"], "static");
    if reference == Some(true) {
        let what = "the reference runtime makes its key for each run, which no static token fits";
        let help = "use `mint = \"hs256\"`";
        fields.cx.report(Diagnostic::error(&fields.place, what).help(help));
    }
    let node = fields.need_node("token", "token = { env = \"KHALA_TOKEN\" }")?;
    Some(Mint::Static { token: secret(fields.cx, "token", node)? })
}

/// `{ env = "NAME" }` or `{ file = "…" }`, and nothing else.
pub(crate) fn secret(cx: &Cx, key: &str, node: &Node) -> Option<Secret> {
    if !matches!(node.value, Value::Table(_) | Value::Poison) {
        // What stands there may be the secret itself.
        cx.sources.borrow_mut().mask(&node.place);
        let what = format!("`{key}` is a secret and must not stand in a scenario");
        let help = format!("write `{key} = {{ env = \"NAME\" }}` or `{{ file = \"path\" }}`");
        cx.report(Diagnostic::error(&node.place, what).label("say where it is").help(help));
        return None;
    }
    let mut fields = Fields::of(cx, node, format!("`{key}`"))?;
    let (env, file) = (fields.node("env"), fields.node("file"));
    let place = fields.place.clone();
    fields.finish();
    match (env, file) {
        (Some(env), None) => {
            let name = String::read(cx, "env", env)?;
            if is_variable(&name) {
                return Some(Secret::Env(name));
            }
            cx.sources.borrow_mut().mask(&env.place);
            let what = "`env` is not the name of an environment variable";
            let help = "write the variable's name here, not the secret";
            cx.report(Diagnostic::error(&env.place, what).help(help));
            None
        }
        (None, Some(file)) => String::read(cx, "file", file).map(Secret::File),
        _ => {
            let what = format!("`{key}` is read from one place");
            let help = "write either `{ env = \"NAME\" }` or `{ file = \"path\" }`";
            cx.report(Diagnostic::error(&place, what).help(help));
            None
        }
    }
}
