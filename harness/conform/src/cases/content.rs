//! What was published is what comes: each kind of value, long payloads, types of events, ids of workers and times.

use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use khala_engine::http::HttpError;
use khala_wire::canonical::payload_hash_matches;
use serde_json::Value;

use super::replay::RULE_5;
use crate::case::Area::Delivery;
use crate::case::{Case, Catch, Does, Level};
use crate::content::difference;
use crate::ctx::{Ctx, EVENTS, SUMMARIES};
use crate::delivery::Delivered;
use crate::outcome::{Outcome, Stop, broken, kept, not_applicable, undecided};
use crate::peer::{Peer, quote, word};
use crate::worker::Worker;

const PAYLOAD: &str = "payload `{\"eventType\",\"event_type\",\"occurredAt\",\"occurred_at\",\"payload\":{…the command's \
                       payload…},\"seq\",\"workerId\",\"worker_id\"}`";

pub const CASES: &[Case] = &[
    Case::must(
        "content_by_value",
        Delivery,
        "every kind of JSON value comes as it was published",
        |ctx| Box::pin(by_value(ctx)),
    )
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("cuts_fractions"), Catch::Proxy("alters_every_other_socket")]),
    Case::must(
        "content_large",
        Delivery,
        "a payload of nearly the largest size comes whole, live and replayed",
        |ctx| Box::pin(large(ctx)),
    )
    .says("1, rule 5", RULE_5)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("cuts_long_texts"), Catch::Proxy("other_hashes")]),
    Case::must(
        "content_beyond_2_53",
        Delivery,
        "integers beyond 2^53 come as they were published",
        |ctx| Box::pin(beyond(ctx)),
    )
    .level(Level::Silent)
    .says("3, commands", "\"payload\":{…the command's payload…}")
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("rounds_integers")]),
    Case::must(
        "event_type_kept",
        Delivery,
        "an event's type comes whole, in both spellings",
        |ctx| Box::pin(kind(ctx)),
    )
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("cuts_event_types")]),
    Case::must(
        "worker_id_kept",
        Delivery,
        "a worker's id comes as it is: capitals, colons, and all of its length",
        |ctx| Box::pin(ids(ctx)),
    )
    .says("3, commands", "(`doc_key` `runtime/codex_worker_event:{worker}:{seq}`,")
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("folds_case")]),
    Case::must(
        "event_time_kept",
        Delivery,
        "an event's time is that of the command's answer, in both spellings",
        |ctx| Box::pin(time(ctx)),
    )
    .says("3, commands", PAYLOAD)
    .does(Does::Writes)
    .caught_by(&[Catch::Proxy("shifts_times")]),
];

/// Longer than any column of short names, and in letters that nobody has to escape.
const LONG_TYPE: &str = "worker.progress_reported_by_conformance";

/// A payload that was published, and what became of it.
struct Told {
    /// The worker's own seq.
    seq: u64,
    sent: Value,
    /// `payload` of the command's answer.
    answered: Value,
    live: Rc<Delivered>,
    replayed: Rc<Delivered>,
}

