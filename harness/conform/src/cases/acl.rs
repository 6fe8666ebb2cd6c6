//! Which topics a token opens.

use khala_wire::message::event;
use khala_wire::payload::CODE_STALE_CURSOR;
use serde_json::{Value, json};

use crate::case::Area::Acl;
use crate::case::{Case, Catch, Does, Level, Need};
use crate::ctx::{Connect, Ctx, EVENTS, SUMMARIES, all_topics, subscribe};
use crate::outcome::{Outcome, broken, kept, undecided};
use crate::peer::{Msg, Peer, quote, word};

const FORBIDDEN: &str = "`forbidden_topic` (+ `forbidden_topics`; the same for unknown topics; a mixed list \
                         subscribes nothing)";
const SCOPED: &str =
    "A token opens only the topics in its scopes, only until it expires or is revoked.";
const MINTING: &[Need] = &[Need::Minting];

pub const CASES: &[Case] = &[
    Case::must("allowed_topics", Acl, "a join allows what the scopes say", |ctx| {
        Box::pin(allowed(ctx))
    })
    .says("1, rule 8", SCOPED)
    .needs(MINTING)
    .caught_by(&[Catch::Proxy("allows_more")]),
    Case::must("ungranted_topic", Acl, "a topic that the token does not open", |ctx| {
        Box::pin(forbidden(ctx, EVENTS))
    })
    .says("3, subscribe", FORBIDDEN)
    .needs(MINTING)
    .caught_by(&[Catch::Defect("scope_ignored")]),
    Case::must("unknown_topic", Acl, "a topic that there is none of", |ctx| {
        Box::pin(forbidden(ctx, "runtime.no_such_topic"))
    })
    .says("3, subscribe", FORBIDDEN)
    .needs(MINTING)
    .caught_by(&[Catch::Proxy("other_words")]),
    Case::must("mixed_list", Acl, "a list of which the token opens a part", |ctx| {
        Box::pin(mixed(ctx))
    })
    .says("3, subscribe", FORBIDDEN)
    .does(Does::Writes)
    .needs(MINTING)
    .caught_by(&[Catch::Defect("scope_ignored")]),
    Case::must(
        "scopes_of_each_token",
        Acl,
        "a user's wide token does not widen the narrow one",
        |ctx| Box::pin(each_token(ctx)),
    )
    .says("1, rule 8", SCOPED)
    .needs(MINTING)
    .caught_by(&[Catch::Defect("scope_ignored")]),
    Case::must("no_leak", Acl, "nothing comes of a topic that was not subscribed", |ctx| {
        Box::pin(leak(ctx))
    })
    .says("1, rule 8", SCOPED)
    .does(Does::Writes)
    .needs(MINTING)
    .caught_by(&[Catch::Defect("cross_topic_leak,1")]),
    Case::must("onyx_no_worker_topics", Acl, "the surface onyx and the workers' topics", |ctx| {
        Box::pin(onyx(ctx))
    })
    .level(Level::Should)
    .says("6", "run events only, optional; refused on worker topics")
    .needs(&[Need::SigningKey]),
];

async fn allowed(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.open(&ctx.somebody(), &[SUMMARIES]).await?;
    let joined = peer.ask_ok(event::JOIN, json!({}), ctx.patience()).await?;
    let allowed = &joined.response()["allowed_topics"];
    if *allowed == json!([SUMMARIES]) {
        return kept("just the topic of its scopes is allowed");
    }
    broken(
        format!("Joined with a token for {SUMMARIES} alone."),
        format!("The reply's allowed_topics are {}.", quote(allowed)),
        "They should have been that one topic.",
    )
}

/// Whether a subscribe was refused as it must be; what came otherwise.
fn is_refusal(msg: &Msg, topic: &str) -> bool {
    let named = msg.response()["forbidden_topics"].as_array();
    let named = named.is_some_and(|it| it.iter().any(|it| it == topic));
    msg.status() == "error" && msg.response()["code"] == "forbidden_topic" && named
}

async fn forbidden(ctx: &Ctx, topic: &str) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &[SUMMARIES]).await?;
    refused(ctx, &mut peer, &[topic], topic, "for another topic alone").await
}

async fn refused(ctx: &Ctx, peer: &mut Peer, list: &[&str], topic: &str, token: &str) -> Outcome {
    let did = format!("Subscribed to {} with a token {token}.", list.join(" and "));
    let should = format!(
        "It should have been refused with code `forbidden_topic` and {topic} among forbidden_topics."
    );
    match peer.try_ask(event::SUBSCRIBE, &subscribe(list, &[]), ctx.patience()).await {
        Ok(msg) if is_refusal(&msg, topic) => kept("refused with `forbidden_topic`, and named"),
        Ok(msg) if msg.status() == "ok" => broken(did, "It was subscribed.", should),
        Ok(msg) => broken(did, format!("It answered {}.", quote(msg.response())), should),
        Err(came) => broken(did, format!("Then {came}."), should),
    }
}

