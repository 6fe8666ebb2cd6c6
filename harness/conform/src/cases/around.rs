//! What stands around the lane: snapshots over HTTP, and the operators' view.

use khala_engine::http::{Header, HttpError};
use khala_wire::canonical::payload_hash_matches;
use khala_wire::message::event;
use khala_wire::metrics::METRICS_PATH;
use khala_wire::token::{Key, unsigned};
use serde_json::{Value, json};

use super::revocation::revoke;
use super::tokens::{SCOPED, SHORT_LIFE, ShortLived};
use super::{state, window};
use crate::case::Area::Around;
use crate::case::{Case, Catch, Does, Level, Need};
use crate::ctx::{Ctx, EVENTS, SUMMARIES, subscribe};
use crate::delivery::Delivered;
use crate::outcome::{Found, Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::{Peer, quote, word};

const SNAPSHOT: &[Need] = &[Need::Snapshot, Need::Minting];

pub const CASES: &[Case] = &[
    Case::must(
        "snapshot_resumable",
        Around,
        "a snapshot is of its topic, and a client can resume after it",
        |ctx| Box::pin(resumable(ctx)),
    )
    .says("5b", "the state at watermark N; a client resumes after N.")
    .needs(SNAPSHOT)
    .alone()
    .caught_by(&[
        Catch::Defect("snapshot_ahead"),
        Catch::Defect("snapshot_old"),
        Catch::Defect("snapshot_wrong_topic"),
    ]),
    Case::must(
        "snapshot_is_current",
        Around,
        "a later snapshot holds what has come since the first",
        |ctx| Box::pin(current(ctx)),
    )
    .says("5b", "the state at watermark N; a client resumes after N.")
    .needs(SNAPSHOT)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("old_documents"), Catch::Proxy("hashes_of_others")]),
    Case::must("snapshot_unsupported", Around, "a topic without a snapshot says so", |ctx| {
        Box::pin(unsupported(ctx))
    })
    .says("5b", "404 `{\"error\":\"snapshot_unsupported\"}`")
    .needs(SNAPSHOT)
    .caught_by(&[Catch::Proxy("other_statuses")]),
    Case::must(
        "snapshot_needs_scope",
        Around,
        "a snapshot opens to its topic's scope alone",
        |ctx| Box::pin(scoped(ctx)),
    )
    .says("5b", "(sync token with the topic's scope)")
    .needs(SNAPSHOT)
    .caught_by(&[Catch::Defect("scope_ignored"), Catch::Proxy("first_scopes_of_a_session")]),
    Case::must("snapshot_needs_token", Around, "a snapshot opens to no bad token", |ctx| {
        Box::pin(unvouched(ctx))
    })
    .says("5b", "(sync token with the topic's scope)")
    .needs(&[Need::Snapshot, Need::SigningKey])
    .caught_by(&[Catch::Proxy("open_snapshots"), Catch::Defect("alg_none_accepted")]),
    Case::must(
        "snapshot_until_expiry",
        Around,
        "a snapshot opens until the token expires",
        |ctx| Box::pin(until_expiry(ctx)),
    )
    .says("1, rule 8", SCOPED)
    .needs(SNAPSHOT)
    .takes(SHORT_LIFE)
    .caught_by(&[Catch::Proxy("expired_snapshots"), Catch::Proxy("remembers_tokens")]),
    Case::must(
        "snapshot_until_revoked",
        Around,
        "a snapshot opens until the session is revoked",
        |ctx| Box::pin(until_revoked(ctx)),
    )
    .says("1, rule 8", SCOPED)
    .does(Does::Revokes)
    .needs(SNAPSHOT)
    .caught_by(&[Catch::Proxy("revoked_snapshots")]),
    Case::must("metrics_need_bearer", Around, "fan-out metrics open to operators alone", |ctx| {
        Box::pin(bearer(ctx))
    })
    .says("5", "`GET /internal/v1/khala/fanout/metrics?topic_limit=20` (admin bearer)")
    .needs(&[Need::AdminToken])
    .caught_by(&[Catch::Proxy("open_metrics")]),
    Case::must("metrics_fields", Around, "what fan-out metrics hold", |ctx| Box::pin(metrics(ctx)))
        .level(Level::Should)
        .says(
            "5",
            "\"topic_windows\":[{\"topic\",\"topic_class\",\"qos_tier\",\"replay_budget_events\",",
        ),
];