impl Told {
    /// Where it came, and what came there.
    fn places(&self) -> [(&'static str, &Value); 3] {
        [
            ("in the answer to the command", &self.answered),
            ("live", &self.live.payload["payload"]),
            ("in a replay", &self.replayed.payload["payload"]),
        ]
    }

    /// What of it came otherwise, and where.
    fn otherwise(&self) -> Option<String> {
        let each = |(place, came): (&str, &Value)| {
            Some(format!("{}, {place}.", difference(&self.sent, came)?))
        };
        self.places().into_iter().find_map(each)
    }
}

/// Publishes these payloads as events of one worker, before one client and a later one that resumes.
async fn told(ctx: &Ctx, payloads: &[String]) -> Result<Vec<Told>, Stop> {
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    let mut answers = Vec::new();
    for payload in payloads {
        let answer = worker.publish_text(ctx, payload).await?;
        answers.push((worker.last(), answer.document["data"]["payload"].clone()));
    }
    worker.arrives(ctx, &mut live, 0, 0).await;
    let started = of(&worker, &live, 1)?;
    let mut later = ctx.join(&ctx.somebody(), &[EVENTS]).await?;
    ctx.subscribe(&mut later, &[EVENTS], &[(EVENTS.to_owned(), started.seq)]).await?;
    worker.arrives(ctx, &mut later, 0, 1).await;
    let each = answers.into_iter().zip(payloads).map(|((seq, answered), payload)| {
        let (live, replayed) = (of(&worker, &live, seq)?, of(&worker, &later, seq)?);
        if live.by_pointer || replayed.by_pointer {
            return Err(not_applicable(
                "payloads come by pointer",
                "a target that sends payloads inline",
            ));
        }
        let sent = serde_json::from_str(payload).map_err(|error| undecided(error.to_string()))?;
        Ok(Told { seq, sent, answered, live, replayed })
    });
    each.collect()
}

/// One event of a worker, as a client got it.
fn of(worker: &Worker, peer: &Peer, seq: u64) -> Result<Rc<Delivered>, Stop> {
    let mut delivered = peer.delivered(0).into_iter();
    let found = delivered.find(|it| it.event() == Some((&worker.id, seq)));
    found.ok_or_else(|| {
        undecided(format!("on the way, event {seq} did not come: other cases say more"))
    })
}

/// Every kind of value that JSON has, and what is easily taken for another: numbers as far as all readers of JSON agree.
fn every_kind(ctx: &Ctx) -> String {
    let texts = r#""astral":"😀𝕂","decomposed":"e\u0301","markup":"<b>&amp;'\"</b>","spaces":"  both ends \t","escaped":"\u0001\u2028 \\ / \n","empty":"","like_a_number":"007","like_a_time":"2026-01-01""#;
    let numbers =
        r#""integers":[0,-1,9007199254740991,-9007199254740991],"fractions":[2.5,-0.125,0.1]"#;
    let empty = r#""nothing":null,"object":{},"list":[],"within":{"nothing":null,"list":[null,{},[],false]}"#;
    let deep = r#""deep":{"a":{"b":{"c":{"d":{"e":{"f":[[[{"end":null}]]]}}}}}}"#;
    format!(
        "{{\"z\":1,\"conform\":\"{}\",\"CamelCase_Key\":true,\"no\":false,\"7\":\"digits\",{texts},{numbers},{empty},{deep}}}",
        ctx.world.run_id
    )
}

async fn by_value(ctx: &Ctx) -> Outcome {
    let told = told(ctx, &[every_kind(ctx), "{}".to_owned()]).await?;
    for it in &told {
        if let Some(came) = it.otherwise() {
            return broken(
                format!("Published event {} with the payload {}.", it.seq, quote(&it.sent)),
                sentence(&came),
                "Each value should have come as it was published: a hash that fits what came hides it.",
            );
        }
    }
    kept("values of every kind came as they were published, live and in a replay")
}

/// With a capital letter at its beginning, where it has one.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Sizes in KiB, the largest that the contract lets a worker's event have first: limits can be configured.
const SIZES: [usize; 3] = [120, 60, 28];

/// A payload of so many KiB: a long text in which every place is another, and a long list.
fn of_size(kib: usize) -> String {
    let half = (kib << 10) / 2;
    let long = "x".repeat(64);
    let mut text = String::with_capacity(half + 128);
    while text.len() < half {
        text.push_str(&format!("{} é{long}", text.len()));
    }
    let list: Vec<_> =
        (0..half / 40).map(|n| format!("{{\"n\":{n},\"text\":\"item 世 {n:06}\"}}")).collect();
    format!("{{\"z\":1,\"text\":\"{text}\",\"list\":[{}]}}", list.join(","))
}

async fn large(ctx: &Ctx) -> Outcome {
    let mut refused = None;
    for kib in SIZES {
        let payload = of_size(kib);
        // A worker of its own, so that a refusal leaves no seq behind that is waited for.
        match ctx.worker().await?.try_publish(ctx, &payload).await {
            Ok(_) => return whole(ctx, &payload).await,
            Err(error) if matches!(error.status(), Some(400 | 413 | 422)) => refused = Some(error),
            Err(error) => return Err(undecided(format!("on the way, {error}"))),
        }
    }
    let why = refused.map_or_else(String::new, |error| error.to_string());
    Err(not_applicable(
        format!("it takes no payload of {} KiB: {why}", SIZES[SIZES.len() - 1]),
        "a target whose limit of payloads is the contract's, 128 KiB",
    ))
}

async fn whole(ctx: &Ctx, payload: &str) -> Outcome {
    let told = told(ctx, &[payload.to_owned()]).await?;
    let did = format!("Published an event with a payload of {} bytes.", payload.len());
    let should = "It should have come whole, with the hash of what came, live and in a replay.";
    for it in &told {
        if let Some(came) = it.otherwise() {
            return broken(did, sentence(&came), should);
        }
        for (place, it) in [("live", &it.live), ("in a replay", &it.replayed)] {
            if !it.hash.as_deref().is_some_and(|hash| payload_hash_matches(&it.raw, hash)) {
                let came = format!("Its hash is not its payload's, {place}, at seq {}.", it.seq);
                return broken(did, came, should);
            }
        }
    }
    kept(format!("a payload of {} bytes came whole, live and in a replay", payload.len()))
}

async fn beyond(ctx: &Ctx) -> Outcome {
    let payload = r#"{"integers":[9007199254740993,-9007199254740993,18446744073709551615]}"#;
    let told = told(ctx, &[payload.to_owned()]).await?;
    match told.iter().find_map(Told::otherwise) {
        None => kept("integers beyond 2^53 came as they were published"),
        Some(came) => broken(
            format!("Published an event with the payload `{payload}`."),
            sentence(&came),
            "Readers of JSON agree on integers up to 2^53 alone, and the contract does not say more: ids beyond it are \
             safe as texts.",
        ),
    }
}

async fn kind(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    let payload = crate::worker::payload(ctx, 1);
    let answer = worker.try_publish_as(ctx, LONG_TYPE, &payload).await;
    if let Err(error @ HttpError::Status { status: 400 | 403 | 404 | 409 | 413 | 422, .. }) =
        &answer
    {
        return Err(not_applicable(
            format!("it does not take events of a type `{LONG_TYPE}`: {error}"),
            "a target that takes any `event_type`",
        ));
    }
    let answer = worker.taken(ctx, answer, &payload)?;
    worker.arrives(ctx, &mut live, 0, 0).await;
    let it = of(&worker, &live, worker.last())?;
    let spellings = [
        ("event_type of the command's answer", &answer.document["data"]["event_type"]),
        ("event_type", &it.payload["event_type"]),
        ("eventType", &it.payload["eventType"]),
    ];
    let other = spellings.iter().find(|(_, came)| *came != LONG_TYPE);
    match other.filter(|_| !it.payload.is_null()) {
        None => kept(format!("a type of {} letters came whole", LONG_TYPE.len())),
        Some((name, came)) => broken(
            format!("Published an event of the type `{LONG_TYPE}`."),
            format!("Its {name} is {}.", quote(came)),
            "It should have come as it was published, in both spellings and in the answer.",
        ),
    }
}

async fn ids(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[EVENTS, SUMMARIES]).await?;
    let base = ctx.fresh_name("worker");
    let long = format!("{base}-{}", "0123456789".repeat(3));
    let ids = [format!("{base}-Case"), format!("{base}-case"), format!("{base}:part"), long];
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    let mut refused = None;
    for id in ids {
        match Worker::create_as(ctx, id.clone()).await {
            // What it takes for another worker's it knows by other rules.
            Ok(worker) if worker.created.document["data"]["idempotentReplay"] == true => {
                left.push(id)
            }
            Ok(worker) => taken.push(worker),
            Err(stop @ Stop::NotApplicable { .. }) => {
                refused = Some(stop);
                left.push(id);
            }
            Err(stop) => return Err(stop),
        }
    }
    if let Some(stop) = refused.filter(|_| taken.is_empty()) {
        return Err(stop);
    }
    for worker in &mut taken {
        let mark = ctx.fresh_name("mark");
        let payload = format!("{{\"mark\":\"{mark}\"}}");
        let answer = worker.publish_text(ctx, &payload).await?;
        let answered = &answer.document["data"]["worker_id"];
        if let Some(came) = renamed(ctx, &mut live, worker, &mark, answered).await? {
            return broken(
                format!(
                    "Created a worker of the id `{}`, and published an event of it.",
                    worker.id
                ),
                came,
                "The id should have been whole in the keys of the event and of the worker's document, in the event, and \
                 in the answers.",
            );
        }
    }
    let note = match left.len() {
        0 => String::new(),
        some => format!("; {some} of 4 it does not take: {}", left.join(", ")),
    };
    kept(format!(
        "ids with capitals, with a colon and of {} letters came whole{note}",
        base.len() + 31
    ))
}

