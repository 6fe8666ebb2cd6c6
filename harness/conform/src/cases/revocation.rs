//! Sessions and devices that are revoked, and tokens that expire while their socket is open.

use std::time::Duration;

use khala_engine::clock;
use khala_engine::http::HttpError;
use khala_plan::schedule::Identity;
use khala_wire::command::REVOKE_PATH;
use khala_wire::message::event;
use serde_json::{Value, json};

use super::tokens::{SHORT_LIFE, ShortLived};
use super::upgrade::instead;
use crate::case::Area::Revocation;
use crate::case::{Case, Catch, Does, Level, Need, Takes};
use crate::ctx::{Connect, Ctx, all_topics};
use crate::outcome::{Found, Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::{Ended, Peer, word};

const SAYS: &str = "evicts live sockets of the session (`sync:error` `reauth_required`, then close) and refuses their \
                    joins for 900 s.";
const MINTING: &[Need] = &[Need::Minting];
/// Sockets of the session that is revoked: a runtime may be several processes.
const SOCKETS: usize = 4;

pub const CASES: &[Case] = &[
    Case::must("revoke_evicts", Revocation, "all live sockets of a revoked session end", |ctx| {
        Box::pin(evicts(ctx))
    })
    .says("2", SAYS)
    .does(Does::Revokes)
    .needs(MINTING)
    .caught_by(&[Catch::Defect("revocation_ignored")]),
    Case::must("revoke_close_code", Revocation, "they end with 1011", |ctx| Box::pin(code(ctx)))
        .says(
            "3, closes",
            "may or may not arrive before the close, 1011; its next join is refused with `reauth_required`.",
        )
        .does(Does::Revokes)
        .needs(MINTING)
        .caught_by(&[Catch::Defect("wrong_close_code")]),
    Case::must("revoke_refuses_join", Revocation, "a revoked session's next join is refused", |ctx| {
        Box::pin(refuses(ctx, Duration::ZERO))
    })
    .says("3, join", "(`{\"code\",\"message\",\"reauth_required\":true,\"reason\"}`; the upgrade itself is accepted)")
    .does(Does::Revokes)
    .needs(MINTING)
    .caught_by(&[Catch::Defect("revocation_ignored")]),
    Case::must("revoke_is_remembered", Revocation, "some seconds later it is refused still", |ctx| {
        Box::pin(refuses(ctx, ctx.times().revoked_still))
    })
    .says("2", SAYS)
    .does(Does::Revokes)
    .needs(MINTING)
    .takes(Takes::Seconds(6))
    .caught_by(&[Catch::Defect("revocation_forgotten")]),
    Case::must("revoke_is_remembered_long", Revocation, "and as long as is waited", |ctx| {
        Box::pin(refuses_long(ctx))
    })
    .says("2", SAYS)
    .does(Does::Revokes)
    .needs(MINTING)
    .takes(Takes::Revoked)
    .caught_by(&[Catch::Defect("revocation_forgotten")]),
    Case::must("revoke_spares_others", Revocation, "another session of the same user goes on", |ctx| {
        Box::pin(spares(ctx))
    })
    .says("2", SAYS)
    .does(Does::Revokes)
    .needs(MINTING)
    .caught_by(&[Catch::Proxy("revokes_everybody"), Catch::Proxy("revokes_devices")]),
    Case::must("revoke_device", Revocation, "a revoked device's socket", |ctx| Box::pin(device(ctx)))
        .level(Level::Silent)
        .says("2", "\"device_ids\":[…],\"reason\":\"…\"}`")
        .does(Does::Revokes)
        .needs(MINTING),
    Case::must("expiry_on_live_socket", Revocation, "a token that expires while its socket is open", |ctx| {
        Box::pin(expires(ctx))
    })
    .level(Level::Silent)
    .says(
        "1, rule 8",
        "A token opens only the topics in its scopes, only until it expires or is revoked.",
    )
    .needs(MINTING)
    .takes(SHORT_LIFE),
];

/// Revokes these.
pub(super) async fn revoke(ctx: &Ctx, sessions: &[&str], devices: &[&str]) -> Result<(), Stop> {
    let body = json!({ "session_ids": sessions, "device_ids": devices, "reason": "conform" });
    let user = ctx.world.plan.fleet.publisher_id();
    let credentials = &ctx.world.target.credentials;
    let mut headers = credentials.command_headers(&user, ctx.fresh_name("nonce"));
    headers.extend(ctx.world.target.admin_headers());
    let posted = ctx.world.http.post::<Value>(REVOKE_PATH, &headers, body.to_string().into()).await;
    posted.map(drop).map_err(|error| match error {
        HttpError::Status { status: 401 | 403 | 404, .. } => not_applicable(
            format!("a revocation was refused: {error}"),
            "a target that revokes, with a command secret and an admin token that are its own",
        ),
        error => undecided(format!("on the way, a revocation was not answered: {error}")),
    })
}

async fn joined(ctx: &Ctx, who: &Identity, count: usize) -> Result<Vec<Peer>, Stop> {
    let mut peers = Vec::new();
    for _ in 0..count {
        peers.push(ctx.join(who, &all_topics()).await?);
    }
    Ok(peers)
}

async fn evicts(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let peers = joined(ctx, &who, SOCKETS).await?;
    revoke(ctx, &[&who.session], &[]).await?;
    let mut left = 0;
    for mut peer in peers {
        if peer.end(ctx.patience() / 2).await.is_none() {
            left += 1;
        }
    }
    match left {
        0 => kept(format!("all {SOCKETS} ended")),
        left => broken(
            format!("Opened {SOCKETS} sockets of a session, and revoked it."),
            format!("{left} of them stayed open."),
            "All of them should have been closed: whoever holds them may not be there any more.",
        ),
    }
}

async fn code(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let mut peer = ctx.join(&who, &all_topics()).await?;
    revoke(ctx, &[&who.session], &[]).await?;
    let did = "Revoked the session of a joined socket.";
    let should = "It should have been closed with 1011.";
    match peer.end(ctx.patience()).await {
        Some(Ended::Closed(Some(1011))) => kept("closed with 1011"),
        Some(ended) => broken(did, format!("Then {}.", ended.told()), should),
        None => broken(did, "It stayed open.", should),
    }
}

async fn refuses(ctx: &Ctx, after: Duration) -> Outcome {
    let who = ctx.somebody();
    revoke(ctx, &[&who.session], &[]).await?;
    tokio::time::sleep(after).await;
    refuses_now(ctx, &who, after).await
}

/// Tries again and again, at times that double, so that it is told by when it was forgotten.
async fn refuses_long(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let (began, most) = (clock::now(), ctx.times().revoked_long);
    revoke(ctx, &[&who.session], &[]).await?;
    let mut after = most.min(ctx.times().revoked_still);
    loop {
        tokio::time::sleep_until(began + after).await;
        let found = refuses_now(ctx, &who, after).await;
        if after >= most || !matches!(found, Ok(Found::Kept(_))) {
            return found;
        }
        after = most.min(2 * after);
    }
}

async fn refuses_now(ctx: &Ctx, who: &Identity, after: Duration) -> Outcome {
    let did = match after.is_zero() {
        true => "Revoked a session, and joined as it.".to_owned(),
        false => format!("Revoked a session, and joined as it {after:?} later."),
    };
    let should = "The upgrade should have been accepted, and the join refused with `reauth_required`, for 900 s.";
    let token = ctx.token(who, &all_topics()).await?;
    let connect = Connect::default();
    let dialed = ctx.try_dial(who, &ctx.path(Some(&token), &connect), &connect).await;
    let mut peer = match dialed {
        Ok(peer) => peer,
        Err(khala_engine::transport::DialError::Refused(it)) if it.status < 429 => {
            return broken(did, format!("The upgrade was refused with {it}."), should);
        }
        Err(error) => return Err(undecided(error.to_string())),
    };
    match peer.try_ask(event::JOIN, &json!({}), ctx.patience()).await {
        Ok(msg) if msg.status() == "ok" => broken(did, "It was let in.", should),
        Ok(msg)
            if msg.response()["code"] == "reauth_required"
                && msg.response()["reauth_required"] == true =>
        {
            kept("the join was refused with `reauth_required`")
        }
        Ok(msg) => broken(did, format!("The join was refused with {}.", word(msg.code())), should),
        Err(came) => broken(did, format!("Then {came}."), should),
    }
}

/// One on another device, and one on the same: devices are revoked by their own ids.
async fn spares(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let own = ctx.join(&who, &all_topics()).await?;
    let mut others = Vec::new();
    for (which, device) in [
        ("on another device", format!("{}-b", who.device)),
        ("on the same device", who.device.clone()),
    ] {
        let session = format!("{}-{}", who.session, others.len());
        let other = Identity { session, device, ..who.clone() };
        others.push((which, ctx.join(&other, &all_topics()).await?));
    }
    revoke(ctx, &[&who.session], &[]).await?;
    drop(own);
    for (which, mut peer) in others {
        peer.listen(ctx.times().quiet).await;
        if let Err(came) = peer.try_ask(event::HEARTBEAT, &json!({}), ctx.patience()).await {
            return broken(
                format!("Revoked one session of a user who has another {which}."),
                format!("On the other one's socket, {came}."),
                "Only the session that was named should have been evicted.",
            );
        }
    }
    kept("the sockets of the user's other sessions go on")
}

async fn device(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let mut peer = ctx.join(&who, &all_topics()).await?;
    revoke(ctx, &[], &[&who.device]).await?;
    match peer.end(ctx.patience() / 2).await {
        Some(_) => kept("its socket was ended"),
        None => broken(
            "Revoked a device, by its id alone, that had a socket.",
            "The socket stayed open.",
            "The contract does not say what becomes of it; whoever lost a device would expect it to be closed.",
        ),
    }
}

async fn expires(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let short = ShortLived::of(ctx, &who).await?;
    let mut peer = ctx.open_with(&who, &short.token, &Connect::default()).await?;
    peer.ask_ok(event::JOIN, json!({}), ctx.patience()).await?;
    if let Some(ended) = peer.end(short.left()).await {
        return kept(format!("after the token's end, {}", ended.told()));
    }
    let lives = peer.try_ask(event::HEARTBEAT, &json!({}), ctx.patience()).await;
    match lives {
        Ok(_) => broken(
            "Opened a socket with a token of a few seconds, and waited until it had expired.",
            "The socket was still open, and its channel answered.",
            "The contract does not say what becomes of it; a token that is to end access should end its socket too.",
        ),
        Err(_) => kept(format!("after the token's end, the channel is gone. {}", instead(&peer))),
    }
}