fn path(topic: &str) -> String {
    format!("/internal/v1/khala/topics/{topic}/snapshot")
}

async fn bearer_of(ctx: &Ctx, topics: &[&str]) -> Result<Vec<Header>, Stop> {
    Ok(bearer_with(&ctx.token(&ctx.somebody(), topics).await?))
}

/// The bearer of a token; nothing of an empty one.
fn bearer_with(token: &str) -> Vec<Header> {
    if token.is_empty() {
        return Vec::new();
    }
    vec![(hyper::header::AUTHORIZATION, format!("Bearer {token}"))]
}

async fn resumable(ctx: &Ctx) -> Outcome {
    let headers = bearer_of(ctx, &[SUMMARIES]).await?;
    let did = format!("Took the snapshot of {SUMMARIES}, and resumed after it.");
    let should = "It should have been of that topic, at a watermark between floor and head, and a subscribe from there \
                  should have been served.";
    let reply = match ctx.world.http.get::<Value>(&path(SUMMARIES), &headers).await {
        Ok(reply) => reply.document,
        Err(error @ HttpError::Status { .. }) => return broken(did, format!("{error}."), should),
        Err(error) => return Err(undecided(error.to_string())),
    };
    let documents = reply["documents"].as_array().cloned().unwrap_or_default();
    let of_topic = |it: &Value| {
        let key = it["doc_key"].as_str().unwrap_or_default();
        key.starts_with("runtime/codex_worker_summary:")
    };
    if reply["topic"] != SUMMARIES || !documents.iter().all(of_topic) {
        return broken(did, "It holds documents of another topic.", should);
    }
    let Some(mark) = reply["head_watermark"].as_u64() else {
        return broken(did, "It has no head_watermark.", should);
    };
    let head = window::of(ctx, SUMMARIES).await?.head;
    if mark > head {
        return broken(did, format!("Its watermark is {mark}, beyond the head {head}."), should);
    }
    let mut peer = ctx.join(&ctx.somebody(), &[SUMMARIES]).await?;
    let payload = subscribe(&[SUMMARIES], &[(SUMMARIES.to_owned(), mark)]);
    let reply = peer.ask(event::SUBSCRIBE, payload, ctx.patience()).await?;
    if let Some(stop) = window::overtaken(&reply, &[(SUMMARIES, mark)])
        && window::of(ctx, SUMMARIES).await?.head > head
    {
        return Err(stop); // somebody published meanwhile
    }
    match reply.status() {
        "ok" => kept(format!("taken at {mark}, and resumed after it")),
        _ => broken(
            did,
            format!("Its watermark {mark} was refused: {}.", word(reply.code())),
            should,
        ),
    }
}

/// What a client would miss that took it: it resumes after the watermark, and never hears of what is missing below.
async fn current(ctx: &Ctx) -> Outcome {
    let headers = bearer_of(ctx, &[SUMMARIES]).await?;
    let taken = async || match ctx.world.http.get::<Value>(&path(SUMMARIES), &headers).await {
        Ok(reply) => Ok(reply.document),
        Err(error) => Err(undecided(format!("on the way, no snapshot: {error}"))),
    };
    taken().await?;
    let mut live = ctx.live(&[SUMMARIES]).await?;
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 3).await?;
    let (key, last) = (format!("runtime/codex_worker_summary:{}", worker.id), worker.last());
    let told = |peer: &Peer| {
        let delivered = peer.delivered(0);
        delivered.into_iter().find(|it| it.key == key && it.version >= last)
    };
    live.until(ctx.patience(), |peer| told(peer).is_some()).await;
    let state = told(&live)
        .ok_or_else(|| undecided("on the way, the worker's document did not come live"))?;
    let seq = state.seq;
    let snapshot = taken().await?;
    let mark = snapshot["head_watermark"].as_u64().unwrap_or_default();
    if mark < seq {
        return kept(format!("the later one is of {mark}, before what came since, at {seq}"));
    }
    let documents = snapshot["documents"].as_array().into_iter().flatten();
    let newest =
        documents.filter(|it| it["doc_key"] == *key).max_by_key(|it| it["doc_version"].as_u64());
    let version = newest.and_then(|it| it["doc_version"].as_u64());
    let did = format!(
        "Took a snapshot, published until a worker's document came live with version {last} at {seq}, and took another."
    );
    let should = "It should have held that version, as it came live and with its hash: who resumes after its watermark is \
                  not told of it again.";
    let Some(document) = newest.filter(|_| version.is_some_and(|version| version >= last)) else {
        let holds = version
            .map_or_else(|| "does not hold it".to_owned(), |it| format!("holds version {it}"));
        return broken(did, format!("It is of the watermark {mark}, and {holds}."), should);
    };
    match otherwise(document, &state) {
        Some(came) => broken(did, came, should),
        None => kept(format!(
            "the later one holds version {last} of a worker's document, which came since"
        )),
    }
}

