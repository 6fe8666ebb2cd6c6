//! The form in which updates come: two pushes a batch, their fields, hashes and sizes.

use khala_wire::canonical::payload_hash_matches;
use khala_wire::message::event;
use khala_wire::payload::KIND_UPDATE_BATCH;
use khala_wire::{BATCH_BYTES_MAX, BATCH_UPDATES_MAX, UPDATE_BYTES_MAX};
use serde_json::json;

use super::window;
use crate::case::Area::Delivery;
use crate::case::{Case, Catch, Does, Level};
use crate::ctx::{Ctx, EVENTS, SUMMARIES, subscribe};
use crate::delivery::{inside, of_text};
use crate::outcome::{Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::{Msg, Peer, quote, word};
use crate::worker::Worker;

pub const CASES: &[Case] = &[
    Case::must("batch_pushed_twice", Delivery, "a batch comes twice, with the same content", |ctx| {
        Box::pin(twice(ctx))
    })
    .says(
        "3, delivery",
        "Each batch is of one topic and is pushed twice, `sync:update_batch` (legacy, plain JSON) first, then \
         `sync:frame` (canonical), same content:",
    )
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("frame_mismatch,1")]),
    Case::must("batch_fields", Delivery, "what a batch holds", |ctx| Box::pin(batch(ctx)))
        .says(
            "3, delivery",
            "`sync:update_batch {\"updates\":[{\"topic\",\"doc_key\",\"doc_version\",\"payload\",\"payload_hash\",\
             \"watermark\",\"hydration_required\"}], \"replay_complete\":bool,\
             \"head_watermarks\":[{\"topic\",\"watermark\"}]}`",
        )
        .does(Does::Writes)
        .caught_by(&[Catch::Proxy("renamed_fields")]),
    Case::must("batch_of_one_topic", Delivery, "a batch is of one topic", |ctx| Box::pin(topic(ctx)))
        .says("3, delivery", "Each batch is of one topic")
        .does(Does::Writes)
        .caught_by(&[Catch::Proxy("mixes_topics")]),
    Case::must("frame_fields", Delivery, "what a frame holds", |ctx| Box::pin(frame(ctx)))
        .says("3, delivery", "`seq` is the highest watermark inside, 0 for errors.")
        .does(Does::Writes)
        .caught_by(&[Catch::Proxy("frames_ahead")]),
    Case::must("payload_hash", Delivery, "the hash fits the payload", |ctx| Box::pin(hash(ctx)))
        .says(
            "3, delivery",
            "`payload_hash` is base64 of SHA-256 over the canonical JSON of the payload (keys sorted, no spaces;",
        )
        .does(Does::Writes)
        .caught_by(&[Catch::Proxy("other_hashes")]),
    Case::must("event_document", Delivery, "an event holds what was published", |ctx| {
        Box::pin(document(ctx))
    })
    .says(
        "3, commands",
        "payload `{\"eventType\",\"event_type\",\"occurredAt\",\"occurred_at\",\"payload\":{…the command's \
         payload…},\"seq\",\"workerId\",\"worker_id\"}`",
    )
    .does(Does::Writes)
    .caught_by(&[Catch::Defect("wrong_payload,1"), Catch::Proxy("alters_payloads")]),
    Case::must("batch_limits", Delivery, "batches stay within the documented limits", |ctx| {
        Box::pin(limits(ctx))
    })
    .level(Level::Should)
    .says(
        "3, delivery",
        "Documented limits: 200 updates per batch, 256 KiB per update, 2 MiB per batch (a client must survive more).",
    ),
];

/// A client of both topics that has got events of a worker of ours.
async fn got(ctx: &Ctx) -> Result<(Peer, Worker), Stop> {
    let mut peer = ctx.live(&[EVENTS, SUMMARIES]).await?;
    let mut worker = ctx.worker().await?;
    worker.publish(ctx, 8).await?;
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    let last = worker.last();
    let done = |peer: &Peer| {
        peer.delivered(0).iter().any(|it| it.key == key && it.version >= last)
            && worker.missing(peer, 0, 0).is_empty()
    };
    peer.until(ctx.patience(), done).await;
    // The second push of the last batch.
    peer.listen(ctx.times().quiet).await;
    if peer.delivered(0).is_empty() {
        return Err(undecided("nothing came"));
    }
    Ok((peer, worker))
}

const DID: &str = "Published 8 events, and looked at the batches that came.";

fn batches(peer: &Peer) -> impl Iterator<Item = &Msg> {
    peer.log.iter().filter(|msg| msg.event == event::UPDATE_BATCH)
}

