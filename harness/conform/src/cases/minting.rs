//! The control service: who gets a sync token, and what is in the answer.

use bytes::Bytes;
use khala_engine::http::{Header, HttpError};
use khala_engine::transport::DialError;
use khala_plan::schedule::Identity;
use khala_wire::command::TOKEN_PATH;
use serde_json::{Value, json};

use crate::case::Area::Minting;
use crate::case::{Case, Catch, Need};
use crate::ctx::{Connect, Ctx, EVENTS, SUMMARIES};
use crate::outcome::{Outcome, Stop, broken, kept, not_applicable, undecided};

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
    let mut credentials = ctx.world.target.credentials.clone();
    credentials.session_key.clone_from(&ctx.world.session_key);
    credentials.session_header(who, &[SUMMARIES.to_owned()]).into_iter().collect()
}

async fn ask(ctx: &Ctx, headers: &[Header], body: &Value) -> Result<Value, HttpError> {
    let body = Bytes::from(body.to_string());
    // Nothing of an answer is told: it may hold a token.
    let reply = ctx.world.control.post_for_token::<Value>(TOKEN_PATH, headers, body).await;
    reply.map(|reply| reply.document)
}

fn no_service(error: &HttpError) -> Option<Stop> {
    match error.status() {
        Some(404) => Some(not_applicable(
            "there is no control service at this address",
            "a target whose base URL serves POST /api/sync/token",
        )),
        Some(503) => Some(not_applicable("minting is off (HTTP 503)", "a target that mints")),
        None | Some(429 | 500..) => Some(undecided(format!("it was not answered: {error}"))),
        Some(_) => None,
    }
}

async fn answer(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let did = "Asked the control service for a token with a session access token.";
    let document = match ask(ctx, &session(ctx, &who), &json!({ "scopes": [SUMMARIES] })).await {
        Ok(document) => document,
        Err(error) => {
            return match no_service(&error) {
                Some(stop) => Err(stop),
                None => Err(not_applicable(
                    format!("it takes no session access token of ours ({error})"),
                    "a session key that is the target's, and tokens of the reference runtime's form",
                )),
            };
        }
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
        return Err(no_service(&error).unwrap_or_else(|| {
            not_applicable(
                format!("it takes no session access token of ours ({error})"),
                "a session key that is the target's, and tokens of the reference runtime's form",
            )
        }));
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
