//! The control service: who gets a sync token, and what is in the answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use khala_engine::clock;
use khala_engine::http::{Header, HttpError};
use khala_engine::transport::DialError;
use khala_plan::schedule::Identity;
use khala_wire::command::TOKEN_PATH;
use khala_wire::message::event;
use serde_json::{Value, json};

use super::tokens::{CLOCKS_APART, LIFE, SCOPED, SHORT_LIFE};
use crate::case::Area::Minting;
use crate::case::{Case, Catch, Need};
use crate::ctx::{Connect, Ctx, EVENTS, SUMMARIES};
use crate::outcome::{Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::quote;

const ANSWERS: &str = "401 without a session, 403 on a scope or device that is not the session's, 422/400 on bad \
                       scopes or ttl out of bounds, 503 when minting is off.";
const NEEDS: &[Need] = &[Need::SessionKey];
/// What the answer holds.
const FIELDS: [&str; 14] = [
    "token",
    "token_type",
    "expires_in",
    "issued_at",
    "expires_at",
    "issuer",
    "audience",
    "subject",
    "org_id",
    "claims_version",
    "scopes",
    "granted_topics",
    "kid",
    "token_id",
];

pub const CASES: &[Case] = &[
    Case::must("mint_answer", Minting, "what a minted token comes with, and that it opens a socket", |ctx| {
        Box::pin(answer(ctx))
    })
    .says("2", "answers `{\"data\":{\"token\",\"token_type\":\"Bearer\",\"expires_in\",\"issued_at\",\"expires_at\"")
    .needs(NEEDS)
    .caught_by(&[Catch::Proxy("renamed_answers")]),
    Case::must("mint_opens_what_it_grants", Minting, "a token opens what its answer grants, of a session that has more", |ctx| {
        Box::pin(granted(ctx))
    })
    .says("1, rule 8", SCOPED)
    .needs(NEEDS)
    .caught_by(&[Catch::Proxy("opens_all_topics")]),
    Case::must("mint_lives_as_it_says", Minting, "a token lives no longer than its answer says", |ctx| {
        Box::pin(lives(ctx))
    })
    .says("1, rule 8", SCOPED)
    .needs(NEEDS)
    .takes(SHORT_LIFE)
    .caught_by(&[Catch::Defect("expired_accepted"), Catch::Proxy("mints_for_longer")]),
    Case::must("mint_without_session", Minting, "nobody gets no token", |ctx| {
        Box::pin(status(ctx, "a token without a session", &[401], |_| (None, json!({}))))
    })
    .says("2", ANSWERS)
    .needs(NEEDS)
    .caught_by(&[Catch::Proxy("other_statuses")]),
    Case::must("mint_foreign_scope", Minting, "a scope that is not the session's", |ctx| {
        Box::pin(status(ctx, "a scope that its session does not have", &[403], |who| {
            (Some(who), json!({ "scopes": [EVENTS] }))
        }))
    })
    .says("2", ANSWERS)
    .needs(NEEDS)
    .caught_by(&[Catch::Proxy("other_statuses")]),
    Case::must("mint_foreign_device", Minting, "a device that is not the session's", |ctx| {
        Box::pin(status(ctx, "a device that its session does not have", &[403], |who| {
            (Some(who), json!({ "device_id": "khala-conform-nobodys-device" }))
        }))
    })
    .says("2", ANSWERS)
    .needs(NEEDS)
    .caught_by(&[Catch::Proxy("other_statuses")]),
    Case::must("mint_ttl_out_of_bounds", Minting, "a token for thirty years", |ctx| {
        Box::pin(status(ctx, "a token for thirty years", &[400, 422], |who| {
            (Some(who), json!({ "ttl_seconds": 1_000_000_000 }))
        }))
    })
    .says("2", ANSWERS)
    .needs(NEEDS)
    .caught_by(&[Catch::Proxy("other_statuses")]),
];

/// The session access token of somebody whose scope is the state of workers alone.
fn session(ctx: &Ctx, who: &Identity) -> Vec<Header> {
    session_of(ctx, who, &[SUMMARIES])
}

/// The session access token of somebody with these scopes.
fn session_of(ctx: &Ctx, who: &Identity, scopes: &[&str]) -> Vec<Header> {
    let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
    let mut credentials = ctx.world.target.credentials.clone();
    credentials.session_key.clone_from(&ctx.world.session_key);
    credentials.session_header(who, &scopes).into_iter().collect()
}

async fn ask(ctx: &Ctx, headers: &[Header], body: &Value) -> Result<Value, HttpError> {
    let body = Bytes::from(body.to_string());
    // Nothing of an answer is told: it may hold a token.
    let reply = ctx.world.control.post_for_token::<Value>(TOKEN_PATH, headers, body).await;
    reply.map(|reply| reply.document)
}

/// Why a good request got no token.
fn not_minted(error: &HttpError) -> Stop {
    match error.status() {
        Some(404) => not_applicable(
            "there is no control service at this address",
            "a target whose base URL serves POST /api/sync/token",
        ),
        Some(503) => not_applicable("minting is off (HTTP 503)", "a target that mints"),
        None | Some(429 | 500..) => undecided(format!("it was not answered: {error}")),
        Some(_) => not_applicable(
            format!("it takes no session access token of ours ({error})"),
            "a session key that is the target's, and tokens of the reference runtime's form",
        ),
    }
}

async fn answer(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let did = "Asked the control service for a token with a session access token.";
    let document = match ask(ctx, &session(ctx, &who), &json!({ "scopes": [SUMMARIES] })).await {
        Ok(document) => document,
        Err(error) => return Err(not_minted(&error)),
    };
    let data = &document["data"];
    let missing: Vec<_> =
        FIELDS.iter().filter(|name| data.get(**name).is_none()).copied().collect();
    if !missing.is_empty() {
        return broken(
            did,
            format!("The answer's `data` lacks {}.", missing.join(", ")),
            "All of the contract's fields should have been there.",
        );
    }
    let token = data["token"].as_str().unwrap_or_default();
    let connect = Connect::default();
    match ctx.try_dial(&who, &ctx.path(Some(token), &connect), &connect).await {
        Ok(_) => kept("the answer has all fields, and its token opened a socket"),
        Err(DialError::Refused(it)) if it.status < 429 => broken(
            did,
            format!("A token came, and the upgrade with it was refused with {it}."),
            "It should have opened a socket.",
        ),
        Err(error) => Err(undecided(error.to_string())),
    }
}

async fn granted(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let headers = session_of(ctx, &who, &[SUMMARIES, EVENTS]);
    let asked = ask(ctx, &headers, &json!({ "scopes": [SUMMARIES] })).await;
    let document = asked.map_err(|error| not_minted(&error))?;
    let did = format!(
        "As a session that may open {SUMMARIES} and {EVENTS}, asked the control service for a token for the first alone, \
         and joined with it."
    );
    let should = "The answer should have granted that topic alone, and the join should have allowed no other.";
    let grants = document["data"]["granted_topics"].as_array().into_iter().flatten();
    let grants: Value = grants.map(|it| it["topic"].clone()).collect();
    if grants != json!([SUMMARIES]) {
        return broken(did, format!("The answer grants {}.", quote(&grants)), should);
    }
    let token = document["data"]["token"].as_str().unwrap_or_default();
    let mut peer = ctx.open_with(&who, token, &Connect::default()).await?;
    let joined = peer.ask_ok(event::JOIN, json!({}), ctx.patience()).await?;
    let allowed = &joined.response()["allowed_topics"];
    if *allowed != grants {
        return broken(did, format!("The join allows {}.", quote(allowed)), should);
    }
    kept("what was granted is allowed, and no other topic")
}

/// A token of a few seconds: its answer and its own claims say the same, and after them it opens nothing.
async fn lives(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let did = "Asked the control service for a token of a few seconds.";
    let began = clock::now();
    let body = json!({ "scopes": [SUMMARIES], "ttl_seconds": LIFE.as_secs() });
    let asked = ask(ctx, &session(ctx, &who), &body).await;
    let document = asked.map_err(|error| match error.status() {
        Some(400 | 422) => not_applicable(
            format!("it mints no token of {LIFE:?} ({error})"),
            "a target that mints tokens of a few seconds",
        ),
        _ => not_minted(&error),
    })?;
    let data = &document["data"];
    let token = data["token"].as_str().unwrap_or_default();
    let Some(life) = data["expires_in"].as_u64() else {
        return Err(undecided("its answer has no expires_in"));
    };
    let should = "It should live no longer than the `expires_in` of its answer.";
    if let Some(claimed) = claimed_life(token)
        && claimed > life.saturating_add(1)
    {
        let came = format!(
            "The answer says {life} s, and the token's `exp` is {claimed} s after its `iat`."
        );
        return broken(did, came, should);
    }
    if life > 2 * LIFE.as_secs() {
        let why = "the token that came lives longer than was asked for";
        return Err(not_applicable(why, "a target that mints tokens of a few seconds"));
    }
    let connect = Connect::default();
    drop(ctx.open_with(&who, token, &connect).await?);
    tokio::time::sleep_until(began + Duration::from_secs(life) + CLOCKS_APART).await;
    match ctx.try_dial(&who, &ctx.path(Some(token), &connect), &connect).await {
        Ok(_) => {
            broken(did, format!("It said {life} s, and opened a socket 5 s after them."), should)
        }
        Err(DialError::Refused(it)) if it.status < 429 => {
            kept(format!("after the {life} s of its answer it was refused with {it}"))
        }
        Err(error) => Err(undecided(error.to_string())),
    }
}

/// How long a token says itself that it lives, in seconds.
fn claimed_life(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    u64::try_from(claims["exp"].as_i64()? - claims["iat"].as_i64()?).ok()
}

async fn status(
    ctx: &Ctx,
    what: &str,
    wanted: &[u16],
    request: impl Fn(Identity) -> (Option<Identity>, Value),
) -> Outcome {
    // Whether it mints at all.
    let who = ctx.somebody();
    let whole = ask(ctx, &session(ctx, &who), &json!({ "scopes": [SUMMARIES] })).await;
    if let Err(error) = whole {
        return Err(not_minted(&error));
    }
    let (who, body) = request(who);
    let headers = who.map(|who| session(ctx, &who)).unwrap_or_default();
    let should: Vec<_> = wanted.iter().map(|status| format!("HTTP {status}")).collect();
    let should = format!("It should have been refused with {}.", should.join(" or "));
    let did = format!("Asked the control service for {what}.");
    match ask(ctx, &headers, &body).await {
        Ok(_) => broken(did, "A token came.", should),
        Err(error) => match error.status() {
            Some(status) if wanted.contains(&status) => kept(format!("refused with HTTP {status}")),
            Some(status) if status < 429 || status == 500 => {
                broken(did, format!("It was answered with HTTP {status}."), should)
            }
            _ => Err(undecided(error.to_string())),
        },
    }
}