/// What a document of a snapshot says otherwise than it did when it came live, at the same version.
fn otherwise(document: &Value, live: &Delivered) -> Option<String> {
    let payload = &document["payload"];
    if document["doc_version"] != json!(live.version) || payload.is_null() || live.payload.is_null()
    {
        return None;
    }
    if let Some(differs) = state::between(&live.payload, payload) {
        return Some(format!(
            "Version {} came live, and in the snapshot, with {differs}.",
            live.version
        ));
    }
    let hash = document["payload_hash"].as_str().unwrap_or_default();
    (!payload_hash_matches(&payload.to_string(), hash))
        .then(|| "The hash of a document in the snapshot is not its payload's.".to_owned())
}

async fn unsupported(ctx: &Ctx) -> Outcome {
    let headers = bearer_of(ctx, &[EVENTS]).await?;
    let asked = ctx.world.http.get::<Value>(&path(EVENTS), &headers).await;
    let did = format!("Asked for a snapshot of {EVENTS}, which has none.");
    let should = "It should have been HTTP 404 with `snapshot_unsupported`: such topics are begun anew by a subscribe.";
    match asked {
        Err(HttpError::Status { status: 404, code: Some(code), .. })
            if &*code == "snapshot_unsupported" =>
        {
            kept("404, `snapshot_unsupported`")
        }
        Err(error @ HttpError::Status { .. }) => broken(did, format!("{error}."), should),
        Err(error) => Err(undecided(error.to_string())),
        Ok(_) => broken(did, "One came.", should),
    }
}

/// With a token for another topic, after one of the same session that opens it.
async fn scoped(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    take(ctx, &ctx.token(&who, &[SUMMARIES, EVENTS]).await?).await?;
    let narrow = ctx.token(&who, &[EVENTS]).await?;
    let did = format!("Asked for the snapshot of {SUMMARIES} with a token for another topic.");
    must_not_open(ctx, &narrow, did).await
}

/// Without a token, and with some that nobody signed for this verifier.
async fn unvouched(ctx: &Ctx) -> Outcome {
    let (key, who) = (ctx.key()?, ctx.somebody());
    take(ctx, &ctx.token(&who, &[SUMMARIES]).await?).await?;
    let claims = ctx.claims(&who, &[SUMMARIES])?;
    let other = Key::new(key.kid(), "a secret that no verifier has");
    let mut misdirected = claims.clone();
    misdirected["aud"] = json!("khala-conform-nobody");
    let tokens = [
        ("without a token", Some(String::new())),
        ("with a token that was signed with another key", other.sign(&claims).ok()),
        ("with a token of `alg: none`, which nobody signed", unsigned(key.kid(), &claims)),
        ("with a token for another audience", key.sign(&misdirected).ok()),
    ];
    let mut last = kept("");
    for (what, token) in tokens {
        let token = token.ok_or_else(|| undecided("a token could not be signed"))?;
        last = must_not_open(ctx, &token, format!("Asked for the snapshot of {SUMMARIES} {what}."))
            .await;
        if !matches!(last, Ok(Found::Kept(_))) {
            return last;
        }
    }
    last
}