/// Where a worker's id came otherwise; the event is found by its mark.
async fn renamed(
    ctx: &Ctx,
    live: &mut Peer,
    worker: &Worker,
    mark: &str,
    answered: &Value,
) -> Result<Option<String>, Stop> {
    let marked = |peer: &Peer| {
        peer.delivered(0).into_iter().find(|it| it.payload["payload"]["mark"] == *mark)
    };
    live.until(ctx.patience(), |peer| marked(peer).is_some()).await;
    let it = marked(live)
        .ok_or_else(|| undecided("on the way, the event did not come: other cases say more"))?;
    let key = format!("runtime/codex_worker_event:{}:{}", worker.id, worker.last());
    if it.key != key {
        return Ok(Some(format!("The event's doc_key is {}.", word(&it.key))));
    }
    let spellings = [
        ("The event's workerId", &it.payload["workerId"]),
        ("The event's worker_id", &it.payload["worker_id"]),
        ("workerId of the answer to the creation", &worker.created.document["data"]["workerId"]),
        ("worker_id of the answer to the event", answered),
    ];
    if let Some((name, came)) = spellings.iter().find(|(_, came)| **came != worker.id) {
        return Ok(Some(format!("{name} is {}.", quote(came))));
    }
    let key = format!("runtime/codex_worker_summary:{}", worker.id);
    let document = |peer: &Peer| peer.delivered(0).iter().any(|it| it.key == key);
    let came = live.until(ctx.patience(), document).await;
    Ok((!came).then(|| format!("No document came under {}.", word(&key))))
}

