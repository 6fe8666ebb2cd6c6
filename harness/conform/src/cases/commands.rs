//! Commands: over HTTP, and not over the socket.

use std::collections::{BTreeMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use hyper::header::HeaderName;
use khala_engine::clock::unix_seconds;
use khala_engine::http::{Header, HttpError, Reply};
use khala_wire::CHANNEL;
use khala_wire::command::{USER_ID_HEADER, WORKERS_PATH, worker_events_path, worker_snapshot_path};
use khala_wire::message::event;
use khala_wire::signature::{self, SIGNATURE_HEADER, SignedPayload};
use serde_json::{Value, json};

use crate::case::Area::Commands;
use crate::case::{Case, Catch, Does, Level, Need};
use crate::ctx::{Ctx, EVENTS};
use crate::outcome::{Outcome, Stop, broken, kept, undecided};
use crate::peer::{JOIN_REF, Peer, quote, word};
use crate::worker::{Worker, payload, post_as, post_headed, progress};

const PAYLOAD: &str = "header `x-oa-runtime-signature: v1.{base64url(json)}.{base64url(hmac-sha256)}` over a payload with \
                       `iat`, `exp`, `nonce`, `user_id`, and `x-oa-user-id`";
const LIFECYCLE: &str =
    "Creating a worker emits `worker.started` as its seq 1, stopping it one more event";
/// Workers of the case that has many: some at a time.
const MANY: (u32, usize) = (40, 8);

pub const CASES: &[Case] = &[
    Case::must("socket_command_refused", Commands, "a command over the socket changes nothing", |ctx| {
        Box::pin(over_socket(ctx))
    })
    .says(
        "1, rule 1",
        "Commands and mutations travel over HTTP only. A command sent over the socket is refused and changes nothing.",
    )
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("command_obeyed")]),
    Case::must("command_create_answer", Commands, "what creating a worker is answered", |ctx| {
        Box::pin(created(ctx))
    })
    .says("3, commands", "→ 202 `{\"data\":{\"workerId\",\"status\",\"latestSeq\",\"idempotentReplay\"}}`;")
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("renamed_answers")]),
    Case::must("command_create_twice", Commands, "a worker is created once", |ctx| {
        Box::pin(created_twice(ctx))
    })
    .says("3, commands", "→ 202 `{\"data\":{\"workerId\",\"status\",\"latestSeq\",\"idempotentReplay\"}}`;")
    .level(Level::Should)
    .does(Does::Writes),
    Case::must("command_event_answer", Commands, "what an event is answered", |ctx| {
        Box::pin(accepted(ctx))
    })
    .says(
        "3, commands",
        "→ 202 `{\"data\":{\"seq\",\"event_type\",\"payload\",\"occurred_at\",\"worker_id\"}}`.",
    )
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("renamed_answers")]),
    Case::must("command_stop_answer", Commands, "what stopping a worker is answered", |ctx| {
        Box::pin(stopped(ctx))
    })
    .says("3, commands", "→ 202 `{\"data\":{\"status\":\"stopped\",\"worker_id\",\"idempotent_replay\"}}`;")
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("renamed_answers")]),
    Case::must("command_worker_document", Commands, "a worker's document over HTTP", |ctx| {
        Box::pin(document(ctx))
    })
    .level(Level::Should)
    .says("3, commands", "`GET …/codex/workers/{id}/snapshot` → the worker's document.")
    .does(Does::Writes),
    Case::must("command_unsigned", Commands, "a command that nobody signed", |ctx| {
        Box::pin(unsigned(ctx, None))
    })
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .needs(&[Need::CommandSecret])
    .caught_by(&[Catch::Proxy("unsigned_commands")]),
    Case::must("command_badly_signed", Commands, "a command that is signed with another secret", |ctx| {
        Box::pin(unsigned(ctx, Some(b"a secret that no verifier has")))
    })
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .needs(&[Need::CommandSecret])
    .caught_by(&[Catch::Proxy("unsigned_commands")]),
    Case::must("command_expired", Commands, "a command whose signature expired", |ctx| {
        Box::pin(expired(ctx))
    })
    .level(Level::Should)
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .needs(&[Need::CommandSecret])
    .caught_by(&[Catch::Proxy("unsigned_commands")]),
    Case::must("command_other_user", Commands, "a command that names another user than its signature", |ctx| {
        Box::pin(other_user(ctx))
    })
    .level(Level::Should)
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .needs(&[Need::CommandSecret])
    .caught_by(&[Catch::Proxy("unsigned_commands")]),
    Case::must("command_nonce_twice", Commands, "a signature that was used before", |ctx| {
        Box::pin(nonce_twice(ctx))
    })
    .level(Level::Silent)
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .needs(&[Need::CommandSecret]),
    Case::must("command_of_another", Commands, "an event of another user's worker", |ctx| {
        Box::pin(of_another(ctx))
    })
    .level(Level::Silent)
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .needs(&[Need::CommandSecret]),
    Case::must("command_lifecycle_once", Commands, "a worker that is created and stopped twice starts and stops once", |ctx| {
        Box::pin(lifecycle(ctx))
    })
    .says("3, commands", LIFECYCLE)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("lifecycles_again")]),
    Case::must("command_workers_at_once", Commands, "many workers at once: each starts", |ctx| {
        Box::pin(many(ctx))
    })
    .says("3, commands", LIFECYCLE)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("drops_late_starts")]),
    Case::must("command_too_large", Commands, "a payload of 200 KiB", |ctx| Box::pin(large(ctx)))
        .level(Level::Should)
        .says("4", "payload limits 256/64/128/64 KiB (413 `khala_frame_payload_too_large`).")
        .does(Does::Writes),
];

