//! What a client is told whose cursor is stale, and that nothing comes until it has begun anew.

use khala_wire::message::event;
use khala_wire::payload::KIND_ERROR;
use serde_json::{Value, json};

use super::replay::RULE_5;
use super::subscribe::goes_on;
use super::window::{self, OVER_BUDGET, PRUNED, Window};
use crate::case::Area::Cursors;
use crate::case::{Case, Catch, Does, Level};
use crate::ctx::{Ctx, EVENTS, SUMMARIES, subscribe};
use crate::delivery;
use crate::outcome::{Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::{Msg, Peer, quote};

pub const CASES: &[Case] = &[
    Case::must("stale_told_three_times", Cursors, "a stale cursor is pushed twice, then answered", |ctx| {
        Box::pin(pushes(ctx))
    })
    .says(
        "3, stale cursor",
        "pushed as `sync:error` and as an error frame, then the error reply to the subscribe:",
    )
    .alone()
    .caught_by(&[Catch::Proxy("swallows_errors")]),
    Case::must("stale_fields", Cursors, "what a stale client is told", |ctx| Box::pin(fields(ctx)))
        .says(
            "3, stale cursor",
            "\"full_resync_required\":true,\"reason_codes\":[…],\"stale_topics\":[{\"topic\",\"reason\",\"qos_tier\",",
        )
        .alone()
        .caught_by(&[Catch::Proxy("renamed_fields")]),
    Case::must("stale_refuses_the_list", Cursors, "one stale topic refuses the whole list", |ctx| {
        Box::pin(list(ctx))
    })
    .says("3, subscribe", "one stale topic refuses the whole list")
    .alone()
    .caught_by(&[Catch::Defect("ignore_floor"), Catch::Proxy("first_cursor_alone")]),
    Case::must("stale_no_tail", Cursors, "no tail before a new beginning, and one after it", |ctx| {
        Box::pin(tail(ctx))
    })
    .says(
        "1, rule 6",
        "and the client must bootstrap before it tails again: an HTTP snapshot where the topic has one, else a \
         subscribe without cursor. Never a silent skip.",
    )
    .does(Does::Writes)
    .alone()
    .caught_by(&[Catch::Defect("ignore_floor")]),
    Case::must(
        "stale_leaves_other_topics",
        Cursors,
        "a stale cursor ends no other topic that is live",
        |ctx| Box::pin(others(ctx)),
    )
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("refusals_end_topics")]),
    Case::must("stale_names_each", Cursors, "each stale topic of a list is named", |ctx| {
        Box::pin(each(ctx))
    })
    .level(Level::Silent)
    .says("3, stale cursor", "\"full_resync_required\":true,\"reason_codes\":[…],\"stale_topics\":[{\"topic\",\"reason\",\"qos_tier\",")
    .caught_by(&[Catch::Proxy("first_stale_alone")]),
];

