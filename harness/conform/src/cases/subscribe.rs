//! Subscribes: their reply, and requests that mean nothing.

use khala_wire::message::event;
use khala_wire::payload::CODE_STALE_CURSOR;
use serde_json::{Value, json};

use super::replay::RULE_5;
use super::window;
use crate::case::Area::Subscribe;
use crate::case::{Case, Catch, Does, Level, Need};
use crate::ctx::{Ctx, EVENTS, SUMMARIES, all_topics, subscribe};
use crate::delivery::ours;
use crate::outcome::{Outcome, Stop, broken, kept, undecided};
use crate::peer::{Peer, quote, word};
use crate::worker::Worker;

const BAD: &str = "Errors: `bad_subscription`;";
const CAUGHT: &[Catch] = &[Catch::Proxy("other_words")];

pub const CASES: &[Case] = &[
    Case::must("subscribe_reply", Subscribe, "what a subscribe is answered", |ctx| {
        Box::pin(reply(ctx))
    })
    .says(
        "3, subscribe",
        "then ok `{\"subscription_id\",\"topics\",\"current_watermarks\":[{\"topic\",\"watermark\"}]}`.",
    )
    .caught_by(&[Catch::Defect("never_replay_complete")]),
    Case::must("subscribe_no_topics", Subscribe, "an empty list", |ctx| {
        Box::pin(bad(ctx, json!({ "topics": [] })))
    })
    .says("3, subscribe", BAD)
    .caught_by(CAUGHT),
    Case::must("subscribe_no_list", Subscribe, "no list", |ctx| {
        Box::pin(bad(ctx, json!({ "topics": EVENTS })))
    })
    .says("3, subscribe", BAD)
    .caught_by(CAUGHT),
    Case::must("subscribe_empty_payload", Subscribe, "an empty payload", |ctx| {
        Box::pin(bad(ctx, json!({})))
    })
    .says("3, subscribe", BAD)
    .caught_by(CAUGHT),
    Case::must("cursor_negative", Subscribe, "a negative cursor", |ctx| {
        Box::pin(bad(ctx, json!({ "topics": [EVENTS], "resume_after": { EVENTS: -1 } })))
    })
    .level(Level::Should)
    .says("3, subscribe", BAD)
    .caught_by(CAUGHT),
    Case::must("cursor_text", Subscribe, "a cursor that is a text", |ctx| {
        Box::pin(bad(ctx, json!({ "topics": [EVENTS], "resume_after": { EVENTS: "5" } })))
    })
    .level(Level::Should)
    .says("3, subscribe", BAD)
    .caught_by(CAUGHT),
    Case::must("cursor_fraction", Subscribe, "a cursor that is no whole number", |ctx| {
        Box::pin(bad(ctx, json!({ "topics": [EVENTS], "resume_after": { EVENTS: 1.5 } })))
    })
    .level(Level::Should)
    .says("3, subscribe", BAD)
    .caught_by(CAUGHT),
    Case::must("cursor_no_map", Subscribe, "cursors that are a number", |ctx| {
        Box::pin(bad(ctx, json!({ "topics": [EVENTS], "resume_after": 5 })))
    })
    .level(Level::Should)
    .says("3, subscribe", BAD)
    .caught_by(CAUGHT),
    Case::must("cursors_as_list", Subscribe, "cursors as a list", |ctx| Box::pin(as_list(ctx)))
        .says("3, subscribe", "\"resume_after\":{topic:watermark} or [{\"topic\",\"watermark\"}]")
        .does(Does::Writes)
        .caught_by(&[Catch::Proxy("ignores_lists"), Catch::Proxy("last_of_a_list")]),
    Case::must("subscribe_adds", Subscribe, "a second subscribe leaves the first one's topics", |ctx| {
        Box::pin(adds(ctx))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("replaces_subscriptions")]),
    Case::must("subscribe_places", Subscribe, "each topic of a list is live, whatever its place", |ctx| {
        Box::pin(places(ctx))
    })
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("last_topic_not_live")]),
    Case::must(
        "subscribe_on_two_sockets",
        Subscribe,
        "each socket of a session is live, whichever is the newer",
        |ctx| Box::pin(two_sockets(ctx)),
    )
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("newest_socket_alone")]),
    Case::must(
        "refused_subscribe_leaves_topics",
        Subscribe,
        "a subscribe that is refused ends nothing that is live",
        |ctx| Box::pin(refusals(ctx)),
    )
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .needs(&[Need::Minting])
    .caught_by(&[Catch::Proxy("refusals_end_topics")]),
];

