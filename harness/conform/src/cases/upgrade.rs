//! The upgrade: where it is, which serializers it serves, and how it is refused.

use khala_engine::clock;
use khala_engine::handshake::{self, Interim, Request};
use khala_engine::reach::Outgoing;
use khala_engine::transport::DialError;
use khala_evidence::record::Breach;
use khala_wire::message::event;
use serde_json::json;

use crate::case::Area::Upgrade;
use crate::case::{Case, Catch};
use crate::ctx::{Connect, Ctx, all_topics};
use crate::outcome::{Outcome, broken, kept, undecided};
use crate::peer::{Heard, Peer};

pub const CASES: &[Case] = &[
    Case::must("upgrade_opens", Upgrade, "a good token opens a socket", |ctx| Box::pin(opens(ctx)))
        .says(
            "3, path",
            "The runtime serves `/socket/websocket`; the public edge maps `/sync/socket/websocket` to it.",
        )
        .caught_by(&[Catch::Proxy("accept_key")]),
    Case::must("upgrade_declines_offers", Upgrade, "compression and subprotocols are declined", |ctx| {
        Box::pin(declines(ctx))
    })
    .says("3, framing", "Compression and subprotocols are declined.")
    .caught_by(&[Catch::Proxy("takes_compression"), Catch::Proxy("takes_subprotocol")]),
    Case::must("upgrade_refusal_is_empty_403", Upgrade, "a refusal is 403 without a body", |ctx| {
        Box::pin(refusal(ctx))
    })
    .says(
        "3, framing",
        "Upgrades without a valid token are refused with HTTP 403 and an empty body, whatever the reason.",
    )
    .caught_by(&[Catch::Proxy("refusal_401"), Catch::Proxy("refusal_with_body")]),
    Case::must("vsn_1", Upgrade, "vsn=1.0.0 speaks objects", |ctx| {
        Box::pin(objects(ctx, Some("1.0.0")))
    })
    .says("3, framing", "Without `vsn`, or with `1.0.0`, frames are V1 objects")
    .caught_by(&[Catch::Proxy("always_vsn_2")]),
    Case::must("vsn_absent", Upgrade, "no vsn speaks objects", |ctx| Box::pin(objects(ctx, None)))
        .says("3, framing", "Without `vsn`, or with `1.0.0`, frames are V1 objects")
        .caught_by(&[Catch::Proxy("always_vsn_2")]),
    Case::must("vsn_unknown", Upgrade, "any other vsn is refused", |ctx| Box::pin(unknown_vsn(ctx)))
        .says("3, framing", "any other vsn is refused.")
        .caught_by(&[Catch::Proxy("always_vsn_2")]),
];

async fn opens(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let token = ctx.token(&who, &all_topics()).await?;
    let connect = Connect::default();
    match ctx.try_dial(&who, &ctx.path(Some(&token), &connect), &connect).await {
        Ok(_) => kept("a good token opened a socket"),
        Err(
            error @ (DialError::Timeout(..) | DialError::Connection(..) | DialError::Reach(..)),
        ) => Err(undecided(error.to_string())),
        Err(error) => broken(
            format!("Asked for {} with a good token.", ctx.world.target.socket_path),
            format!("No socket came of it: {error}."),
            "It should have been upgraded as RFC 6455 says.",
        ),
    }
}

async fn declines(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let token = ctx.token(&who, &all_topics()).await?;
    let target = &ctx.world.target;
    let connect = async {
        let link = target.reach.connect(Outgoing::default()).await;
        let mut stream = link.map_err(|error| error.to_string())?.stream;
        let headers = format!(
            "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: phoenix\r\n{}",
            target.extras.head()
        );
        let host = target.reach.place().authority();
        let path = ctx.path(Some(&token), &Connect::default());
        let request = Request {
            host: &host,
            path_and_query: &path,
            user_agent: &ctx.world.user_agent,
            headers: &headers,
            builds: None,
        };
        Ok(handshake::upgrade(&mut stream, &request, Interim::Skipped).await)
    };
    let answer = tokio::time::timeout(ctx.patience(), connect).await;
    let answer: Result<_, String> =
        answer.unwrap_or_else(|_| Err("the upgrade was not answered in time".to_owned()));
    let did = "Offered permessage-deflate and a subprotocol with the upgrade.";
    match answer.map_err(undecided)? {
        Ok(_) => kept("both were offered, and the socket opened without either"),
        Err(handshake::Error::Breached(breach @ (Breach::Extension | Breach::Subprotocol))) => {
            broken(
                did,
                format!("The answer has {breach}."),
                "It should have left both out: real clients offer neither, and fail a connection that has one.",
            )
        }
        Err(handshake::Error::Refused(refusal)) => broken(
            did,
            format!("The upgrade was refused with {refusal}."),
            "It should have upgraded, and left both out.",
        ),
        Err(_) => Err(undecided("the upgrade's answer could not be read")),
    }
}