async fn over_socket(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    let from = peer.log.len();
    let command = json!({
        "worker_id": worker.id,
        "event": { "event_type": "worker.progress", "payload": { "over": "the socket" } },
    });
    let msg_ref = json!("60");
    peer.push(&json!(JOIN_REF), &msg_ref, CHANNEL, "codex:publish", &command).await;
    let answered = |msg: &crate::peer::Msg| {
        msg.msg_ref == msg_ref || msg.event == event::ERROR || msg.event == event::CLOSE
    };
    let answer = peer.first(from, ctx.patience(), answered).await;
    let did = "Sent a command over the socket, as a message to the channel.";
    let should = "It should have been refused, and nothing should have come of it.";
    if let Some(msg) = &answer
        && msg.status() == "ok"
    {
        return broken(did, format!("It was answered ok: {}.", quote(msg.response())), should);
    }
    worker.publish(ctx, 1).await?;
    // `worker.started` is 1, so that the first publish is 2 unless something came before it.
    match worker.last() {
        2 => kept(match answer {
            Some(msg) => {
                format!("refused with {}, and nothing came of it", word(&msg.event))
            }
            None => "not answered, and nothing came of it".to_owned(),
        }),
        seq => broken(did, format!("The worker's next event is {seq}, and not 2."), should),
    }
}

/// Whether an answer is 202 and its `data` has these fields; what it lacks else.
fn lacks(reply: &Reply<Value>, names: &[&str]) -> Option<String> {
    let data = &reply.document["data"];
    let missing: Vec<_> = names.iter().filter(|name| data.get(**name).is_none()).copied().collect();
    if !missing.is_empty() {
        return Some(format!("The answer's `data` lacks {}.", missing.join(", ")));
    }
    (reply.status != 202).then(|| format!("It was answered with HTTP {}.", reply.status))
}

async fn created(ctx: &Ctx) -> Outcome {
    let worker = ctx.worker().await?;
    let names = ["workerId", "status", "latestSeq", "idempotentReplay"];
    match lacks(&worker.created, &names) {
        None if worker.created.document["data"]["workerId"] == json!(worker.id) => {
            kept("202, with all fields")
        }
        None => broken(
            "Created a worker.",
            "The answer is about another worker.",
            "It should have named the worker that was created.",
        ),
        Some(came) => broken(
            "Created a worker.",
            came,
            "It should have been HTTP 202 with workerId, status, latestSeq and idempotentReplay.",
        ),
    }
}