async fn reply(ctx: &Ctx) -> Outcome {
    let topics = all_topics();
    let mut peer = ctx.join(&ctx.somebody(), &topics).await?;
    let did = "Subscribed to a topic.";
    let should = "It should have been answered ok, with the topics and where the socket stands on each: real \
                  clients take the replay for complete when that comes.";
    let payload = subscribe(&[EVENTS], &ctx.from_now(&[EVENTS]));
    let reply = match peer.try_ask(event::SUBSCRIBE, &payload, 2 * ctx.patience()).await {
        Ok(reply) => reply,
        Err(came) => return broken(did, format!("Then {came}."), should),
    };
    if reply.code() == CODE_STALE_CURSOR {
        return Err(undecided("its cursor had become stale"));
    }
    let response = reply.response();
    let mark = crate::ctx::watermark(response, EVENTS);
    let right = reply.status() == "ok"
        && response["subscription_id"].is_string()
        && response["topics"] == json!([EVENTS])
        && mark.is_some();
    if right {
        return kept("answered ok, with id, topics and watermarks");
    }
    broken(did, format!("It answered {}.", quote(&reply.payload)), should)
}

async fn bad(ctx: &Ctx, payload: Value) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let did = format!("Subscribed with {}.", quote(&payload));
    let should = "It should have been refused with code `bad_subscription`, and the channel should have gone on.";
    match peer.try_ask(event::SUBSCRIBE, &payload, ctx.patience()).await {
        Ok(msg) if msg.status() == "error" && msg.response()["code"] == "bad_subscription" => {}
        Ok(msg) if msg.status() == "ok" => return broken(did, "It was subscribed.", should),
        Ok(msg) => {
            return broken(did, format!("It was refused with {}.", quote(msg.response())), should);
        }
        Err(came) => return broken(did, format!("Then {came}."), should),
    }
    match peer.try_ask(event::HEARTBEAT, &json!({}), ctx.patience()).await {
        Ok(_) => kept("refused with `bad_subscription`, and the channel lives on"),
        Err(came) => broken(did, format!("It was refused, and then {came}."), should),
    }
}

/// A past of ours, and the topics' cursors in it: of the events with some after it, of the summaries at its head. The two
/// differ, so that one that is taken for the other shows.
async fn two_cursors(ctx: &Ctx) -> Result<(Worker, u64, [(&'static str, u64); 2]), Stop> {
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 4).await?;
    if !worker.arrives(ctx, &mut live, 0, 0).await.is_empty() {
        return Err(undecided("on the way, events did not come live"));
    }
    let head = ctx.now(&[SUMMARIES]).await?.into_iter().map(|(_, head)| head).next();
    let head = head.ok_or_else(|| undecided("on the way, nobody told a head"))?;
    let delivered = live.delivered(0);
    let own = worker.of(&delivered);
    let found = own.iter().take(3).map(|(seq, it)| (*seq, it.seq)).find(|(_, it)| *it != head);
    let (after, cursor) =
        found.ok_or_else(|| undecided("on the way, too few of our events came"))?;
    Ok((worker, after, [(EVENTS, cursor), (SUMMARIES, head)]))
}

async fn as_list(ctx: &Ctx) -> Outcome {
    let (worker, after, cursors) = two_cursors(ctx).await?;
    let [(_, cursor), _] = cursors;
    let turned = [cursors[1], cursors[0]];
    for order in [&cursors[..1], &cursors[..], &turned[..]] {
        let topics: Vec<_> = order.iter().map(|(topic, _)| *topic).collect();
        let told: Vec<_> = order.iter().map(|(topic, it)| format!("{topic} at {it}")).collect();
        let list: Vec<_> =
            order.iter().map(|(topic, it)| json!({ "topic": topic, "watermark": it })).collect();
        let behind = worker.last() - after;
        let did = format!(
            "Resumed with a list of cursors, {}, {behind} events of ours behind.",
            told.join(" and ")
        );
        let should = "The list should have been read like the map: all after each topic's own cursor, and nothing \
                      before it.";
        let mut peer = ctx.join(&ctx.somebody(), &topics).await?;
        let payload = json!({ "topics": topics, "resume_after": list });
        match peer.try_ask(event::SUBSCRIBE, &payload, ctx.patience()).await {
            Ok(msg) if msg.status() == "ok" => {}
            Ok(msg) => {
                if let Some(stop) = window::overtaken(&msg, order) {
                    return Err(stop);
                }
                return broken(did, format!("It was refused: {}.", word(msg.code())), should);
            }
            Err(came) => return broken(did, format!("Then {came}."), should),
        }
        let missing = worker.arrives(ctx, &mut peer, 0, after).await;
        if !missing.is_empty() {
            return broken(did, format!("{} did not come.", ours(&missing)), should);
        }
        if let Some(early) =
            peer.delivered(0).iter().find(|it| it.topic == EVENTS && it.seq <= cursor)
        {
            return broken(did, format!("Seq {} came again.", early.seq), should);
        }
    }
    kept("read like a map")
}

async fn adds(ctx: &Ctx) -> Outcome {
    let head = ctx.now(&[SUMMARIES]).await?;
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut peer = ctx.join(&ctx.somebody(), &[EVENTS, SUMMARIES]).await?;
    ctx.subscribe_from_now(&mut peer, &[EVENTS]).await?;
    ctx.subscribe(&mut peer, &[SUMMARIES], &head).await?;
    // After the subscribes: its first event is none of their past.
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 4).await?;
    if !worker.arrives(ctx, &mut live, 0, 0).await.is_empty() {
        return Err(undecided("on the way, events did not come to one who subscribed once"));
    }
    let missing = worker.arrives(ctx, &mut peer, 0, 0).await;
    if missing.is_empty() {
        return kept("both topics came live");
    }
    broken(
        format!(
            "Subscribed {EVENTS}, then {SUMMARIES} on the same channel, and published 4 events."
        ),
        format!("{} did not come, as they did to one who subscribed once.", ours(&missing)),
        "The first topic should have gone on as before.",
    )
}

