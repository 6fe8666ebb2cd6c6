//! Which topics a token opens.

use khala_plan::schedule::Identity;
use khala_wire::message::event;
use khala_wire::payload::CODE_STALE_CURSOR;
use serde_json::{Value, json};

use crate::case::Area::Acl;
use crate::case::{Case, Catch, Does, Level, Need};
use crate::ctx::{Connect, Ctx, EVENTS, SUMMARIES, all_topics, subscribe};
use crate::delivery::ours;
use crate::outcome::{Found, Outcome, broken, kept, undecided};
use crate::peer::{Msg, Peer, quote, word};
use crate::worker::Worker;

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
    .caught_by(&[Catch::Defect("scope_ignored"), Catch::Proxy("opens_to_the_subscribed")]),
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
    .caught_by(&[
        Catch::Defect("scope_ignored"),
        Catch::Proxy("opens_to_the_subscribed"),
        Catch::Proxy("refusals_end_subscriptions"),
    ]),
    Case::must(
        "scopes_of_each_token",
        Acl,
        "a user's wide token does not widen the narrow one",
        |ctx| Box::pin(each_token(ctx)),
    )
    .says("1, rule 8", SCOPED)
    .needs(MINTING)
    .caught_by(&[Catch::Defect("scope_ignored"), Catch::Proxy("first_scopes_of_a_session")]),
    Case::must(
        "sessions_share_a_device",
        Acl,
        "two sessions on one device, one of them twice: each socket has its live tail",
        |ctx| Box::pin(share_device(ctx)),
    )
    .says(
        "1, rule 5",
        "the server replays everything after it, in order of seq, then turns to live tail. No gap.",
    )
    .does(Does::Writes)
    .needs(MINTING)
    .caught_by(&[Catch::Proxy("one_session_a_device"), Catch::Proxy("every_other_socket_is_deaf")]),
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

/// Asks for a topic that the token does not open: on a socket that is fresh and on one that is subscribed already,
/// alone and in a list with one that it does open.
async fn forbidden(ctx: &Ctx, topic: &str) -> Outcome {
    let mut peer = ctx.join(&ctx.somebody(), &[SUMMARIES]).await?;
    let mut last = kept("");
    for subscribed in [false, true] {
        if subscribed {
            ctx.subscribe_from_now(&mut peer, &[SUMMARIES]).await?;
        }
        let token = match subscribed {
            false => "for another topic alone",
            true => "for another topic alone, which is subscribed already",
        };
        for list in [&[topic][..], &[SUMMARIES, topic]] {
            last = refused(ctx, &mut peer, list, topic, token).await;
            if !matches!(last, Ok(Found::Kept(_))) {
                return last;
            }
        }
    }
    last
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
    let mut fresh = ctx.join(&ctx.somebody(), &[SUMMARIES]).await?;
    let mut used = ctx.join(&ctx.somebody(), &[SUMMARIES]).await?;
    ctx.subscribe_from_now(&mut used, &[SUMMARIES]).await?;
    let from = (fresh.log.len(), used.log.len());
    let did = format!(
        "Subscribed to {SUMMARIES}, which the token opens, and {EVENTS}, which it does not, in one list; then \
         published an event."
    );
    let should = "The list should have been refused as a whole; nothing of either topic should follow, and what was \
                  subscribed before should go on.";
    for peer in [&mut fresh, &mut used] {
        let list = subscribe(&[SUMMARIES, EVENTS], &[]);
        match peer.try_ask(event::SUBSCRIBE, &list, ctx.patience()).await {
            Ok(msg) if is_refusal(&msg, EVENTS) => {}
            Ok(msg) => {
                let came = format!("The list was answered {}.", quote(&msg.payload));
                return broken(did, came, should);
            }
            Err(came) => return broken(did, format!("Then {came}."), should),
        }
    }
    worker.publish(ctx, 1).await?;
    fresh.listen(2 * ctx.times().quiet).await;
    if !document_comes(ctx, &mut used, &worker).await {
        return broken(
            did,
            format!("{SUMMARIES}, which was subscribed before, came no more."),
            should,
        );
    }
    for (peer, from, may) in [(&mut fresh, from.0, None), (&mut used, from.1, Some(SUMMARIES))] {
        let beat = peer.ask_ok(event::HEARTBEAT, json!({}), ctx.patience()).await?;
        let delivered = peer.delivered(from);
        if let Some(update) = delivered.iter().find(|it| Some(&*it.topic) != may) {
            let (seq, topic) = (update.seq, word(&update.topic));
            let came = format!("It was refused, and yet seq {seq} of {topic} came.");
            return broken(did, came, should);
        }
        let marks = &beat.response()["watermarks"];
        let told = marks.as_array().into_iter().flatten().map(|mark| mark["topic"].as_str());
        if !marks.is_array() || told.ne(may.into_iter().map(Some)) {
            let came = format!("It was refused, and yet heartbeats tell of {}.", quote(marks));
            return broken(did, came, should);
        }
    }
    kept("refused, and nothing followed")
}

