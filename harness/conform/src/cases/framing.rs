//! Phoenix's messages: references, replies and pushes.

use khala_wire::message::event;
use khala_wire::{CHANNEL, PHOENIX_CHANNEL};
use serde_json::json;

use super::upgrade::instead;
use crate::case::Area::Framing;
use crate::case::{Case, Catch, Does};
use crate::ctx::{Connect, Ctx, EVENTS, all_topics};
use crate::delivery::ours;
use crate::outcome::{Outcome, broken, kept, undecided};
use crate::peer::{JOIN_REF, quote};

pub const CASES: &[Case] = &[
    Case::must("refs_echoed", Framing, "references are echoed as they came", |ctx| {
        Box::pin(refs(ctx))
    })
    .says("3, framing", "refs are strings or null, and are echoed as they came (numbers too).")
    .caught_by(&[Catch::Proxy("refs_as_strings")]),
    Case::must("reply_shape", Framing, "what a reply looks like", |ctx| Box::pin(reply(ctx)))
        .says("3, framing", "`[join_ref, ref, topic, \"phx_reply\", {\"response\":{…},\"status\":\"ok\"|\"error\"}]`")
        .caught_by(&[Catch::Proxy("replies_without_response")]),
    Case::must("push_shape", Framing, "pushes carry the join_ref and no ref", |ctx| {
        Box::pin(pushes(ctx))
    })
    .says("3, framing", "Pushes from the server carry the join_ref and a null ref.")
    .caught_by(&[Catch::Proxy("pushes_with_refs")]),
    Case::must("phoenix_heartbeat", Framing, "Phoenix's own heartbeat", |ctx| {
        Box::pin(heartbeat(ctx))
    })
    .says("3, framing", "answered ok `{}` on topic `phoenix`.")
    .caught_by(&[Catch::Defect("heartbeats_unanswered")]),
    Case::must("live_on_v1", Framing, "a socket of V1 is live", |ctx| Box::pin(old_version(ctx)))
        .says(
            "3, framing",
            "Without `vsn`, or with `1.0.0`, frames are V1 objects \
             `{\"topic\",\"event\",\"payload\",\"ref\",\"join_ref\"}`;",
        )
        .does(Does::Writes)
        .caught_by(&[Catch::Proxy("silent_on_v1")]),
];

async fn refs(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    for msg_ref in [json!("a-\u{e9}7"), json!(42)] {
        let from = peer.log.len();
        let join_ref = json!(JOIN_REF);
        peer.push(&join_ref, &msg_ref, CHANNEL, event::HEARTBEAT, &json!({})).await;
        let reply = peer.first(from, ctx.patience(), |msg| msg.event == event::REPLY).await;
        let did = format!("Sent a heartbeat with the ref {}.", quote(&msg_ref));
        let should = "The reply should have carried the very same ref, of the same type.";
        match reply {
            Some(msg) if msg.msg_ref == msg_ref && msg.join_ref == join_ref => {}
            Some(msg) => {
                let came = format!(
                    "The reply's join_ref is {} and its ref {}.",
                    quote(&msg.join_ref),
                    quote(&msg.msg_ref)
                );
                return broken(did, came, should);
            }
            None => return broken(did, format!("{}.", instead(&peer)), should),
        }
    }
    kept("a text and a number came back as they were")
}

async fn reply(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.open(&ctx.somebody(), &all_topics()).await?;
    let join_ref = json!(JOIN_REF);
    peer.push(&join_ref, &join_ref, CHANNEL, event::JOIN, &json!({})).await;
    let reply = peer.first(0, ctx.patience(), |msg| msg.event == event::REPLY).await;
    let did = "Joined.";
    let should = "It should have been [join_ref, ref, \"sync:v1\", \"phx_reply\", {\"response\": {…}, \
                  \"status\": \"ok\"}].";
    let Some(msg) = reply else { return broken(did, format!("{}.", instead(&peer)), should) };
    let addressed = msg.join_ref == join_ref && msg.msg_ref == join_ref && msg.topic == CHANNEL;
    if addressed && msg.response().is_object() && msg.status() == "ok" {
        return kept("the join's reply has all five parts, and response and status");
    }
    broken(did, format!("The reply is {}.", msg.told()), should)
}

async fn pushes(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let join_ref = json!(JOIN_REF);
    let from = peer.log.len();
    peer.push(&join_ref, &json!("2"), CHANNEL, event::HEARTBEAT, &json!({})).await;
    let push = peer.first(from, ctx.patience(), |msg| msg.event == event::HEARTBEAT).await;
    let did = "Sent a `sync:heartbeat`, which the server answers with a push and a reply.";
    let should = "The push should have carried the channel's join_ref and null in place of a ref.";
    match push {
        Some(msg) if msg.join_ref == join_ref && msg.msg_ref.is_null() => {
            kept("the heartbeat's push carries join_ref and null")
        }
        Some(msg) => broken(did, format!("The push is {}.", msg.told()), should),
        None => broken(did, format!("{}.", instead(&peer)), should),
    }
}

async fn heartbeat(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let from = peer.log.len();
    peer.push(&json!(null), &json!("h-1"), PHOENIX_CHANNEL, event::PHOENIX_HEARTBEAT, &json!({}))
        .await;
    let reply = peer.first(from, ctx.patience(), |msg| msg.msg_ref == "h-1").await;
    let did = "Sent Phoenix's heartbeat.";
    let should = "It should have been answered ok with {} on the topic `phoenix`: clients without an answer \
                  take the socket for dead.";
    match reply {
        Some(msg) if msg.topic == PHOENIX_CHANNEL && msg.status() == "ok" => {
            kept("answered ok on `phoenix`")
        }
        Some(msg) => broken(did, format!("It answered {}.", msg.told()), should),
        None => broken(did, format!("{}.", instead(&peer)), should),
    }
}

async fn old_version(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut peers = Vec::new();
    for (vsn, told) in [(None, "without `vsn`"), (Some("1.0.0"), "with `vsn=1.0.0`")] {
        let who = ctx.somebody();
        let token = ctx.token(&who, &[EVENTS]).await?;
        let connect = Connect { vsn: Some(vsn), ..Connect::default() };
        let mut peer = ctx.open_with(&who, &token, &connect).await?;
        peer.ask_ok(event::JOIN, json!({}), ctx.patience()).await?;
        ctx.subscribe_from_now(&mut peer, &[EVENTS]).await?;
        peers.push((peer, told));
    }
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 2).await?;
    if !worker.arrives(ctx, &mut live, 0, 0).await.is_empty() {
        return Err(undecided("on the way, events did not come to a socket of V2"));
    }
    for (mut peer, told) in peers {
        let missing = worker.arrives(ctx, &mut peer, 0, 0).await;
        if !missing.is_empty() {
            return broken(
                format!("Connected {told}, joined, subscribed {EVENTS}, and published 2 events."),
                format!("{} did not come, as they did to a socket of V2.", ours(&missing)),
                "They should have been pushed as objects of V1.",
            );
        }
    }
    kept("events came as objects of V1, without `vsn` and with 1.0.0")
}