async fn places(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[EVENTS]).await?;
    // Learnt first, so that no past has to come before what is published; and not every runtime has every topic.
    let all = match ctx.now(&all_topics()).await {
        Ok(_) => all_topics(),
        Err(_) => vec![EVENTS, SUMMARIES],
    };
    let others: Vec<_> = all.into_iter().filter(|topic| *topic != EVENTS).collect();
    let mut lists = Vec::new();
    for place in 0..=others.len() {
        let mut topics = others.clone();
        topics.insert(place, EVENTS);
        lists.push((ctx.live(&topics).await?, topics));
    }
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 2).await?;
    if !worker.arrives(ctx, &mut live, 0, 0).await.is_empty() {
        return Err(undecided(
            "on the way, events did not come to one who subscribed their topic alone",
        ));
    }
    for (mut peer, topics) in lists {
        let missing = worker.arrives(ctx, &mut peer, 0, 0).await;
        if !missing.is_empty() {
            return broken(
                format!("Subscribed {} in one list, and published 2 events.", topics.join(", ")),
                format!(
                    "{} did not come, as they did to one with that topic alone.",
                    ours(&missing)
                ),
                "Each topic of the list should have been live.",
            );
        }
    }
    kept(format!("events came from each of {} places", others.len() + 1))
}

async fn two_sockets(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[EVENTS]).await?;
    let who = ctx.somebody();
    let mut peers = [ctx.join(&who, &[EVENTS]).await?, ctx.join(&who, &[EVENTS]).await?];
    for peer in &mut peers {
        ctx.subscribe_from_now(peer, &[EVENTS]).await?;
    }
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 2).await?;
    if !worker.arrives(ctx, &mut live, 0, 0).await.is_empty() {
        return Err(undecided("on the way, events did not come to a session with one socket"));
    }
    for (peer, which) in peers.iter_mut().zip(["older", "newer"]) {
        let missing = worker.arrives(ctx, peer, 0, 0).await;
        if let Some(ended) = peer.ended() {
            let why = format!("on the way, {}: one of a session's two sockets", ended.told());
            return Err(undecided(why));
        }
        if !missing.is_empty() {
            return broken(
                format!(
                    "Subscribed {EVENTS} on two sockets of one session, and published 2 events."
                ),
                format!("{} did not come to the {which} of them, which is open.", ours(&missing)),
                "Each should have been live, as a session with one socket is.",
            );
        }
    }
    kept("both sockets of a session were sent all")
}

/// Publishes an event, which must come to a client that was live before it was refused; what came instead, in a sentence.
///
/// # Errors
/// Undecided, where it does not come to one who was refused nothing.
pub async fn goes_on(
    ctx: &Ctx,
    worker: &mut Worker,
    live: &mut Peer,
    refused: &mut Peer,
) -> Result<Option<String>, Stop> {
    let before = worker.last();
    worker.publish(ctx, 1).await?;
    if !worker.arrives(ctx, live, 0, before).await.is_empty() {
        return Err(undecided("on the way, an event did not come to one who was refused nothing"));
    }
    let missing = worker.arrives(ctx, refused, 0, before).await;
    Ok((!missing.is_empty()).then(|| {
        format!("{} did not come, as they did to one who was refused nothing.", ours(&missing))
    }))
}

async fn refusals(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    let refused = [
        ("a topic that its token does not open", json!({ "topics": [SUMMARIES] })),
        (
            "the same topic and one that its token does not open",
            json!({ "topics": [EVENTS, SUMMARIES] }),
        ),
        ("a topic that there is none of", json!({ "topics": ["runtime.no_such_topic"] })),
        ("no topics", json!({ "topics": [] })),
    ];
    let mut seen = Vec::new();
    for (what, payload) in refused {
        let reply = peer.ask(event::SUBSCRIBE, payload, ctx.patience()).await?;
        if reply.status() != "error" {
            continue; // other cases say more
        }
        if let Some(came) = goes_on(ctx, &mut worker, &mut live, &mut peer).await? {
            return broken(
                format!(
                    "Subscribed {EVENTS}; subscribed {what}, which was refused with {}; and published an event.",
                    word(reply.code())
                ),
                came,
                "What was live should have gone on: it was the second subscribe that was refused.",
            );
        }
        seen.push(what);
    }
    match seen.is_empty() {
        true => Err(undecided("on the way, nothing was refused: other cases say more")),
        false => kept(format!("the topic went on, as these were refused: {}", seen.join(", "))),
    }
}