/// Whether a worker's document comes live, in its latest version.
async fn document_comes(ctx: &Ctx, peer: &mut Peer, worker: &Worker) -> bool {
    let (key, last) = (format!("runtime/codex_worker_summary:{}", worker.id), worker.last());
    let came = |peer: &Peer| peer.delivered(0).iter().any(|it| it.key == key && it.version >= last);
    peer.until(ctx.patience(), came).await
}

/// A user's two tokens, of two sessions and of one: neither order of them, and no socket that is open still, lends
/// one the scopes of the other.
async fn each_token(ctx: &Ctx) -> Outcome {
    let mut last = kept("");
    for same_session in [false, true] {
        for is_wide_first in [true, false] {
            let (first, second) = two_sessions(ctx, same_session);
            last = match is_wide_first {
                true => narrow_after_wide(ctx, &first, &second).await,
                false => wide_after_narrow(ctx, &first, &second).await,
            };
            if !matches!(last, Ok(Found::Kept(_))) {
                return last;
            }
        }
    }
    last
}

/// A user in two sessions, or twice in one.
fn two_sessions(ctx: &Ctx, same: bool) -> (Identity, Identity) {
    let first = ctx.somebody();
    let session = if same { first.session.clone() } else { format!("{}-b", first.session) };
    let second = Identity { session, ..first.clone() };
    (first, second)
}

async fn narrow_after_wide(ctx: &Ctx, first: &Identity, second: &Identity) -> Outcome {
    let _wide = ctx.join(first, &all_topics()).await?;
    let mut narrow = ctx.join(second, &[SUMMARIES]).await?;
    let token = match first.session == second.session {
        false => "for another topic alone, while the same user has a socket whose token opens all",
        true => {
            "for another topic alone, while the same session has a socket whose token opens all"
        }
    };
    refused(ctx, &mut narrow, &[EVENTS], EVENTS, token).await
}

async fn wide_after_narrow(ctx: &Ctx, first: &Identity, second: &Identity) -> Outcome {
    let _narrow = ctx.join(first, &[SUMMARIES]).await?;
    let mut wide = ctx.join(second, &[SUMMARIES, EVENTS]).await?;
    let list = subscribe(&[EVENTS], &ctx.now(&[EVENTS]).await?);
    match wide.try_ask(event::SUBSCRIBE, &list, ctx.patience()).await {
        Ok(msg) if msg.code() == CODE_STALE_CURSOR => Err(undecided("its cursor had become stale")),
        Ok(msg) if msg.status() == "ok" => {
            kept("each token of a user opened what its own scopes say")
        }
        Ok(msg) => broken(
            format!(
                "Subscribed to {EVENTS} with a token that opens it, after one of the same {} that did not.",
                if first.session == second.session { "session" } else { "user" }
            ),
            format!("It was refused: {}.", word(msg.code())),
            "It should have been subscribed: each token has its own scopes.",
        ),
        Err(came) => Err(undecided(format!("on the way, {came}"))),
    }
}

async fn share_device(ctx: &Ctx) -> Outcome {
    let (first, second) = two_sessions(ctx, false);
    let mut peers = Vec::new();
    for who in [&first, &first, &second] {
        let mut peer = ctx.join(who, &[EVENTS]).await?;
        ctx.subscribe_from_now(&mut peer, &[EVENTS]).await?;
        peers.push(peer);
    }
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 1).await?;
    let did = "Subscribed as two sessions of a user on one device, over two sockets of the first and one of the second, and \
               published events.";
    let should = "Each socket should have stayed subscribed, and have been sent them.";
    for (peer, which) in peers.iter_mut().zip(["first", "second", "third"]) {
        let missing = worker.arrives(ctx, peer, 0, 0).await;
        if let Some(ended) = peer.ended() {
            return broken(did, format!("On the {which} socket, {}.", ended.told()), should);
        }
        if !missing.is_empty() {
            let came = format!("{} did not come to the {which} socket.", ours(&missing));
            return broken(did, came, should);
        }
    }
    kept("all three stayed, and each was sent all events")
}

async fn leak(ctx: &Ctx) -> Outcome {
    let mut worker = ctx.worker().await?;
    let mut peer = ctx.live(&[SUMMARIES]).await?;
    worker.publish(ctx, 4).await?;
    // What is subscribed shows when the rest would have been there.
    let came = document_comes(ctx, &mut peer, &worker).await;
    peer.listen(ctx.times().quiet).await;
    match peer.delivered(0).iter().find(|it| it.topic != SUMMARIES) {
        Some(update) => broken(
            format!(
                "Subscribed to {SUMMARIES} alone, with a token for it alone, and published events."
            ),
            format!("Seq {} of {} came.", update.seq, word(&update.topic)),
            "Nothing of another topic should have come.",
        ),
        None if came => kept("nothing but the topic that was subscribed"),
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
