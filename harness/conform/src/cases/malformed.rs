//! What a client sends that means nothing, and what it costs: its channel or its socket, and no more.

use khala_wire::CHANNEL;
use khala_wire::message::event;
use serde_json::json;

use super::upgrade::instead;
use crate::case::Area::Malformed;
use crate::case::{Case, Catch, Level};
use crate::ctx::{Ctx, all_topics};
use crate::outcome::{Outcome, broken, kept};
use crate::peer::{Ended, JOIN_REF};

const SAYS: &str =
    "Bad JSON, a wrong array shape or a bad binary frame closes the socket with 1011.";
const CAUGHT: &[Catch] = &[Catch::Defect("wrong_close_code")];

pub const CASES: &[Case] = &[
    Case::must("malformed_json", Malformed, "a text that is no JSON", |ctx| {
        Box::pin(text(ctx, "a text that is no JSON", "{not json"))
    })
    .says("3, framing", SAYS)
    .caught_by(CAUGHT),
    Case::must("malformed_arity", Malformed, "an array of three", |ctx| {
        Box::pin(text(ctx, "an array of three", r#"["1","2","sync:v1"]"#))
    })
    .says("3, framing", SAYS)
    .caught_by(CAUGHT),
    Case::must("malformed_object", Malformed, "an object where arrays are spoken", |ctx| {
        let object = r#"{"topic":"sync:v1","event":"sync:heartbeat","payload":{},"ref":"2"}"#;
        Box::pin(text(ctx, "an object on a socket of vsn=2.0.0", object))
    })
    .says("3, framing", SAYS)
    .caught_by(CAUGHT),
    Case::must("malformed_binary", Malformed, "a binary frame that means nothing", |ctx| {
        Box::pin(binary(ctx))
    })
    .says("3, framing", SAYS)
    .caught_by(CAUGHT),
    Case::must("unknown_event", Malformed, "an event that there is none of", |ctx| {
        Box::pin(unknown(ctx))
    })
    .says(
        "3, framing",
        "An unknown event name crashes the channel (`phx_error`; the socket stays open, a rejoin works).",
    )
    .caught_by(&[Catch::Proxy("swallows_close")]),
    Case::must("ping_answered", Malformed, "a ping of RFC 6455", |ctx| Box::pin(ping(ctx)))
        .level(Level::Should)
        .says("3, path", "The runtime serves `/socket/websocket`"),
    Case::must("close_answered", Malformed, "a close frame of the client's", |ctx| {
        Box::pin(close(ctx))
    })
    .level(Level::Should)
    .says("3, path", "The runtime serves `/socket/websocket`"),
];

async fn text(ctx: &Ctx, what: &str, text: &str) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    peer.send_text(text).await;
    let ended = peer.end(ctx.patience()).await;
    closed(&format!("Sent {what}."), ended)
}

async fn binary(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    peer.send_binary(vec![0xff, 0x00, 0x07]).await;
    let ended = peer.end(ctx.patience()).await;
    closed("Sent a binary frame of three bytes that mean nothing.", ended)
}

fn closed(did: &str, ended: Option<Ended>) -> Outcome {
    let should = "The socket should have been closed with 1011.";
    match ended {
        Some(Ended::Closed(Some(1011))) => kept("closed with 1011"),
        Some(ended) => broken(did, format!("Then {}.", ended.told()), should),
        None => broken(did, "The socket stayed open.", should),
    }
}

async fn unknown(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let from = peer.log.len();
    let event = "khala:no_such_event";
    peer.push(&json!(JOIN_REF), &json!("70"), CHANNEL, event, &json!({})).await;
    let crash = peer.first(from, ctx.patience(), |msg| msg.event == event::ERROR).await;
    let did = format!("Sent the event `{event}` to the channel.");
    let should = "The channel should have crashed with phx_error, the socket stayed, and a new join been answered ok.";
    let Some(crash) = crash else {
        return broken(did, format!("No phx_error came. {}.", instead(&peer)), should);
    };
    if crash.join_ref != JOIN_REF {
        return broken(did, format!("The phx_error is {}.", crash.told()), should);
    }
    let join = json!("71");
    let joined =
        peer.try_ask_as(&join, &join, CHANNEL, event::JOIN, &json!({}), ctx.patience()).await;
    match joined {
        Ok(msg) if msg.status() == "ok" => kept("phx_error, and a new join was answered ok"),
        Ok(msg) => broken(did, format!("The new join was answered {}.", msg.told()), should),
        Err(came) => broken(did, format!("After the phx_error, {came}."), should),
    }
}

async fn ping(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    peer.ping().await;
    // A pong is no message; an answer after it shows that it had its time.
    let _ = peer.try_ask(event::HEARTBEAT, &json!({}), ctx.patience()).await;
    match peer.pongs {
        0 => broken(
            "Sent a ping, and a heartbeat after it.",
            "The heartbeat was answered, the ping was not.",
            "A ping should be answered by a pong (RFC 6455, section 5.5.2): proxies take a peer that does not for dead.",
        ),
        _ => kept("answered by a pong"),
    }
}

async fn close(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    peer.goodbye().await;
    match peer.end(ctx.patience()).await {
        Some(Ended::Closed(_)) => kept("answered by a close frame"),
        Some(Ended::Cut(how)) => kept(format!("answered by the end of the connection ({how})")),
        Some(ended) => broken(
            "Closed a socket in good order.",
            format!("Then {}.", ended.told()),
            "A close frame should be answered by one (RFC 6455, section 5.5.1).",
        ),
        None => broken(
            "Closed a socket in good order.",
            "It was not answered, and the connection stayed.",
            "A close frame should be answered by one (RFC 6455, section 5.5.1).",
        ),
    }
}