async fn created_twice(ctx: &Ctx) -> Outcome {
    let worker = ctx.worker().await?;
    let did = "Created the same worker twice.";
    let should = "The second should have been answered as a replay of the first.";
    match worker.create_again(ctx).await {
        Ok(reply) if reply.document["data"]["idempotentReplay"] == true => {
            kept("a replay, and said so")
        }
        Ok(reply) => broken(
            did,
            format!("The second was answered {}.", quote(&reply.document["data"])),
            should,
        ),
        Err(error @ HttpError::Status { .. }) => {
            broken(did, format!("The second was refused: {error}."), should)
        }
        Err(error) => Err(undecided(error.to_string())),
    }
}

async fn accepted(ctx: &Ctx) -> Outcome {
    let mut worker = ctx.worker().await?;
    let did = "Published two events of a worker, one after the other.";
    let should = "Each should have been HTTP 202 with seq, event_type, payload, occurred_at and worker_id, the seqs 2 \
                  and 3.";
    let names = ["seq", "event_type", "payload", "occurred_at", "worker_id"];
    for seq in [2, 3] {
        let text = payload(ctx, seq);
        let reply = worker.publish_text(ctx, &text).await?;
        if let Some(came) = lacks(&reply, &names) {
            return broken(did, came, should);
        }
        let data = &reply.document["data"];
        let sent: Value = serde_json::from_str(&text).unwrap_or_default();
        if data["seq"] != json!(seq)
            || data["payload"] != sent
            || data["worker_id"] != json!(worker.id)
        {
            return broken(did, format!("One was answered {}.", quote(data)), should);
        }
    }
    kept("202 with all fields, and the worker's next seq each time")
}

async fn stopped(ctx: &Ctx) -> Outcome {
    let worker = ctx.worker().await?;
    let did = "Stopped a worker.";
    let should =
        "It should have been HTTP 202 with status `stopped`, worker_id and idempotent_replay.";
    let reply = match worker.stop(ctx).await {
        Ok(reply) => reply,
        Err(error @ HttpError::Status { .. }) => {
            return broken(did, format!("It was refused: {error}."), should);
        }
        Err(error) => return Err(undecided(error.to_string())),
    };
    let names = ["status", "worker_id", "idempotent_replay"];
    match lacks(&reply, &names) {
        None if reply.document["data"]["status"] == "stopped" => kept("202, and stopped"),
        None => broken(did, format!("The answer is {}.", quote(&reply.document["data"])), should),
        Some(came) => broken(did, came, should),
    }
}

async fn document(ctx: &Ctx) -> Outcome {
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 1).await?;
    let headers =
        ctx.world.target.credentials.command_headers(&worker.user, ctx.fresh_name("nonce"));
    let path = worker_snapshot_path(&worker.id);
    let asked = ctx.world.http.get::<Value>(&path, &headers).await;
    let did = "Asked for a worker's document over HTTP.";
    let should = "It should have come, and hold the worker's latest seq.";
    match asked {
        Ok(reply) => {
            let text = reply.document.to_string();
            let has_seq = text.contains(&format!("\"latest_seq\":{}", worker.last()))
                || text.contains(&format!("\"latestSeq\":{}", worker.last()));
            match has_seq {
                true => kept("it came, with the latest seq"),
                false => broken(did, format!("It is {}.", quote(&reply.document)), should),
            }
        }
        Err(error @ HttpError::Status { .. }) => broken(did, format!("{error}."), should),
        Err(error) => Err(undecided(error.to_string())),
    }
}

async fn unsigned(ctx: &Ctx, secret: Option<&[u8]>) -> Outcome {
    let user = ctx.world.plan.fleet.publisher_id();
    let mut credentials = ctx.world.target.credentials.clone();
    credentials.signature_secret = secret.map(<[u8]>::to_vec);
    let id = ctx.fresh_name("unsigned");
    let body = json!({ "worker_id": id }).to_string();
    let path = WORKERS_PATH;
    let what = if secret.is_some() { "signed with another secret" } else { "without a signature" };
    let posted = post_as(ctx, &credentials, &user, path, body).await;
    must_be_refused(ctx, what, posted, (id, user))
}