fn frames(peer: &Peer) -> impl Iterator<Item = &Msg> {
    let fits = |msg: &&Msg| msg.event == event::FRAME && msg.payload["kind"] == KIND_UPDATE_BATCH;
    peer.log.iter().filter(fits)
}

async fn twice(ctx: &Ctx) -> Outcome {
    let (peer, _) = got(ctx).await?;
    let should = "Each batch should have come as sync:update_batch, and right after it as sync:frame with the same \
                  JSON, byte for byte.";
    let (mut legacy, canonical): (Vec<_>, Vec<_>) =
        (batches(&peer).collect(), frames(&peer).collect());
    let is_push = |msg: &&Msg| matches!(&*msg.event, event::UPDATE_BATCH | event::FRAME);
    let last = peer.log.iter().rev().find(is_push);
    if last.is_some_and(|msg| msg.event == event::UPDATE_BATCH) {
        // Its frame is on its way.
        legacy.pop();
    }
    if legacy.len() != canonical.len() {
        let came = format!(
            "{} came as sync:update_batch and {} as sync:frame.",
            legacy.len(),
            canonical.len()
        );
        return broken(DID, came, should);
    }
    let places = peer.log.iter().filter(|msg| {
        msg.event == event::UPDATE_BATCH
            || msg.event == event::FRAME && msg.payload["kind"] == KIND_UPDATE_BATCH
    });
    let order: Vec<_> = places.map(|msg| msg.event == event::UPDATE_BATCH).collect();
    if order.chunks_exact(2).any(|pair| *pair != [true, false]) {
        return broken(DID, "A sync:frame came before its sync:update_batch.", should);
    }
    for (legacy, canonical) in legacy.iter().zip(&canonical) {
        let Some((_, text)) = inside(canonical) else {
            return broken(DID, "payload_bytes of a frame is not base64 of text.", should);
        };
        if text != legacy.raw {
            let seq = &canonical.payload["seq"];
            return broken(
                DID,
                format!("At seq {} the two say different things.", quote(seq)),
                should,
            );
        }
    }
    kept(format!("{} batches came twice, with the same content", legacy.len()))
}

async fn batch(ctx: &Ctx) -> Outcome {
    let (peer, _) = got(ctx).await?;
    let names = [
        "topic",
        "doc_key",
        "doc_version",
        "payload",
        "payload_hash",
        "watermark",
        "hydration_required",
    ];
    let should = "Each batch should have had updates with all seven fields, replay_complete and head_watermarks.";
    for msg in batches(&peer) {
        let payload = &msg.payload;
        let heads = payload["head_watermarks"].as_array();
        let heads = heads.is_some_and(|it| {
            it.iter().all(|it| it["topic"].is_string() && it["watermark"].is_u64())
        });
        if !heads || !payload["replay_complete"].is_boolean() || !payload["updates"].is_array() {
            let came = format!("A batch is {}.", quote(payload));
            return broken(DID, came, should);
        }
        for update in payload["updates"].as_array().into_iter().flatten() {
            let lacks: Vec<_> =
                names.iter().filter(|name| update.get(**name).is_none()).copied().collect();
            if !lacks.is_empty() {
                return broken(DID, format!("An update lacks {}.", lacks.join(", ")), should);
            }
            if update["payload"].is_null() && update["hydration_required"] != true {
                return broken(DID, "An update has no payload, and does not say so.", should);
            }
        }
    }
    match batches(&peer).count() {
        0 => broken(DID, "No sync:update_batch came.", should),
        count => kept(format!("{count} batches have all fields")),
    }
}

async fn topic(ctx: &Ctx) -> Outcome {
    let (peer, _) = got(ctx).await?;
    for msg in frames(&peer) {
        let Some((_, text)) = inside(msg) else { continue };
        let updates = of_text(&text);
        let named = msg.payload["topic"].as_str().unwrap_or_default();
        if let Some(other) = updates.iter().find(|it| it.topic != named) {
            return broken(
                DID,
                format!("A frame of {} holds an update of {}.", word(named), word(&other.topic)),
                "Each batch should have been of one topic, and its frame should name it.",
            );
        }
    }
    kept("each batch was of one topic")
}