async fn mixed(ctx: &Ctx) -> Outcome {
    let mut worker = ctx.worker().await?;
    let mut peer = ctx.join(&ctx.somebody(), &[SUMMARIES]).await?;
    let from = peer.log.len();
    let did = format!(
        "Subscribed to {SUMMARIES}, which the token opens, and {EVENTS}, which it does not, in one list; then \
         published an event."
    );
    let should =
        "The list should have been refused as a whole, and nothing of either topic should follow.";
    let list = subscribe(&[SUMMARIES, EVENTS], &[]);
    match peer.try_ask(event::SUBSCRIBE, &list, ctx.patience()).await {
        Ok(msg) if is_refusal(&msg, EVENTS) => {}
        Ok(msg) => {
            return broken(did, format!("The list was answered {}.", quote(&msg.payload)), should);
        }
        Err(came) => return broken(did, format!("Then {came}."), should),
    }
    worker.publish(ctx, 1).await?;
    peer.listen(2 * ctx.times().quiet).await;
    if let Some(update) = peer.delivered(from).first() {
        let came =
            format!("It was refused, and yet seq {} of {} came.", update.seq, word(&update.topic));
        return broken(did, came, should);
    }
    let beat = peer.ask_ok(event::HEARTBEAT, json!({}), ctx.patience()).await?;
    match beat.response()["watermarks"].as_array() {
        Some(marks) if marks.is_empty() => kept("refused, and nothing followed"),
        _ => {
            let marks = quote(&beat.response()["watermarks"]);
            broken(did, format!("It was refused, and yet heartbeats tell of {marks}."), should)
        }
    }
}

async fn each_token(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let wide = ctx.join(&who, &all_topics()).await?;
    let again = khala_plan::schedule::Identity { session: format!("{}-b", who.session), ..who };
    let mut narrow = ctx.join(&again, &[SUMMARIES]).await?;
    let token = "for another topic alone, while the same user has a socket whose token opens all";
    let first = refused(ctx, &mut narrow, &[EVENTS], EVENTS, token).await?;
    drop(wide);
    if !matches!(first, crate::outcome::Found::Kept(_)) {
        return Ok(first);
    }
    let other = ctx.somebody();
    let _narrow = ctx.join(&other, &[SUMMARIES]).await?;
    let again = khala_plan::schedule::Identity { session: format!("{}-b", other.session), ..other };
    let mut wide = ctx.join(&again, &[SUMMARIES, EVENTS]).await?;
    let list = subscribe(&[EVENTS], &ctx.now(&[EVENTS]).await?);
    match wide.try_ask(event::SUBSCRIBE, &list, ctx.patience()).await {
        Ok(msg) if msg.code() == CODE_STALE_CURSOR => Err(undecided("its cursor had become stale")),
        Ok(msg) if msg.status() == "ok" => {
            kept("each token of a user opened what its own scopes say")
        }
        Ok(msg) => broken(
            format!(
                "Subscribed to {EVENTS} with a token that opens it, after one of the same user that did not."
            ),
            format!("It was refused: {}.", word(msg.code())),
            "It should have been subscribed: each token has its own scopes.",
        ),
        Err(came) => Err(undecided(format!("on the way, {came}"))),
    }
}

async fn leak(ctx: &Ctx) -> Outcome {
    let mut worker = ctx.worker().await?;
    let mut peer = ctx.live(&[SUMMARIES]).await?;
    worker.publish(ctx, 4).await?;
    // What is subscribed shows when the rest would have been there.
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    let last = worker.last();
    let came = |peer: &Peer| peer.delivered(0).iter().any(|it| it.key == key && it.version >= last);
    peer.until(ctx.patience(), came).await;
    peer.listen(ctx.times().quiet).await;
    match peer.delivered(0).iter().find(|it| it.topic != SUMMARIES) {
        Some(update) => broken(
            format!(
                "Subscribed to {SUMMARIES} alone, with a token for it alone, and published events."
            ),
            format!("Seq {} of {} came.", update.seq, word(&update.topic)),
            "Nothing of another topic should have come.",
        ),
        None if came(&peer) => kept("nothing but the topic that was subscribed"),
        None => Err(undecided("the subscribed topic itself did not come")),
    }
}

async fn onyx(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let mut claims: Value = ctx.claims(&who, &[EVENTS])?;
    claims["oa_client_surface"] = json!("onyx");
    let token = ctx.key()?.sign(&claims).map_err(|error| undecided(error.to_string()))?;
    let connect = Connect::default();
    let dialed = ctx.try_dial(&who, &ctx.path(Some(&token), &connect), &connect).await;
    let mut peer = match dialed {
        Ok(peer) => peer,
        Err(khala_engine::transport::DialError::Refused(it)) if it.status < 429 => {
            return kept(format!("the upgrade was refused with {it}"));
        }
        Err(error) => return Err(undecided(error.to_string())),
    };
    peer.ask(event::JOIN, json!({}), ctx.patience()).await?;
    let list = subscribe(&[EVENTS], &ctx.now(&[EVENTS]).await?);
    let reply = peer.ask(event::SUBSCRIBE, list, ctx.patience()).await?;
    if reply.status() == "error" {
        return kept(format!("refused: {}", word(reply.code())));
    }
    broken(
        format!("Subscribed to {EVENTS} with a token of the surface `onyx` whose scopes have it."),
        "It was subscribed.",
        "That surface may read run events only.",
    )
}
