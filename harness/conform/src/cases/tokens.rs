//! Sync tokens: which open a socket, and which must not.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use khala_engine::clock::{self, unix_seconds};
use khala_engine::transport::DialError;
use khala_plan::schedule::Identity;
use khala_wire::hs256;
use khala_wire::message::event;
use khala_wire::token::{Key, unsigned};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::case::Area::Tokens;
use crate::case::{Case, Catch, Level, Need, Takes};
use crate::ctx::{Connect, Ctx, EVENTS, SUMMARIES, all_topics};
use crate::outcome::{Found, Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::quote;
use crate::world::World;

const REFUSED: &str = "Upgrades without a valid token are refused with HTTP 403 and an empty body, whatever the reason.";
const RING: &str = "The verifier has a key ring by `kid` (current + previous) and 30 s clock skew for \
                    `iat`/`nbf`, none for `exp`.";
pub const SCOPED: &str =
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
        Box::pin(bad_signature(ctx))
    })
    .says("3, framing", REFUSED)
    .needs(KEYED)
    .caught_by(&[Catch::Proxy("lets_all_in"), Catch::Proxy("half_a_signature")]),
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
    Case::must("token_expired_just_now", Tokens, "a token that expired a moment ago", |ctx| {
        Box::pin(expired_just_now(ctx))
    })
    .says("2", RING)
    .needs(KEYED)
    .caught_by(&[Catch::Defect("expired_accepted"), Catch::Proxy("expires_late")]),
    Case::must(
        "token_expires_after_use",
        Tokens,
        "a token that opened a socket, after it expired",
        |ctx| Box::pin(after_use(ctx)),
    )
    .says("1, rule 8", SCOPED)
    .needs(&[Need::Minting])
    .takes(SHORT_LIFE)
    .caught_by(&[Catch::Proxy("remembers_tokens")]),
    Case::must("token_not_yet_valid", Tokens, "a token of the future", |ctx| {
        Box::pin(not_yet_valid(ctx))
    })
    .says("2", RING)
    .needs(KEYED)
    .caught_by(&[Catch::Proxy("lets_all_in"), Catch::Proxy("iat_unchecked")]),
    Case::must("token_without_times", Tokens, "no `iat`, no `nbf`, no `exp`", |ctx| {
        Box::pin(without_times(ctx))
    })
    .level(Level::Should)
    .says("2", "| `iat`, `nbf`, `exp` | unix seconds |")
    .needs(KEYED)
    .caught_by(&[Catch::Proxy("times_optional")]),
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

/// A signature of another key, and right ones that are not whole: a verifier may compare a part.
async fn bad_signature(ctx: &Ctx) -> Outcome {
    let key = ctx.key()?;
    let other = Key::new(key.kid(), "a secret that no verifier has");
    let what = "a token that was signed with another key";
    let last = forged(ctx, what, |_| {}, |claims| other.sign(claims).ok()).await?;
    if matches!(last, Found::Broken(_)) {
        return Ok(last);
    }
    let token = signed(ctx, key, |_| {})?;
    let (text, signature) = token.rsplit_once('.').unwrap_or_default();
    for (what, signature) in spoilt(&URL_SAFE_NO_PAD.decode(signature).unwrap_or_default()) {
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
        let found = refused(ctx, &format!("a token {what}"), Some(token)).await?;
        if matches!(found, Found::Broken(_)) {
            return Ok(found);
        }
    }
    Ok(last)
}

/// A right signature, spoilt in some ways.
fn spoilt(signature: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    let (mut first, mut last) = (signature.to_vec(), signature.to_vec());
    if let (Some(first), Some(last)) = (first.first_mut(), last.last_mut()) {
        (*first, *last) = (*first ^ 0x80, *last ^ 1);
    }
    [
        ("the last bit of whose signature is another", last),
        ("the first bit of whose signature is another", first),
        (
            "of whose signature only the first half is there",
            signature[..signature.len() / 2].to_vec(),
        ),
        ("whose signature is empty", Vec::new()),
    ]
}

