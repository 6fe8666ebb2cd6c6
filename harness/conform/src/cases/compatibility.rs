//! Which builds, protocols and schemas of clients a target lets join, where it enforces that.

use khala_wire::message::event;
use serde_json::json;

use crate::case::Area::Compatibility;
use crate::case::{Case, Catch};
use crate::ctx::{Connect, Ctx, all_topics};
use crate::outcome::{Outcome, broken, kept, not_applicable, undecided};
use crate::peer::quote;

const CODES: &str = "`invalid_client_build`, `unsupported_protocol_version`, `unsupported_schema_version`, \
                     `upgrade_required` (build below minimum), `unsupported_client_build` (above maximum)";
const FIELDS: &str = "payload also carries `message`, `retryable:false`, `upgrade_required:true`, \
                      `surface:\"khala_websocket\"`";
const CAUGHT: &[Catch] = &[Catch::Proxy("other_compatibility_codes")];

pub const CASES: &[Case] = &[
    Case::must("compat_protocol", Compatibility, "another protocol version", |ctx| {
        Box::pin(refused(ctx, "protocol_version", "khala.ws.v0", "unsupported_protocol_version"))
    })
    .says("3, compatibility", CODES)
    .caught_by(CAUGHT),
    Case::must("compat_schema", Compatibility, "another schema version", |ctx| {
        Box::pin(refused(ctx, "schema_version", "999", "unsupported_schema_version"))
    })
    .says("3, compatibility", CODES)
    .caught_by(CAUGHT),
    Case::must("compat_build_missing", Compatibility, "no build", |ctx| {
        Box::pin(refused(ctx, "client_build_id", "", "invalid_client_build"))
    })
    .says("3, compatibility", CODES)
    .caught_by(CAUGHT),
    Case::must("compat_build_old", Compatibility, "a build below the minimum", |ctx| {
        Box::pin(refused(ctx, "client_build_id", "00000000T000000Z", "upgrade_required"))
    })
    .says("3, compatibility", CODES)
    .caught_by(CAUGHT),
    Case::must("compat_build_new", Compatibility, "a build above the maximum", |ctx| {
        Box::pin(refused(ctx, "client_build_id", "99991231T000000Z", "unsupported_client_build"))
    })
    .says("3, compatibility", CODES)
    .caught_by(CAUGHT),
    Case::must("compat_refusal", Compatibility, "what a refusal tells the client", |ctx| {
        Box::pin(fields(ctx))
    })
    .says("3, compatibility", FIELDS)
    .caught_by(&[Catch::Proxy("retryable_refusals")]),
];

/// The refusal of a join with one parameter changed; `None` where it was let in.
async fn join(
    ctx: &Ctx,
    name: &'static str,
    value: &'static str,
) -> Result<Option<crate::peer::Msg>, crate::outcome::Stop> {
    let who = ctx.somebody();
    let token = ctx.token(&who, &all_topics()).await?;
    let connect = Connect { instead: vec![(name, value)], ..Connect::default() };
    let mut peer = ctx.open_with(&who, &token, &connect).await?;
    let reply = peer.ask(event::JOIN, json!({}), ctx.patience()).await?;
    match reply.status() {
        "ok" => Ok(None),
        "error" => Ok(Some(reply)),
        _ => Err(undecided(format!("the join was answered {}", reply.told()))),
    }
}

async fn refused(
    ctx: &Ctx,
    name: &'static str,
    value: &'static str,
    code: &'static str,
) -> Outcome {
    let Some(reply) = join(ctx, name, value).await? else {
        return Err(not_applicable(
            format!("it lets a client with {name}={value} join, so it does not enforce this"),
            "a target that enforces compatibility, and bounds builds",
        ));
    };
    if reply.response()["code"] == code {
        return kept(format!("refused with `{code}`"));
    }
    broken(
        format!("Joined with {name}={value}."),
        format!("It was refused with {}.", quote(reply.response())),
        format!("The code should have been `{code}`: clients stop reconnecting by it."),
    )
}

async fn fields(ctx: &Ctx) -> Outcome {
    let Some(reply) = join(ctx, "protocol_version", "khala.ws.v0").await? else {
        return Err(not_applicable(
            "it lets a client with protocol_version=khala.ws.v0 join, so it does not enforce this",
            "a target that enforces compatibility",
        ));
    };
    let response = reply.response();
    let bounds =
        ["min_client_build_id", "max_client_build_id", "min_schema_version", "max_schema_version"];
    let lacks: Vec<_> =
        bounds.iter().filter(|name| response.get(**name).is_none()).copied().collect();
    let right = response["message"].is_string()
        && response["retryable"] == false
        && response["upgrade_required"] == true
        && response["surface"] == "khala_websocket"
        && response["protocol_version"].is_string();
    if right && lacks.is_empty() {
        return kept("message, retryable, upgrade_required, surface and all bounds are there");
    }
    broken(
        "Joined with protocol_version=khala.ws.v0.",
        format!("The refusal is {}.", quote(response)),
        "It should have had message, retryable false, upgrade_required true, surface, protocol_version, and the \
         bounds of builds and schemas.",
    )
}