/// A socket that was refused as stale, with the answer and what was done.
pub(super) async fn refused(ctx: &Ctx) -> Result<(Peer, Msg, &'static str, String), Stop> {
    let lacks =
        "no cursor is stale: nothing is pruned, and no more is retained than the replay budget";
    let (window, cursor) = window::first(ctx, Window::stale, lacks, PRUNED).await?;
    let mut peer = ctx.join(&ctx.somebody(), &[EVENTS, SUMMARIES, window.topic]).await?;
    let payload = subscribe(&[window.topic], &[(window.topic.to_owned(), cursor)]);
    let reply = peer.ask(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
    if window::refused(&reply, window.topic).is_none() {
        return Err(undecided(
            "a cursor that is stale was not refused as stale: other cases say more",
        ));
    }
    let did = format!("Resumed {} at {cursor}, which is stale.", window.topic);
    Ok((peer, reply, window.topic, did))
}

async fn pushes(ctx: &Ctx) -> Outcome {
    let (peer, reply, topic, did) = refused(ctx).await?;
    let should = "Before the reply should have come a sync:error and an error frame of seq 0, both with what the \
                  reply says.";
    let at = |fits: &dyn Fn(&Msg) -> bool| peer.log.iter().position(fits);
    let pushed = at(&|msg| msg.event == event::SYNC_ERROR);
    let framed = at(&|msg| msg.event == event::FRAME && msg.payload["kind"] == KIND_ERROR);
    let answered = at(&|msg| msg.event == event::REPLY && msg.msg_ref == reply.msg_ref);
    let (Some(pushed), Some(framed), Some(answered)) = (pushed, framed, answered) else {
        let lacks = if pushed.is_none() { "sync:error" } else { "error frame" };
        return broken(did, format!("No {lacks} came."), should);
    };
    if pushed > answered || framed > answered {
        return broken(did, "The reply came before the pushes.", should);
    }
    let frame = &peer.log[framed];
    let inside = delivery::inside(frame)
        .and_then(|(_, text)| serde_json::from_str::<Value>(&text).ok())
        .unwrap_or_default();
    if peer.log[pushed].payload != *reply.response() || inside != *reply.response() {
        return broken(did, "The pushes and the reply do not say the same.", should);
    }
    if frame.payload["seq"] != 0 || frame.payload["topic"] != topic {
        return broken(did, format!("The error frame is {}.", frame.told()), should);
    }
    kept("sync:error, error frame and reply say the same")
}

async fn fields(ctx: &Ctx) -> Outcome {
    let (_, reply, _, did) = refused(ctx).await?;
    let response = reply.response();
    let top = [
        "code",
        "message",
        "full_resync_required",
        "reason_codes",
        "stale_topics",
        "snapshot_plan",
    ];
    let each = [
        "topic",
        "reason",
        "qos_tier",
        "resume_after",
        "retention_floor",
        "head_watermark",
        "replay_lag",
        "replay_budget_events",
    ];
    let row = &response["stale_topics"][0];
    let lacks = |value: &Value, names: &[&'static str]| -> Vec<&'static str> {
        names.iter().filter(|name| value.get(**name).is_none()).copied().collect()
    };
    let missing = [lacks(response, &top), lacks(row, &each)].concat();
    let plan = &response["snapshot_plan"];
    let sums = row["head_watermark"].as_u64().zip(row["resume_after"].as_u64());
    let lag = sums.map(|(head, cursor)| head.saturating_sub(cursor));
    let should = "It should have had all of the contract's fields, full_resync_required true, the lag as head minus \
                  cursor, and a snapshot plan.";
    if !missing.is_empty() {
        return broken(did, format!("The refusal lacks {}.", missing.join(", ")), should);
    }
    let right = response["full_resync_required"] == true
        && plan["format"] == "openagents.sync.snapshot.v1"
        && plan["topics"].is_array()
        && lag == row["replay_lag"].as_u64()
        && response["reason_codes"].as_array().is_some_and(|it| it.contains(&row["reason"]));
    if right {
        return kept("all fields are there, and their figures agree");
    }
    broken(did, format!("The refusal is {}.", quote(response)), should)
}

async fn list(ctx: &Ctx) -> Outcome {
    let lacks =
        "no cursor is stale: nothing is pruned, and no more is retained than the replay budget";
    let (window, cursor) = window::first(ctx, Window::stale, lacks, PRUNED).await?;
    let other = if window.topic == EVENTS { SUMMARIES } else { EVENTS };
    let head = window::of(ctx, other).await?.head;
    let cursors = [(window.topic.to_owned(), cursor), (other.to_owned(), head)];
    for topics in [[window.topic, other], [other, window.topic]] {
        let mut peer = ctx.join(&ctx.somebody(), &topics).await?;
        let payload = subscribe(&topics, &cursors);
        let reply = peer.ask(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
        let place = if topics[0] == other { "last" } else { "first" };
        let did = format!(
            "Resumed {} at {cursor}, which is stale, and {other} at its head, in one list; the stale one {place}.",
            window.topic
        );
        let should =
            "The whole list should have been refused as stale, and neither topic subscribed.";
        if window::refused(&reply, window.topic).is_none() {
            return broken(did, format!("It was answered {}.", quote(&reply.payload)), should);
        }
        let beat = peer.ask_ok(event::HEARTBEAT, json!({}), ctx.patience()).await?;
        if beat.response()["watermarks"].as_array().is_none_or(|marks| !marks.is_empty()) {
            let marks = quote(&beat.response()["watermarks"]);
            return broken(
                did,
                format!("It was refused, and yet heartbeats tell of {marks}."),
                should,
            );
        }
    }
    kept("refused as a whole, whichever was stale")
}

async fn tail(ctx: &Ctx) -> Outcome {
    let mut worker = ctx.worker().await?;
    let lacks = "no cursor of the workers' events is stale: nothing is pruned, and no more is retained than the \
                 replay budget";
    let window = window::of(ctx, EVENTS).await?;
    let cursor = window.stale().ok_or_else(|| not_applicable(lacks, PRUNED))?;
    let mut peer = ctx.join(&ctx.somebody(), &[EVENTS]).await?;
    let payload = subscribe(&[EVENTS], &[(EVENTS.to_owned(), cursor)]);
    let reply = peer.ask(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
    let did = format!("Resumed {EVENTS} at {cursor}, which is stale, and published an event.");
    let should = "Nothing should come until the client begins anew, by a subscribe without a cursor; and then \
                  everything.";
    if window::refused(&reply, EVENTS).is_none() {
        return broken(did, "It was not refused as stale.", should);
    }
    worker.publish(ctx, 1).await?;
    let from = peer.listen(2 * ctx.times().quiet).await;
    if let Some(update) = peer.delivered(0).first() {
        return broken(did, format!("Seq {} came.", update.seq), should);
    }
    let again = peer.ask(event::SUBSCRIBE, subscribe(&[EVENTS], &[]), 6 * ctx.patience()).await?;
    if again.status() != "ok" {
        let came =
            format!("The subscribe without a cursor was refused with {}.", quote(again.response()));
        return broken(did, came, should);
    }
    let missing = worker.arrives(ctx, &mut peer, from, worker.last() - 1).await;
    if missing.is_empty() {
        return kept("nothing came before the new beginning, and the event after it");
    }
    broken(did, "After the new beginning, the event did not come.", should)
}

async fn others(ctx: &Ctx) -> Outcome {
    let lacks = "no cursor of a topic beside the workers' events is stale: nothing is pruned, and no more is retained \
                 than the replay budget";
    let stale = |window: &Window| window.stale().filter(|_| window.topic != EVENTS);
    let (window, cursor) = window::first(ctx, stale, lacks, OVER_BUDGET).await?;
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut peer = ctx.join(&ctx.somebody(), &[EVENTS, window.topic]).await?;
    ctx.subscribe_from_now(&mut peer, &[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    let payload = subscribe(&[window.topic], &[(window.topic.to_owned(), cursor)]);
    let reply = peer.ask(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
    if window::refused(&reply, window.topic).is_none() {
        return Err(undecided(
            "a cursor that is stale was not refused as stale: other cases say more",
        ));
    }
    match goes_on(ctx, &mut worker, &mut live, &mut peer).await? {
        None => kept("the topic that was live went on"),
        Some(came) => broken(
            format!(
                "Subscribed {EVENTS}; resumed {} at {cursor}, which is stale and was refused as that; and published an event.",
                window.topic
            ),
            came,
            "What was live should have gone on: the other topic's cursor was refused.",
        ),
    }
}

async fn each(ctx: &Ctx) -> Outcome {
    let lacks = "no two topics have a cursor that is stale: nothing is pruned, and no more is retained than the replay \
                 budget";
    let (one, at_one) = window::first(ctx, Window::stale, lacks, PRUNED).await?;
    let stale = |window: &Window| window.stale().filter(|_| window.topic != one.topic);
    let (other, at_other) = window::first(ctx, stale, lacks, OVER_BUDGET).await?;
    let topics = [one.topic, other.topic];
    let mut peer = ctx.join(&ctx.somebody(), &topics).await?;
    let cursors = [(one.topic.to_owned(), at_one), (other.topic.to_owned(), at_other)];
    let reply =
        peer.ask(event::SUBSCRIBE, subscribe(&topics, &cursors), 6 * ctx.patience()).await?;
    let named: Vec<_> =
        topics.into_iter().filter(|topic| window::refused(&reply, topic).is_some()).collect();
    match named[..] {
        [] => {
            Err(undecided("cursors that are stale were not refused as stale: other cases say more"))
        }
        [_, _] => kept("both were named"),
        _ => broken(
            format!(
                "Resumed {} at {at_one} and {} at {at_other} in one list; both are stale.",
                one.topic, other.topic
            ),
            format!("The refusal names {} alone.", named.join(", ")),
            "The contract does not say whether all are named; a client that resets the cursors that are named is refused once \
             more for each of the others.",
        ),
    }
}
