//! Sync tokens: which open a socket, and which must not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use khala_engine::clock::unix_seconds;
use khala_engine::transport::DialError;
use khala_wire::hs256;
use khala_wire::message::event;
use khala_wire::token::{Key, unsigned};
use serde_json::{Value, json};

use crate::case::Area::Tokens;
use crate::case::{Case, Catch, Need};
use crate::ctx::{Connect, Ctx, EVENTS, SUMMARIES, all_topics};
use crate::outcome::{Found, Outcome, Stop, broken, kept, undecided};
use crate::peer::quote;

const REFUSED: &str = "Upgrades without a valid token are refused with HTTP 403 and an empty body, whatever the reason.";
const RING: &str = "The verifier has a key ring by `kid` (current + previous) and 30 s clock skew for \
                    `iat`/`nbf`, none for `exp`.";
const SCOPED: &str =
    "A token opens only the topics in its scopes, only until it expires or is revoked.";
const WIRE: &[Catch] = &[Catch::Proxy("lets_all_in")];
const KEYED: &[Need] = &[Need::SigningKey];

pub const CASES: &[Case] = &[
    Case::must("token_missing", Tokens, "no token", |ctx| Box::pin(refused(ctx, "no token", None)))
        .says("3, framing", REFUSED)
        .caught_by(WIRE),
    Case::must("token_garbage", Tokens, "a token that is no JWT", |ctx| {
        Box::pin(refused(ctx, "a text that is no JWT", Some("a.b.c".to_owned())))
    })
    .says("3, framing", REFUSED)
    .caught_by(WIRE),
    Case::must("token_bad_signature", Tokens, "a token that is signed with another key", |ctx| {
        Box::pin(async move {
            let key = Key::new(ctx.key()?.kid(), "a secret that no verifier has");
            let what = "a token that was signed with another key";
            forged(ctx, what, |_| {}, |claims| key.sign(claims).ok()).await
        })
    })
    .says("3, framing", REFUSED)
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_alg_none", Tokens, "a token without a signature", |ctx| {
        Box::pin(async move {
            let kid = ctx.key()?.kid();
            let what = "a token of `alg: none`, which nobody signed";
            forged(ctx, what, |_| {}, |claims| unsigned(kid, claims)).await
        })
    })
    .says("2", "`missing_token`, `invalid_token_format`, `unsupported_alg`")
    .needs(KEYED)
    .caught_by(&[Catch::Defect("alg_none_accepted")]),
    Case::must("token_unknown_kid", Tokens, "a key id that is in no ring", |ctx| {
        Box::pin(async move {
            let key = ctx.key()?.renamed("khala-conform-unknown");
            let what = "a token whose key id nobody knows, rightly signed";
            forged(ctx, what, |_| {}, |claims| key.sign(claims).ok()).await
        })
    })
    .says("2", RING)
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_missing_kid", Tokens, "no key id", |ctx| {
        Box::pin(async move {
            let (key, header) = (ctx.key()?, json!({ "alg": "HS256", "typ": "JWT" }));
            let what = "a token without a key id, rightly signed";
            forged(ctx, what, |_| {}, |claims| Some(by_hand(&header, claims, key))).await
        })
    })
    .says("2", RING)
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_expired", Tokens, "a token that expired an hour ago", |ctx| {
        Box::pin(claimed(ctx, "a token that expired an hour ago", |it| expire(it, 3_600)))
    })
    .says("1, rule 8", SCOPED)
    .needs(KEYED)
    .caught_by(&[Catch::Defect("expired_accepted")]),
    Case::must("token_expired_just_now", Tokens, "a token that expired five seconds ago", |ctx| {
        Box::pin(claimed(ctx, "a token that expired five seconds ago", |it| expire(it, 5)))
    })
    .says("2", RING)
    .needs(KEYED)
    .caught_by(&[Catch::Defect("expired_accepted")]),
    Case::must("token_not_yet_valid", Tokens, "a token of the future", |ctx| {
        Box::pin(claimed(ctx, "a token that begins in five minutes", |it| {
            shift(it, &["iat", "nbf", "exp"], 300);
        }))
    })
    .says("2", RING)
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_skew_granted", Tokens, "a clock that is fifteen seconds ahead", |ctx| {
        Box::pin(accepted(ctx, "a token of a clock that is 15 s ahead", |it| {
            shift(it, &["iat", "nbf"], 15);
        }))
    })
    .says("2", RING)
    .needs(KEYED)
    .caught_by(&[Catch::Proxy("strict_tokens")]),
    Case::must("token_wrong_issuer", Tokens, "another issuer", |ctx| {
        Box::pin(claimed(ctx, "a token of another issuer, rightly signed", |it| {
            it["iss"] = json!("https://khala-conform.invalid");
        }))
    })
    .says("3, framing", REFUSED)
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_wrong_audience", Tokens, "another audience", |ctx| {
        Box::pin(claimed(ctx, "a token for another audience, rightly signed", |it| {
            it["aud"] = json!("khala-conform-nobody");
        }))
    })
    .says("3, framing", REFUSED)
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_wrong_claims_version", Tokens, "another version of the claims", |ctx| {
        Box::pin(claimed(ctx, "a token of another `oa_claims_version`", |it| {
            it["oa_claims_version"] = json!("oa_sync_claims_v0");
        }))
    })
    .says("3, framing", REFUSED)
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_without_session", Tokens, "no session", |ctx| {
        Box::pin(claimed(ctx, "a token without `oa_session_id`", |it| without(it, "oa_session_id")))
    })
    .says("2", "session and device are required on the WS lane")
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_without_device", Tokens, "no device", |ctx| {
        Box::pin(claimed(ctx, "a token without `oa_device_id`", |it| without(it, "oa_device_id")))
    })
    .says("2", "session and device are required on the WS lane")
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_without_jti", Tokens, "no token id", |ctx| {
        Box::pin(claimed(ctx, "a token without `jti`", |it| without(it, "jti")))
    })
    .says("2", "required, revocable")
    .needs(KEYED)
    .caught_by(WIRE),
    Case::must("token_comma_scopes", Tokens, "scopes as a comma list", |ctx| {
        Box::pin(comma_scopes(ctx))
    })
    .says("2", "array (or comma list) of topics/scopes granted")
    .needs(KEYED)
    .caught_by(&[Catch::Proxy("strict_tokens")]),
];