async fn refusal(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let connect = Connect::default();
    for (what, token) in [("no token", None), ("a token that is none", Some("not-a-token"))] {
        match ctx.try_dial(&who, &ctx.path(token, &connect), &connect).await {
            Err(DialError::Refused(it)) if it.status == 403 && it.body.is_empty() => {}
            Err(DialError::Refused(it)) if matches!(it.status, 429 | 500..) => {
                return Err(undecided(format!("an upgrade with {what} was refused with {it}")));
            }
            Err(DialError::Refused(it)) => {
                let body = match it.body.is_empty() {
                    true => "without a body".to_owned(),
                    false => format!("with the body `{}`", khala_engine::said::text(&it.body)),
                };
                return broken(
                    format!("Asked for a socket with {what}."),
                    format!("It was refused with {it} {body}."),
                    "It should have been HTTP 403 with an empty body.",
                );
            }
            // Whether it may open is for another case.
            Ok(_) => return Err(undecided(format!("an upgrade with {what} was not refused"))),
            Err(error) => return Err(undecided(error.to_string())),
        }
    }
    kept("no token and a token that is none were refused with 403 and an empty body")
}

async fn objects(ctx: &Ctx, vsn: Option<&'static str>) -> Outcome {
    let who = ctx.somebody();
    let token = ctx.token(&who, &all_topics()).await?;
    let connect = Connect { vsn: Some(vsn), ..Connect::default() };
    let said = vsn.map_or_else(|| "without vsn".to_owned(), |vsn| format!("with vsn={vsn}"));
    let did = format!("Opened a socket {said} and joined with an object.");
    let should = "The join's reply should have been an object with topic, event, payload and ref.";
    let dialed = ctx.try_dial(&who, &ctx.path(Some(&token), &connect), &connect).await;
    let mut peer = match dialed {
        Ok(peer) => peer,
        Err(DialError::Refused(it)) if it.status < 429 => {
            return broken(did, format!("The upgrade was refused with {it}."), should);
        }
        Err(error) => return Err(undecided(error.to_string())),
    };
    peer.push(&json!(null), &json!("1"), khala_wire::CHANNEL, event::JOIN, &json!({})).await;
    let from = 0;
    let reply = peer.first(from, ctx.patience(), |msg| msg.event == event::REPLY).await;
    match reply {
        Some(msg) if msg.msg_ref == "1" && msg.status() == "ok" => {
            kept(format!("{said}, the join was answered by an object"))
        }
        Some(msg) => broken(did, format!("It answered {}.", msg.told()), should),
        None => broken(did, format!("{}.", instead(&peer)), should),
    }
}

/// What a socket said in place of what was awaited, as a sentence without its full stop.
pub fn instead(peer: &Peer) -> String {
    match (peer.ended(), peer.log.last()) {
        (Some(ended), _) => format!("Then {}", ended.told()),
        (None, Some(msg)) => format!("It said {} at last, and nothing more", msg.told()),
        (None, None) => "Nothing came".to_owned(),
    }
}

async fn unknown_vsn(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let token = ctx.token(&who, &all_topics()).await?;
    let connect = Connect { vsn: Some(Some("9.9.9")), ..Connect::default() };
    match ctx.try_dial(&who, &ctx.path(Some(&token), &connect), &connect).await {
        Err(DialError::Refused(it)) if it.status < 429 => {
            kept(format!("vsn=9.9.9 was refused with {it}"))
        }
        Err(error) => Err(undecided(error.to_string())),
        Ok(mut peer) => {
            // Upgraded and closed at once is a refusal too, if a late one.
            let until = clock::now() + ctx.times().quiet;
            if let Heard::Ended(ended) = peer.next(until).await {
                return kept(format!("vsn=9.9.9 was let in, and then {}", ended.told()));
            }
            broken(
                "Asked for a socket with vsn=9.9.9 and a good token.",
                "It was opened, and stayed open.",
                "It should have been refused: no serializer of that version is known.",
            )
        }
    }
}