/// More than clocks are read apart within one command, and less than any zone is from another.
const APART: SignedDuration = SignedDuration::from_secs(300);

/// An instant of RFC 3339; one without a zone is of UTC.
fn instant(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

async fn time(ctx: &Ctx) -> Outcome {
    let mut live = ctx.live(&[EVENTS]).await?;
    let mut worker = ctx.worker().await?;
    let answer = worker.publish_text(ctx, &crate::worker::payload(ctx, 1)).await?;
    worker.arrives(ctx, &mut live, 0, 0).await;
    let it = of(&worker, &live, worker.last())?;
    if it.payload.is_null() {
        return Err(not_applicable(
            "payloads come by pointer",
            "a target that sends payloads inline",
        ));
    }
    let answered = &answer.document["data"]["occurred_at"];
    let spellings =
        [("occurred_at", &it.payload["occurred_at"]), ("occurredAt", &it.payload["occurredAt"])];
    for (name, came) in spellings {
        let same = match (instant(answered), instant(came)) {
            (Some(answered), Some(came)) => came.duration_since(answered).abs() < APART,
            _ => answered == came,
        };
        if !same {
            return broken(
                "Published an event, and compared its time with that of the command's answer.",
                format!(
                    "Its {name} is {}, and that of the answer {}.",
                    quote(came),
                    quote(answered)
                ),
                "The answer and both spellings should have told one time.",
            );
        }
    }
    kept("the answer and both spellings tell one time")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn large_payloads_are_json_of_about_their_size() {
        for kib in SIZES {
            let text = of_size(kib);
            let value: Value = serde_json::from_str(&text).expect("JSON");
            assert!(value["list"].as_array().is_some_and(|it| it.len() > 100));
            assert!(
                (kib << 10) * 3 / 4 < text.len() && text.len() < (kib + 4) << 10,
                "{}",
                text.len()
            );
        }
    }

    #[test]
    fn times_are_compared_as_instants_whatever_zone_they_are_told_in() {
        let at = |text: &str| instant(&json!(text)).expect("a time");
        assert_eq!(at("2026-01-01T10:00:00Z"), at("2026-01-01T12:00:00+02:00"));
        assert_eq!(at("2026-01-01T10:00:00.5"), at("2026-01-01T10:00:00.500000Z"));
        assert_eq!(instant(&json!("yesterday")), None);
    }
}
