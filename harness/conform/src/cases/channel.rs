//! The one channel: joining, joining again, leaving, and what is not for it.

use khala_wire::CHANNEL;
use khala_wire::message::event;
use serde_json::{Value, json};

use super::upgrade::instead;
use crate::case::Area::Channel;
use crate::case::{Case, Catch, Does, Need};
use crate::ctx::{Ctx, EVENTS, all_topics, subscribe};
use crate::outcome::{Found, Outcome, broken, kept, undecided};
use crate::peer::{JOIN_REF, Msg, quote, word};

const UNMATCHED: &str = "An unjoined or unknown topic answers error `{\"reason\":\"unmatched topic\"}` with a null join_ref";

pub const CASES: &[Case] = &[
    Case::must("join_reply", Channel, "what a join is answered", |ctx| Box::pin(join(ctx)))
        .says(
            "3, join",
            "`{\"allowed_topics\":[…],\"current_watermarks\":[],\"subscription_id\":\"sub_sync_session:{session}\"}`",
        )
        .needs(&[Need::Minting])
        .caught_by(&[Catch::Proxy("renamed_fields")]),
    Case::must("join_twice", Channel, "a second join closes the first channel", |ctx| {
        Box::pin(twice(ctx))
    })
    .says(
        "3, framing",
        "A second join closes the old channel: `phx_close` with the old join_ref as both refs, after the new \
         join's reply.",
    )
    .caught_by(&[Catch::Proxy("swallows_close")]),
    Case::must("leave_and_rejoin", Channel, "leaving ends the channel, not the socket", |ctx| {
        Box::pin(leave(ctx))
    })
    .says("3, framing", "`phx_join`, `phx_leave`, `phx_error`, `phx_close` as in Phoenix Channels.")
    .caught_by(&[Catch::Proxy("swallows_leave")]),
    Case::must("unjoined_topic", Channel, "a message before the join", |ctx| {
        Box::pin(unmatched(ctx, CHANNEL))
    })
    .says("3, framing", UNMATCHED)
    .caught_by(&[Catch::Proxy("other_words")]),
    Case::must("unknown_channel", Channel, "a message to a channel that there is none of", |ctx| {
        Box::pin(unmatched(ctx, "sync:v9"))
    })
    .says("3, framing", UNMATCHED)
    .caught_by(&[Catch::Proxy("other_words")]),
    Case::must("stale_join_ref", Channel, "a message of a channel that is gone", |ctx| {
        Box::pin(stale(ctx))
    })
    .says("3, framing", "a stale join_ref is dropped silently.")
    .caught_by(&[Catch::Proxy("serves_stale_refs")]),
    Case::must("rejoin_delivers", Channel, "what comes after a second join is the new channel's", |ctx| {
        Box::pin(rejoined(ctx))
    })
    .says("3, framing", "Pushes from the server carry the join_ref and a null ref.")
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("keeps_first_join_ref"), Catch::Proxy("deaf_once_left")]),
    Case::must("leave_ends_the_tail", Channel, "nothing comes to a channel that was left", |ctx| {
        Box::pin(left(ctx))
    })
    .says("3, framing", "`phx_join`, `phx_leave`, `phx_error`, `phx_close` as in Phoenix Channels.")
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("leaves_nothing")]),
];

async fn join(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let mut peer = ctx.open(&who, &all_topics()).await?;
    let did = "Joined with `phx_join` and {}.";
    let reply = peer.try_ask(event::JOIN, &json!({}), ctx.patience()).await;
    let reply = match reply {
        Ok(reply) => reply,
        Err(came) => {
            return broken(did, format!("Then {came}."), "It should have been answered ok.");
        }
    };
    if reply.status() != "ok" {
        return Err(undecided(format!("the join was refused: {}", word(reply.code()))));
    }
    let response = reply.response();
    let id = format!("sub_sync_session:{}", who.session);
    let right = response["allowed_topics"].is_array()
        && response["current_watermarks"] == json!([])
        && response["subscription_id"] == json!(id);
    if right {
        return kept(
            "the reply has allowed_topics, no watermarks, and the session's subscription_id",
        );
    }
    broken(
        did,
        format!("The reply is {}.", quote(response)),
        format!(
            "It should have had a list of allowed_topics, an empty list of current_watermarks and \
             subscription_id `{id}`."
        ),
    )
}