/// A good token but for what is changed.
fn signed(ctx: &Ctx, key: &Key, change: impl Fn(&mut Value)) -> Result<String, Stop> {
    let mut claims = ctx.claims(&ctx.somebody(), &all_topics())?;
    change(&mut claims);
    key.sign(&claims).map_err(|error| undecided(error.to_string()))
}

/// A JWT whose header is this, signed with HS256.
fn by_hand(header: &Value, claims: &Value, key: &Key) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let mac = hs256::mac(key.secret(), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
}

fn without(claims: &mut Value, name: &str) {
    if let Some(claims) = claims.as_object_mut() {
        claims.remove(name);
    }
}

fn shift(claims: &mut Value, names: &[&str], seconds: i64) {
    for name in names {
        let was = claims[*name].as_i64().unwrap_or_else(unix_seconds);
        claims[*name] = json!(was + seconds);
    }
}

fn expire(claims: &mut Value, ago: i64) {
    let now = unix_seconds();
    claims["exp"] = json!(now - ago);
    claims["iat"] = json!(now - ago - 900);
    claims["nbf"] = json!(now - ago - 900);
}

async fn claimed(ctx: &Ctx, what: &str, change: impl Fn(&mut Value)) -> Outcome {
    let key = ctx.key()?;
    forged(ctx, what, change, |claims| key.sign(claims).ok()).await
}

/// A token that must not open a socket, whichever surface it names: a verifier may have a way of its own for each.
async fn forged(
    ctx: &Ctx,
    what: &str,
    change: impl Fn(&mut Value),
    sign: impl Fn(&Value) -> Option<String>,
) -> Outcome {
    let mut said = String::new();
    for surface in [None, Some("web-shell"), Some("desktop"), Some("ios"), Some("onyx")] {
        let mut claims = ctx.claims(&ctx.somebody(), &all_topics())?;
        if let Some(surface) = surface {
            claims["oa_client_surface"] = json!(surface);
        }
        change(&mut claims);
        let token = sign(&claims).ok_or_else(|| undecided("a token could not be signed"))?;
        let of = surface.map_or_else(String::new, |it| format!(", of the surface {it}"));
        match refused(ctx, &format!("{what}{of}"), Some(token)).await? {
            Found::Kept(how) => said = how,
            broken @ Found::Broken(_) => return Ok(broken),
        }
    }
    kept(said)
}

/// A token that must not open a socket.
async fn refused(ctx: &Ctx, what: &str, token: Option<String>) -> Outcome {
    let connect = Connect::default();
    let path = ctx.path(token.as_deref(), &connect);
    match ctx.try_dial(&ctx.somebody(), &path, &connect).await {
        Ok(_) => broken(
            format!("Asked for a socket with {what}."),
            "It was opened.",
            "It should have been refused: nobody vouches for whoever holds it.",
        ),
        Err(DialError::Refused(it)) if it.status < 429 => kept(format!("refused with {it}")),
        Err(error) => Err(undecided(error.to_string())),
    }
}

/// A token that must open one.
async fn accepted(ctx: &Ctx, what: &str, change: impl Fn(&mut Value)) -> Outcome {
    let token = signed(ctx, ctx.key()?, change)?;
    let connect = Connect::default();
    match ctx.try_dial(&ctx.somebody(), &ctx.path(Some(&token), &connect), &connect).await {
        Ok(_) => kept("the socket was opened"),
        Err(DialError::Refused(it)) if it.status < 429 => broken(
            format!("Asked for a socket with {what}."),
            format!("It was refused with {it}."),
            "It should have been opened: it is within what a verifier grants.",
        ),
        Err(error) => Err(undecided(error.to_string())),
    }
}

async fn comma_scopes(ctx: &Ctx) -> Outcome {
    let scopes = format!("{EVENTS},{SUMMARIES}");
    let token = signed(ctx, ctx.key()?, |it| it["oa_sync_scopes"] = json!(scopes))?;
    let connect = Connect::default();
    let did = "Asked for a socket with a token whose scopes are a comma list of two topics.";
    let should = "The list should have been read like an array of the two.";
    let dialed = ctx.try_dial(&ctx.somebody(), &ctx.path(Some(&token), &connect), &connect).await;
    let mut peer = match dialed {
        Ok(peer) => peer,
        Err(DialError::Refused(it)) if it.status < 429 => {
            return broken(did, format!("It was refused with {it}."), should);
        }
        Err(error) => return Err(undecided(error.to_string())),
    };
    let joined = peer.ask_ok(event::JOIN, json!({}), ctx.patience()).await?;
    let allowed = &joined.response()["allowed_topics"];
    let has = |topic: &str| allowed.as_array().is_some_and(|it| it.iter().any(|it| it == topic));
    if has(EVENTS) && has(SUMMARIES) {
        return kept("both topics of the list are open");
    }
    broken(did, format!("The join allows {}.", quote(allowed)), should)
}