async fn frame(ctx: &Ctx) -> Outcome {
    let (peer, _) = got(ctx).await?;
    let should = "Each frame should have had the highest watermark inside as its seq, the kind of a batch, and \
                  schema_version 1.";
    for msg in frames(&peer) {
        let updates = inside(msg).map(|(_, text)| of_text(&text)).unwrap_or_default();
        let highest = updates.iter().map(|it| it.seq).max();
        if msg.payload["seq"].as_u64() != highest || msg.payload["schema_version"] != json!(1) {
            let came = format!(
                "A frame has seq {} and schema_version {}, and the highest watermark inside is {}.",
                quote(&msg.payload["seq"]),
                quote(&msg.payload["schema_version"]),
                highest.map_or_else(|| "none".to_owned(), |seq| seq.to_string())
            );
            return broken(DID, came, should);
        }
    }
    kept("seq, kind and schema_version are as they must be")
}

async fn hash(ctx: &Ctx) -> Outcome {
    let (peer, _) = got(ctx).await?;
    let delivered = peer.delivered(0);
    for it in delivered.iter().filter(|it| !it.payload.is_null()) {
        let fits = it.hash.as_deref().is_some_and(|hash| payload_hash_matches(&it.raw, hash));
        if !fits {
            return broken(
                "Published events whose payload's keys are not in order, and hashed what came.",
                format!("The hash of seq {} of {} is not its payload's.", it.seq, word(&it.topic)),
                "It should be SHA-256 over the payload with sorted keys and without spaces: clients that check it \
                 drop the update.",
            );
        }
    }
    kept(format!("{} hashes fit", delivered.len()))
}

async fn document(ctx: &Ctx) -> Outcome {
    let (peer, worker) = got(ctx).await?;
    let delivered = peer.delivered(0);
    let own = worker.of(&delivered);
    let should = "It should have held the payload as it was published, the worker's id and the worker's seq, and both \
                  spellings of each name.";
    for (seq, published) in worker.acked.iter().filter(|(_, payload)| !payload.is_null()) {
        let Some((_, it)) = own.iter().find(|(found, _)| found == seq) else {
            return Err(undecided(format!(
                "on the way, event {seq} did not come: other cases say more"
            )));
        };
        let payload = &it.payload;
        let did = format!("Published event {seq} of a worker, and looked at what came of it.");
        let text = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
        if payload["payload"] != *published {
            let came = format!("Its payload is {}.", quote(&payload["payload"]));
            return broken(did, came, should);
        }
        let names = payload["seq"] == json!(seq)
            && text("workerId") == worker.id
            && text("worker_id") == worker.id
            && text("eventType") == "worker.progress"
            && text("event_type") == "worker.progress"
            && text("occurredAt") == text("occurred_at")
            && !text("occurred_at").is_empty();
        if !names {
            return broken(did, format!("It is {}.", quote(payload)), should);
        }
    }
    kept("events hold what was published as them")
}

async fn limits(ctx: &Ctx) -> Outcome {
    let window = window::of(ctx, EVENTS).await?;
    let reach = window.budget.unwrap_or(u64::MAX).min(450);
    let cursor = window.floor.max(window.head.saturating_sub(reach));
    if window.head - cursor <= BATCH_UPDATES_MAX as u64 {
        return Err(not_applicable(
            format!(
                "the topic retains no more than {} events, which fit in one batch",
                window.head - cursor
            ),
            "a target that retains more than 200 events",
        ));
    }
    let mut peer = ctx.join(&ctx.somebody(), &[EVENTS]).await?;
    let mut payload = subscribe(&[EVENTS], &[(EVENTS.to_owned(), cursor)]);
    payload["replay_batch_size"] = json!(100_000);
    peer.ask_ok(event::SUBSCRIBE, payload, 6 * ctx.patience()).await?;
    let did = format!("Replayed {} events of {EVENTS} in one go.", window.head - cursor);
    let should =
        "Batches should have had at most 200 updates and 2 MiB, and updates at most 256 KiB.";
    for msg in frames(&peer) {
        let Some((_, text)) = inside(msg) else { continue };
        let updates = of_text(&text);
        let largest = updates.iter().map(|it| it.raw.len()).max().unwrap_or_default();
        if updates.len() > BATCH_UPDATES_MAX
            || text.len() > BATCH_BYTES_MAX
            || largest > UPDATE_BYTES_MAX
        {
            let came = format!(
                "A batch of {} updates and {} bytes came, its largest update of {largest} bytes.",
                updates.len(),
                text.len()
            );
            return broken(did, came, should);
        }
    }
    let most = frames(&peer).filter_map(inside).map(|(_, text)| of_text(&text).len()).max();
    kept(format!("no batch had more than {} updates", most.unwrap_or_default()))
}