/// What the answer says to a command that creates a worker and must not.
fn must_be_refused(
    ctx: &Ctx,
    what: &str,
    posted: Result<Reply<Value>, HttpError>,
    created: (String, String),
) -> Outcome {
    let did = format!("Created a worker by a command {what}.");
    match posted {
        Ok(reply) => {
            ctx.world.workers.borrow_mut().push(created);
            broken(
                did,
                format!("It was answered with HTTP {}.", reply.status),
                "It should have been refused with 401 or 403: anybody can write otherwise.",
            )
        }
        Err(error) => match error.status() {
            Some(401 | 403) => {
                kept(format!("refused with HTTP {}", error.status().unwrap_or_default()))
            }
            Some(status @ 400..429) => broken(
                did,
                format!("It was refused with HTTP {status}."),
                "It should have been refused with 401 or 403.",
            ),
            _ => Err(undecided(error.to_string())),
        },
    }
}

/// The headers of a command of a user whose signature is rightly made of this payload.
fn headers(ctx: &Ctx, user: &str, payload: &SignedPayload) -> Vec<Header> {
    let mut headers = vec![(HeaderName::from_static(USER_ID_HEADER), user.to_owned())];
    if let Some(secret) = &ctx.world.target.credentials.signature_secret {
        let name = HeaderName::from_static(SIGNATURE_HEADER);
        headers.push((name, signature::sign(secret, payload)));
    }
    headers
}

/// Creates a worker as the publishers' user, by a signature of a payload that is right but for what is changed.
async fn signed_but(ctx: &Ctx, what: &str, change: impl Fn(&mut SignedPayload)) -> Outcome {
    let user = ctx.world.plan.fleet.publisher_id();
    let id = ctx.fresh_name("signed");
    let body = json!({ "worker_id": id }).to_string();
    let now = unix_seconds();
    let made = || {
        let nonce = ctx.fresh_name("nonce");
        let mut payload = SignedPayload { exp: now + 60, iat: now, nonce, user_id: user.clone() };
        change(&mut payload);
        headers(ctx, &user, &payload)
    };
    let posted = post_headed(ctx, WORKERS_PATH, body, made).await;
    must_be_refused(ctx, what, posted, (id, user.clone()))
}

async fn expired(ctx: &Ctx) -> Outcome {
    signed_but(ctx, "whose signature expired half an hour ago", |it| {
        (it.exp, it.iat) = (it.exp - 1_860, it.iat - 1_860);
    })
    .await
}

async fn other_user(ctx: &Ctx) -> Outcome {
    let other = ctx.somebody().user;
    let what = "that names one user in `x-oa-user-id` and another in its signature";
    signed_but(ctx, what, |it| it.user_id.clone_from(&other)).await
}

/// What comes of a command that the contract does not say to be refused, though somebody may expect that it is.
fn may_be_refused(posted: Result<Reply<Value>, HttpError>, did: &str, should: &str) -> Outcome {
    match posted {
        Ok(reply) => broken(did, format!("It was answered with HTTP {}.", reply.status), should),
        Err(error) => match error.status() {
            Some(status @ 400..500) => kept(format!("refused with HTTP {status}")),
            _ => Err(undecided(error.to_string())),
        },
    }
}

async fn nonce_twice(ctx: &Ctx) -> Outcome {
    let worker = ctx.worker().await?;
    let path = worker_events_path(&worker.id);
    let signed =
        ctx.world.target.credentials.command_headers(&worker.user, ctx.fresh_name("nonce"));
    let first = post_headed(ctx, &path, progress(&payload(ctx, 1)), || signed.clone()).await;
    first.map_err(|error| undecided(format!("on the way, a publish was not taken: {error}")))?;
    let second = post_headed(ctx, &path, progress(&payload(ctx, 2)), || signed.clone()).await;
    may_be_refused(
        second,
        "Published two events, the second with the signature of the first.",
        "The contract does not say what becomes of it; a nonce is there so that whoever overheard a command cannot \
         send another in its name.",
    )
}

async fn of_another(ctx: &Ctx) -> Outcome {
    let worker = ctx.worker().await?;
    let (path, other) = (worker_events_path(&worker.id), ctx.somebody().user);
    let credentials = &ctx.world.target.credentials;
    let posted = post_as(ctx, credentials, &other, &path, progress(&payload(ctx, 1))).await;
    may_be_refused(
        posted,
        "Published an event of a worker as another user than the one who created it, rightly signed.",
        "The contract does not say what becomes of it; a worker's owner would expect it to be refused.",
    )
}