async fn twice(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let from = peer.log.len();
    peer.push(&json!("9"), &json!("9"), CHANNEL, event::JOIN, &json!({})).await;
    let closes = |msg: &crate::peer::Msg| msg.event == event::CLOSE;
    let close = peer.first(from, ctx.patience(), closes).await;
    let did = "Joined with join_ref \"1\", and once more on the same socket with \"9\".";
    let should = "The second join should have been answered ok, and then the first channel closed: \
                  phx_close with \"1\" as join_ref and as ref.";
    let answered =
        peer.log[from..].iter().position(|msg| msg.msg_ref == "9" && msg.status() == "ok");
    let closed = peer.log[from..].iter().position(closes);
    match (close, answered, closed) {
        (Some(close), Some(answered), Some(closed))
            if answered < closed && close.join_ref == JOIN_REF && close.msg_ref == JOIN_REF =>
        {
            kept("answered ok, and then phx_close with the old join_ref as both refs")
        }
        (Some(close), ..) => broken(did, format!("The phx_close is {}.", close.told()), should),
        (None, ..) => broken(did, format!("No phx_close came. {}.", instead(&peer)), should),
    }
}

async fn leave(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let from = peer.log.len();
    let join_ref = json!(JOIN_REF);
    peer.push(&join_ref, &json!("7"), CHANNEL, event::LEAVE, &json!({})).await;
    let reply = peer.first(from, ctx.patience(), |msg| msg.msg_ref == "7").await;
    let did = "Left with `phx_leave`, and joined again on the same socket.";
    let should =
        "Leaving should have been answered ok, and the socket should have taken the new join.";
    match reply {
        Some(msg) if msg.status() == "ok" => {}
        Some(msg) => return broken(did, format!("It answered {}.", msg.told()), should),
        None => {
            return broken(did, format!("Leaving was not answered. {}.", instead(&peer)), should);
        }
    }
    let join = json!("8");
    let joined =
        peer.try_ask_as(&join, &join, CHANNEL, event::JOIN, &json!({}), ctx.patience()).await;
    // The old channel's phx_close may stand between.
    let joined = match joined {
        Err(_) if peer.ended().is_none() => {
            let fits = |msg: &crate::peer::Msg| msg.msg_ref == "8" && msg.event == event::REPLY;
            peer.first(from, ctx.patience(), fits).await.ok_or_else(|| instead(&peer))
        }
        other => other,
    };
    match joined {
        Ok(msg) if msg.status() == "ok" => kept("answered ok, and a new join too"),
        Ok(msg) => broken(did, format!("The new join was answered {}.", msg.told()), should),
        Err(came) => broken(did, format!("After leaving, {came}."), should),
    }
}

async fn rejoined(ctx: &Ctx) -> Outcome {
    for leaves in [false, true] {
        let found = joined_again(ctx, leaves).await?;
        if matches!(found, Found::Broken(_)) {
            return Ok(found);
        }
    }
    kept("all came with the new join_ref, after a second join and after leaving")
}

/// A client that is live joins again, over its channel or after it left that, and subscribes.
async fn joined_again(ctx: &Ctx, leaves: bool) -> Outcome {
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    let from = peer.log.len();
    let again = json!("9");
    if leaves {
        peer.push(&json!(JOIN_REF), &json!("7"), CHANNEL, event::LEAVE, &json!({})).await;
        peer.first(from, ctx.patience(), |msg| msg.msg_ref == "7").await;
    }
    peer.push(&again, &again, CHANNEL, event::JOIN, &json!({})).await;
    let closed = |msg: &Msg| match leaves {
        true => msg.msg_ref == "9",
        false => msg.event == event::CLOSE,
    };
    // Where it comes, it comes before anything is asked of the new channel.
    peer.first(from, ctx.patience(), closed).await;
    let payload = subscribe(&[EVENTS], &ctx.from_now(&[EVENTS]));
    let subscribed = peer
        .try_ask_as(&again, &json!("10"), CHANNEL, event::SUBSCRIBE, &payload, ctx.patience())
        .await
        .map_err(|came| undecided(format!("after joining again, {came}")))?;
    subscribed.is_ok_to(event::SUBSCRIBE)?;
    let from = peer.log.len();
    worker.publish(ctx, 3).await?;
    if !worker.arrives(ctx, &mut live, 0, 0).await.is_empty() {
        return Err(undecided("on the way, events did not come to one who joined once"));
    }
    let last = worker.last();
    let has = |msg: &Msg| worker.of(&msg.delivers).iter().any(|(seq, _)| *seq == last);
    peer.until(ctx.patience(), |peer| peer.log[from..].iter().any(has)).await;
    // So that what is pushed twice has come twice.
    peer.listen(ctx.patience() / 10).await;
    let pushes = || {
        let pushed = [event::UPDATE_BATCH, event::FRAME];
        peer.log[from..].iter().filter(move |msg| pushed.contains(&&*msg.event))
    };
    let between = if leaves { "left, joined" } else { "joined once more" };
    let did = format!(
        "Joined with join_ref \"1\", {between} on the same socket with \"9\", subscribed there, and published 3 events."
    );
    let should = "All should have come, with \"9\" as their join_ref: real clients drop what carries another.";
    match pushes().find(|msg| msg.join_ref != again) {
        Some(other) => broken(did, format!("A push came as {}.", other.told()), should),
        None if !pushes().any(has) => {
            broken(did, format!("The last one did not come. {}.", instead(&peer)), should)
        }
        None => kept("all came with the new join_ref"),
    }
}

