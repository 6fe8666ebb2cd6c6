//! Heartbeats of both sides, and what ends without them.

use khala_engine::clock;
use std::time::Duration;

use futures_util::future;
use khala_wire::message::event;
use khala_wire::{CHANNEL, PHOENIX_CHANNEL};
use serde_json::json;

use super::upgrade::instead;
use crate::case::Area::Heartbeat;
use crate::case::{Case, Catch, Takes};
use crate::ctx::{Ctx, EVENTS, SUMMARIES, all_topics};
use crate::outcome::{Found, Outcome, broken, kept, undecided};
use crate::peer::{Ended, JOIN_REF, Msg, Peer, quote};

const IDLE: &str = "Only `sync:heartbeat` and successful subscribes and unsubscribes keep the channel alive: after 60 \
                    s without (seen at the next 15 s tick) it is closed with a bare `phx_close` while the socket \
                    stays open.";

pub const CASES: &[Case] = &[
    Case::must("client_heartbeat", Heartbeat, "a client's heartbeat is pushed back and answered", |ctx| {
        Box::pin(client(ctx))
    })
    .says(
        "3, heartbeats",
        "A client's `sync:heartbeat {}` gets such a push, then an ok reply `{\"subscription_id\",\"watermarks\"}`.",
    )
    .caught_by(&[Catch::Defect("heartbeats_unanswered"), Catch::Proxy("first_mark_alone")]),
    Case::must("server_heartbeat", Heartbeat, "the server's own heartbeat", |ctx| {
        Box::pin(server(ctx))
    })
    .says("3, heartbeats", "The server pushes `sync:heartbeat {\"watermarks\":[…]}` every 15 s.")
    .takes(Takes::Idle)
    .caught_by(&[Catch::Proxy("swallows_heartbeats")]),
    Case::must("phoenix_heartbeats", Heartbeat, "one after the other is answered with its own ref", |ctx| {
        Box::pin(phoenix(ctx))
    })
    .says("3, framing", "refs are strings or null, and are echoed as they came (numbers too).")
    .takes(Takes::Idle)
    .caught_by(&[Catch::Proxy("answers_beats_late")]),
    Case::must("channel_idle", Heartbeat, "a channel without heartbeats is closed, its socket is not", |ctx| {
        Box::pin(idle_channel(ctx))
    })
    .says("3, heartbeats", IDLE)
    .takes(Takes::Idle)
    .caught_by(&[Catch::Proxy("swallows_close")]),
    Case::must("channel_kept_alive", Heartbeat, "a client that beats as real ones do is kept", |ctx| {
        Box::pin(kept_alive(ctx))
    })
    .says("3, heartbeats", "Real clients heartbeat every 20 s.")
    .takes(Takes::Idle)
    .caught_by(&[Catch::Proxy("drops_client_heartbeats")]),
    Case::must(
        "subscribes_keep_alive",
        Heartbeat,
        "a client that subscribes, or unsubscribes, is kept as one that beats",
        |ctx| Box::pin(subscribes(ctx)),
    )
    .says("3, heartbeats", IDLE)
    .takes(Takes::Idle)
    .caught_by(&[Catch::Proxy("closes_without_beats")]),
    Case::must("socket_idle", Heartbeat, "a socket without traffic is closed", |ctx| {
        Box::pin(idle_socket(ctx))
    })
    .says(
        "3, heartbeats",
        "A socket without traffic in either direction for 60 s is closed with 1002.",
    )
    .takes(Takes::Idle)
    .caught_by(&[Catch::Defect("wrong_close_code")]),
];

async fn client(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS, SUMMARIES]).await?;
    let from = peer.log.len();
    let did = "Sent a `sync:heartbeat`, with two topics subscribed.";
    let should = "A push of sync:heartbeat with each topic's watermark should have come, and then an ok reply with \
                  subscription_id and watermarks.";
    let reply = match peer.try_ask(event::HEARTBEAT, &json!({}), ctx.patience()).await {
        Ok(reply) => reply,
        Err(came) => return broken(did, format!("Then {came}."), should),
    };
    let names = |value: &serde_json::Value| {
        let marks = value["watermarks"].as_array();
        let has = |topic: &str| marks.is_some_and(|it| it.iter().any(|it| it["topic"] == topic));
        has(EVENTS) && has(SUMMARIES)
    };
    let pushed =
        peer.log[from..].iter().any(|msg| msg.event == event::HEARTBEAT && names(&msg.payload));
    let response = reply.response();
    if reply.status() != "ok" || !response["subscription_id"].is_string() || !names(response) {
        return broken(did, format!("It answered {}.", quote(&reply.payload)), should);
    }
    match pushed {
        true => kept("a push and an ok reply, both with each topic's watermark"),
        false => broken(did, "The reply came without such a push before it.", should),
    }
}