async fn until_expiry(ctx: &Ctx) -> Outcome {
    let short = ShortLived::of(ctx, &ctx.somebody()).await?;
    take(ctx, &short.token).await?;
    tokio::time::sleep(short.left()).await;
    let did = format!(
        "Took the snapshot of {SUMMARIES}, and asked for it again with the same token after it had expired."
    );
    must_not_open(ctx, &short.token, did).await
}

async fn until_revoked(ctx: &Ctx) -> Outcome {
    let who = ctx.somebody();
    let token = ctx.token(&who, &[SUMMARIES]).await?;
    take(ctx, &token).await?;
    revoke(ctx, &[&who.session], &[]).await?;
    let did = format!(
        "Took the snapshot of {SUMMARIES}, revoked the session, and asked for it again with the same token."
    );
    must_not_open(ctx, &token, did).await
}

/// A snapshot, as a step on the way.
async fn take(ctx: &Ctx, token: &str) -> Result<(), Stop> {
    let taken = ctx.world.http.get::<Value>(&path(SUMMARIES), &bearer_with(token)).await;
    taken.map(drop).map_err(|error| undecided(format!("on the way, no snapshot: {error}")))
}

async fn must_not_open(ctx: &Ctx, token: &str, did: String) -> Outcome {
    match ctx.world.http.get::<Value>(&path(SUMMARIES), &bearer_with(token)).await {
        Ok(_) => broken(did, "It came.", "It should have been refused with 401 or 403."),
        Err(error) => match error.status() {
            Some(401 | 403) => kept("refused"),
            _ => Err(undecided(error.to_string())),
        },
    }
}

async fn bearer(ctx: &Ctx) -> Outcome {
    let with = ctx.world.target.metrics(&ctx.world.http).await;
    if let Err(error) = with {
        return Err(not_applicable(
            format!("its fan-out metrics cannot be read ({error})"),
            "a target that has them, and its own admin token",
        ));
    }
    let asked = ctx.world.http.get::<Value>(&format!("{METRICS_PATH}?topic_limit=20"), &[]).await;
    match asked {
        Ok(_) => broken(
            "Asked for fan-out metrics without a bearer.",
            "They came.",
            "They should have been refused: they tell what goes on inside.",
        ),
        Err(error) => match error.status() {
            Some(401 | 403) => kept("refused without a bearer"),
            _ => Err(undecided(error.to_string())),
        },
    }
}

/// The fan-out metrics, whatever is in them.
pub(super) async fn document(ctx: &Ctx) -> Result<Value, Stop> {
    let headers = ctx.world.target.admin_headers();
    let path = format!("{METRICS_PATH}?topic_limit=20");
    match ctx.world.http.get::<Value>(&path, &headers).await {
        Ok(reply) => Ok(reply.document),
        Err(error) => Err(match error.status() {
            Some(401 | 403 | 404) => not_applicable(
                format!("its fan-out metrics cannot be read ({error})"),
                "a target that has them, and its own admin token",
            ),
            _ => undecided(error.to_string()),
        }),
    }
}

async fn metrics(ctx: &Ctx) -> Outcome {
    let document = document(ctx).await?;
    let names = [
        "topic",
        "topic_class",
        "qos_tier",
        "replay_budget_events",
        "oldest_sequence",
        "head_sequence",
    ];
    let row = &document["topic_windows"][0];
    let lacks: Vec<_> = names.iter().filter(|name| row.get(**name).is_none()).copied().collect();
    let lives = document["delivery_metrics"].is_object() && document["driver"] != json!(null);
    match (row.is_null(), lacks.is_empty() && lives) {
        (true, _) => Err(not_applicable("no topic is listed in them", "a target with events")),
        (false, true) => kept("driver, delivery_metrics and topic_windows are there"),
        (false, false) => broken(
            "Read the fan-out metrics.",
            format!("A topic's window is {}.", quote(row)),
            "They should have had driver, delivery_metrics, and of each topic its class, tier, budget, oldest and head.",
        ),
    }
}