/// Half a minute is granted to `iat` and `nbf`: what is beyond it in either of them is too early.
async fn not_yet_valid(ctx: &Ctx) -> Outcome {
    let what = "a token that begins in five minutes";
    let last = claimed(ctx, what, |it| shift(it, &["iat", "nbf", "exp"], 300)).await?;
    let early: [(&str, &[&str], i64); 3] = [
        ("a token that begins in three quarters of a minute", &["iat", "nbf"], 45),
        ("a token whose `nbf` alone is in five minutes", &["nbf"], 300),
        ("a token whose `iat` alone is in five minutes", &["iat"], 300),
    ];
    for (what, names, seconds) in early {
        if matches!(last, Found::Broken(_)) {
            break;
        }
        let token = signed(ctx, ctx.key()?, |it| shift(it, names, seconds))?;
        let found = refused(ctx, what, Some(token)).await?;
        if matches!(found, Found::Broken(_)) {
            return Ok(found);
        }
    }
    Ok(last)
}

/// By the target's own clock, where it tells it, since none is granted to `exp`; else with room for clocks that differ.
async fn expired_just_now(ctx: &Ctx) -> Outcome {
    if let Some(now) = their_now(ctx).await {
        let token = signed(ctx, ctx.key()?, |it| {
            (it["exp"], it["iat"], it["nbf"]) =
                (json!(now - 1), json!(now - 900), json!(now - 900));
        })?;
        let what = "a token that expired a second ago, by the Date of the target's own answers,";
        let found = refused(ctx, what, Some(token)).await?;
        if matches!(found, Found::Broken(_)) {
            return Ok(found);
        }
    }
    claimed(ctx, "a token that expired five seconds ago", |it| expire(it, 5)).await
}

/// The whole seconds that have passed on the target's clock, as the `Date` of an answer tells them.
async fn their_now(ctx: &Ctx) -> Option<i64> {
    let date = ctx.world.http.header("/healthz", "date").await.ok()??;
    Some(jiff::fmt::rfc2822::parse(&date).ok()?.timestamp().as_second())
}

async fn without_times(ctx: &Ctx) -> Outcome {
    let mut last = kept("");
    for name in ["iat", "nbf", "exp"] {
        let token = signed(ctx, ctx.key()?, |it| without(it, name))?;
        last = refused(ctx, &format!("a token without `{name}`"), Some(token)).await;
        if !matches!(last, Ok(Found::Kept(_))) {
            return last;
        }
    }
    last
}

/// How long cases take that wait for a token's end.
pub const SHORT_LIFE: Takes = Takes::Seconds(10);
/// How long such a token lives: long enough for a first use, on a slow machine too.
pub const LIFE: Duration = Duration::from_secs(4);
/// Room for clocks that differ.
pub const CLOCKS_APART: Duration = Duration::from_secs(5);

/// A token whose end is near.
pub struct ShortLived {
    /// The token.
    pub token: String,
    until: Instant,
}

impl ShortLived {
    /// Somebody's, for all topics, from wherever tokens come.
    ///
    /// # Errors
    /// Not applicable, where none that is short-lived can be had.
    pub async fn of(ctx: &Ctx, who: &Identity) -> Result<Self, Stop> {
        let World { minter, plan, target, .. } = &*ctx.world;
        let scopes: Vec<String> = all_topics().iter().map(|&topic| topic.to_owned()).collect();
        let began = clock::now();
        let minted = minter.mint_for(LIFE, plan, target, who, &scopes, ctx.fresh_name("jti")).await;
        let none = |why: String| not_applicable(why, "auth.mint = \"hs256\"");
        let minted = minted
            .map_err(|it| none(format!("no token of {LIFE:?} could be had: {}", it.status)))?;
        match minted.life {
            Some(life) if life <= 2 * LIFE => {
                let until = began + life + CLOCKS_APART;
                Ok(Self { token: minted.token, until })
            }
            _ => Err(none("the token that came lives longer than was asked for".to_owned())),
        }
    }

    /// How long until it has surely expired.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(clock::now())
    }
}

async fn after_use(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let short = ShortLived::of(ctx, &who).await?;
    let connect = Connect::default();
    let mut peer = ctx.open_with(&who, &short.token, &connect).await?;
    peer.ask_ok(event::JOIN, json!({}), ctx.patience()).await?;
    tokio::time::sleep(short.left()).await;
    let what = format!("a token of {LIFE:?} that had opened one, {CLOCKS_APART:?} after its end");
    refused(ctx, &what, Some(short.token)).await
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