async fn left(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    peer.try_ask_as(
        &json!(JOIN_REF),
        &json!("7"),
        CHANNEL,
        event::LEAVE,
        &json!({}),
        ctx.patience(),
    )
    .await
    .map_err(|came| undecided(format!("as it left, {came}")))?;
    let answered = peer.log.iter().position(|msg| msg.msg_ref == "7").unwrap_or_default();
    worker.publish(ctx, 3).await?;
    let last = worker.last();
    if !worker.arrives(ctx, &mut live, 0, 0).await.is_empty() {
        return Err(undecided("on the way, events did not come to one who stayed"));
    }
    peer.listen(ctx.patience() / 10).await;
    match peer.log[answered..]
        .iter()
        .find(|msg| worker.of(&msg.delivers).iter().any(|(seq, _)| *seq == last))
    {
        None => kept("nothing came after the answer"),
        Some(msg) => broken(
            "Left with `phx_leave`, which was answered, and published 3 events.",
            format!("The last one came: {}.", msg.told()),
            "Nothing should have come to a channel that was left.",
        ),
    }
}

async fn unmatched(ctx: &Ctx, channel: &str) -> Outcome {
    let mut peer = ctx.open(&ctx.somebody(), &all_topics()).await?;
    peer.push(&json!("3"), &json!("5"), channel, event::HEARTBEAT, &json!({})).await;
    let reply = peer.first(0, ctx.patience(), |msg| msg.msg_ref == "5").await;
    let did = format!("Sent a `sync:heartbeat` to `{channel}`, which was not joined.");
    let should = "It should have been an error reply with {\"reason\": \"unmatched topic\"} and null as \
                  join_ref.";
    match reply {
        Some(msg)
            if msg.status() == "error"
                && msg.response()["reason"] == "unmatched topic"
                && msg.join_ref == Value::Null =>
        {
            kept("answered `unmatched topic`")
        }
        Some(msg) => broken(did, format!("It answered {}.", msg.told()), should),
        None => broken(did, format!("{}.", instead(&peer)), should),
    }
}

async fn stale(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &all_topics()).await?;
    let from = peer.log.len();
    peer.push(&json!("9"), &json!("9"), CHANNEL, event::JOIN, &json!({})).await;
    let joined = peer.first(from, ctx.patience(), |msg| msg.msg_ref == "9").await;
    if joined.is_none() {
        return Err(undecided("on the way, a second join was not answered"));
    }
    let from = peer.log.len();
    peer.push(&json!(JOIN_REF), &json!("50"), CHANNEL, event::HEARTBEAT, &json!({})).await;
    peer.push(&json!("9"), &json!("51"), CHANNEL, event::HEARTBEAT, &json!({})).await;
    let current = peer.first(from, ctx.patience(), |msg| msg.msg_ref == "51").await;
    let did = "Joined twice, and sent a heartbeat with the first join_ref and one with the second.";
    let should =
        "Only the second should have been answered: the first belongs to a channel that is gone.";
    let answered = peer.log[from..].iter().find(|msg| msg.msg_ref == "50");
    match (answered, current) {
        (None, Some(_)) => kept("the stale one was dropped, the current one answered"),
        (Some(msg), _) => broken(did, format!("The first was answered {}.", msg.told()), should),
        (None, None) => broken(did, format!("Neither was answered. {}.", instead(&peer)), should),
    }
}