/// Creates, publishes and stops, the first and the last twice; and looks at what the stream has of it.
async fn lifecycle(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    // However it is answered, which is no matter of this sentence.
    answered(worker.create_again(ctx).await)?;
    worker.publish(ctx, 1).await?;
    worker.stop(ctx).await.map_err(|error| undecided(format!("on the way, {error}")))?;
    answered(worker.stop(ctx).await)?;
    let kinds = |peer: &Peer| -> BTreeMap<u64, String> {
        let kind = |it: &Value| word(it["event_type"].as_str().unwrap_or_default());
        let delivered = peer.delivered(0);
        worker.of(&delivered).into_iter().map(|(seq, it)| (seq, kind(&it.payload))).collect()
    };
    peer.until(ctx.patience(), |peer| kinds(peer).len() >= 3).await;
    // What was emitted before another worker's start comes before it.
    let end = ctx.worker().await?;
    if !end.arrives(ctx, &mut peer, 0, 0).await.is_empty() {
        return Err(undecided("on the way, another worker's start did not come"));
    }
    let kinds = kinds(&peer);
    if kinds.len() == 3 {
        return kept("three events: its start, the event and its stop");
    }
    let told: Vec<_> = kinds.into_values().collect();
    broken(
        "Created a worker twice, published an event of it, and stopped it twice.",
        format!("Its events are {}.", told.join(", ")),
        "They should have been three: one start, what was published, and one stop.",
    )
}

/// A command whose answer is no matter, as long as it was carried out or refused.
fn answered(posted: Result<Reply<Value>, HttpError>) -> Result<(), Stop> {
    match posted {
        Err(error) if !matches!(error.status(), Some(400..429)) => {
            Err(undecided(format!("on the way, {error}")))
        }
        _ => Ok(()),
    }
}

async fn many(ctx: &Ctx) -> Outcome {
    let mut peer = ctx.live(&[EVENTS]).await?;
    let (count, at_once) = MANY;
    let created = stream::iter(0..count).map(|_| ctx.worker()).buffer_unordered(at_once);
    let workers: Vec<Worker> = created.try_collect().await?;
    let missing = |peer: &Peer| -> usize {
        let delivered = peer.delivered(0);
        let came: HashSet<_> = delivered.iter().filter_map(|it| it.event()).collect();
        workers.iter().filter(|worker| !came.contains(&(&*worker.id, 1))).count()
    };
    peer.until(ctx.patience(), |peer| missing(peer) == 0).await;
    let missing = missing(&peer);
    // So that their stops, one after the other, do not take up all the time that there is for those at the end.
    let stop = async |worker: &Worker| worker.stop(ctx).await.is_ok().then(|| worker.id.clone());
    let stopped = stream::iter(&workers).map(stop).buffer_unordered(at_once);
    let stopped: HashSet<String> = stopped.filter_map(future::ready).collect().await;
    ctx.world.workers.borrow_mut().retain(|(id, _)| !stopped.contains(id));
    match missing {
        0 => kept(format!("{count} of {count} starts came")),
        _ => broken(
            format!("Created {count} workers, {at_once} at a time."),
            format!("Of {missing} of them, no event 1 came."),
            "Each should have begun with one.",
        ),
    }
}

async fn large(ctx: &Ctx) -> Outcome {
    let worker = ctx.worker().await?;
    let text = format!("{{\"large\":\"{}\"}}", "x".repeat(200 << 10));
    let posted = worker.try_publish(ctx, &text).await;
    let did = "Published an event of 200 KiB.";
    let should = "It should have been refused with HTTP 413: events of workers may have 128 KiB.";
    match posted {
        Ok(_) => broken(did, "It was taken.", should),
        Err(error) => match error.status() {
            Some(413) => kept("refused with HTTP 413"),
            Some(_) => broken(did, format!("{error}."), should),
            None => Err(undecided(error.to_string())),
        },
    }
}