/// Keeps the socket alive, and not the channel; its ref.
async fn phoenix_beat(peer: &mut Peer) -> String {
    let msg_ref = peer.fresh_ref();
    let (nothing, empty) = (json!(null), json!({}));
    peer.push(&nothing, &json!(msg_ref), PHOENIX_CHANNEL, event::PHOENIX_HEARTBEAT, &empty).await;
    msg_ref
}

/// How many times something that is to go on is waited for: once says nothing of it.
const TIMES: u32 = 3;

async fn server(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let beat = ctx.times().beat;
    let within = beat + beat / 2 + Duration::from_secs(2);
    let fits = |msg: &Msg| msg.event == event::HEARTBEAT && msg.payload["watermarks"].is_array();
    for nth in 1..=TIMES {
        let from = peer.log.len();
        if peer.first(from, within, fits).await.is_none() {
            return broken(
                format!("Joined, and listened for {within:?} for each of {TIMES} heartbeats."),
                format!("Number {nth} of the server's did not come. {}.", instead(&peer)),
                format!("They should have come every {beat:?}."),
            );
        }
    }
    kept(format!("{TIMES} came, one after the other"))
}

async fn phoenix(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let every = ctx.times().client_beat.min(ctx.times().socket_idle / 3);
    for nth in 1..=TIMES {
        let from = peer.log.len();
        let asked = json!(phoenix_beat(&mut peer).await);
        let answers = |msg: &Msg| msg.topic == PHOENIX_CHANNEL && msg.event == event::REPLY;
        let reply = peer.first(from, ctx.patience(), answers).await;
        if reply.as_ref().is_none_or(|msg| msg.msg_ref != asked) {
            let came =
                reply.map_or_else(|| instead(&peer), |msg| format!("It answered {}", msg.told()));
            return broken(
                format!(
                    "Sent Phoenix's heartbeat every {every:.0?}; number {nth} with the ref {asked}."
                ),
                format!("{came}."),
                "Each should have been answered with its own ref: a real client that waits in vain ends the socket.",
            );
        }
        peer.listen(every).await;
    }
    kept(format!("{TIMES} were answered, each with its own ref"))
}

async fn idle_channel(ctx: &Ctx) -> Outcome {
    let times = *ctx.times();
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let start = clock::now();
    let latest = times.channel_idle + times.beat + times.patience;
    let closed = |msg: &Msg| msg.topic == CHANNEL && msg.event == event::CLOSE;
    let from = peer.log.len();
    let mut close = None;
    while close.is_none()
        && clock::now().saturating_duration_since(start) < latest
        && peer.ended().is_none()
    {
        phoenix_beat(&mut peer).await;
        close = peer.first(from, times.client_beat.min(times.socket_idle / 3), closed).await;
    }
    let after = clock::now().saturating_duration_since(start);
    let did = format!("Joined, sent Phoenix's heartbeats alone, and listened for {:.0?}.", after);
    let should = format!(
        "After {:?} without a `sync:heartbeat`, at the next tick, the channel should have been closed with phx_close, \
         and the socket should have stayed.",
        times.channel_idle
    );
    if close.is_none() {
        return broken(did, format!("No phx_close came. {}.", instead(&peer)), should);
    }
    // A tick may fall right on the time-out; a second is no clock's fault.
    if after + Duration::from_secs(1) < times.channel_idle {
        return broken(did, format!("The channel was closed after {after:.1?} already."), should);
    }
    let from = peer.log.len();
    phoenix_beat(&mut peer).await;
    let answered = |msg: &Msg| msg.topic == PHOENIX_CHANNEL && msg.status() == "ok";
    match peer.first(from, times.patience, answered).await {
        Some(_) => kept("the channel was closed, and the socket answers still"),
        None => broken(did, format!("The channel was closed. {}.", instead(&peer)), should),
    }
}

async fn kept_alive(ctx: &Ctx) -> Outcome {
    let times = *ctx.times();
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let start = clock::now();
    let wanted = times.channel_idle + times.beat + times.beat / 3;
    let ends =
        |msg: &Msg| msg.topic == CHANNEL && matches!(&*msg.event, event::CLOSE | event::ERROR);
    let did = format!("Joined, and sent a `sync:heartbeat` every {:?}.", times.client_beat);
    let should = "The channel should have lived: that is how often real clients beat.";
    while clock::now().saturating_duration_since(start) < wanted {
        let msg_ref = json!(peer.fresh_ref());
        peer.push(&json!(JOIN_REF), &msg_ref, CHANNEL, event::HEARTBEAT, &json!({})).await;
        if peer.first(0, times.client_beat, ends).await.is_some() || peer.ended().is_some() {
            let came = format!(
                "After {:.1?} it was ended. {}.",
                clock::now().saturating_duration_since(start),
                instead(&peer)
            );
            return broken(did, came, should);
        }
    }
    kept(format!("the channel lived for {:.0?}", clock::now().saturating_duration_since(start)))
}

async fn subscribes(ctx: &Ctx) -> Outcome {
    let (one, other) = future::join(renewed(ctx, true), renewed(ctx, false)).await;
    match (one?, other?) {
        (Found::Kept(_), Found::Kept(_)) => kept("both channels lived"),
        (broken @ Found::Broken(_), _) | (_, broken) => Ok(broken),
    }
}

/// A channel without heartbeats, on which a client subscribes again and again, or unsubscribes twice.
async fn renewed(ctx: &Ctx, subscribes: bool) -> Outcome {
    let times = *ctx.times();
    // None on which other cases publish: where little is retained, what they do there ends who reads slowly.
    let quiet = |topic: &&str| ![EVENTS, SUMMARIES].contains(topic);
    let mut topics: Vec<_> = all_topics().into_iter().filter(quiet).take(2).collect();
    let mut peer = ctx.live(&topics).await?;
    let start = clock::now();
    // The last unsubscribe is after two of a client's beats: it carries the channel beyond this.
    let wanted = times.channel_idle + times.beat + times.beat / 3;
    let ends =
        |msg: &Msg| msg.topic == CHANNEL && matches!(&*msg.event, event::CLOSE | event::ERROR);
    let what = if subscribes { "subscribe" } else { "unsubscribe" };
    let did = format!(
        "Subscribed two topics, and sent no `sync:heartbeat`, but every {:?} a {what} that was answered ok.",
        times.client_beat
    );
    let should =
        "The channel should have lived: successful subscribes and unsubscribes keep it alive.";
    loop {
        let left = (start + wanted).saturating_duration_since(clock::now());
        if peer.first(0, times.client_beat.min(left), ends).await.is_some()
            || peer.ended().is_some()
        {
            let after = clock::now().saturating_duration_since(start);
            return broken(
                did,
                format!("After {after:.1?} it was ended. {}.", instead(&peer)),
                should,
            );
        }
        if left <= times.client_beat {
            return kept(format!("the channel lived for {wanted:.0?}"));
        }
        if subscribes {
            ctx.subscribe_from_now(&mut peer, &topics[..1]).await?;
        } else if let Some(topic) = topics.pop() {
            let list = json!({ "topics": [topic] });
            peer.ask_ok(event::UNSUBSCRIBE, list, ctx.patience()).await?;
        }
    }
}

async fn idle_socket(ctx: &Ctx) -> Outcome {
    let times = *ctx.times();
    // Not joined, so that no heartbeat of the server's is traffic.
    let mut peer = ctx.open(&ctx.somebody(), &all_topics()).await?;
    let start = clock::now();
    let ended = peer.end(times.socket_idle + times.beat + times.patience).await;
    let after = clock::now().saturating_duration_since(start);
    let did = "Opened a socket, did not join, and sent nothing.";
    let should = format!("After {:?} it should have been closed with 1002.", times.socket_idle);
    if !peer.log.is_empty() {
        return Err(undecided("the target sent something, so that the socket was not idle"));
    }
    match ended {
        Some(Ended::Closed(Some(1002))) if after + Duration::from_secs(1) >= times.socket_idle => {
            kept(format!("closed with 1002 after {after:.0?}"))
        }
        Some(ended) => broken(did, format!("After {after:.1?} {}.", ended.told()), should),
        None => broken(did, format!("It was still open after {after:.0?}."), should),
    }
}
