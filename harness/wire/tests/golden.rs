//! The codec against a recording of a real runtime: every line is accounted for, and every frame
//! that belongs on the wire is read with this crate's types and written again.
//!
//! Must never skip a line in silence: what is not understood fails a count.

mod golden_support;

use std::collections::{BTreeMap, BTreeSet};

use golden_support::garbage::{self, Garbage};
use golden_support::note::Note;
use golden_support::recording::{Content, Line, lines};
use khala_wire::canonical::{canonical_json, payload_hash, payload_hash_matches};
use khala_wire::command::{
    CreateWorker, Data, EventAccepted, PublishEvent, REVOKE_PATH, Revoke, Revoked, WORKERS_PATH,
    WorkerCreated, worker_events_path,
};
use khala_wire::marker::{WorkerEvent, marker_of};
use khala_wire::message::{ClientMessage, Response, ServerMessage, SyncError, Unreadable, event};
use khala_wire::payload::{
    KIND_ERROR, KIND_UPDATE_BATCH, SNAPSHOT_FORMAT, Status, Subscribe, SyncFrame, SyncFrameRef,
    UpdateBatch, UpdateBatchRef,
};
use khala_wire::topic::{TopicId, WORKER_EVENTS};
use khala_wire::{Frame, SCHEMA_VERSION, Vsn, frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A frame on its line.
struct Recorded<'a> {
    line: &'a Line,
    vsn: Vsn,
    text: &'a str,
}

impl<'a> Recorded<'a> {
    fn frame(&self) -> Frame<'a> {
        Frame::parse(self.vsn, self.text).unwrap_or_else(|error| panic!("{}: {error}", self.at()))
    }

    fn at(&self) -> String {
        format!("line {}", self.line.number)
    }
}

fn sent(lines: &[Line]) -> impl Iterator<Item = Recorded<'_>> {
    lines.iter().filter_map(|line| match &line.content {
        Content::Sent { vsn, text } => Some(Recorded { line, vsn: *vsn, text }),
        Content::Received { .. } | Content::Note(_) => None,
    })
}

fn received(lines: &[Line]) -> impl Iterator<Item = Recorded<'_>> {
    lines.iter().filter_map(|line| match &line.content {
        Content::Received { vsn, text } => Some(Recorded { line, vsn: *vsn, text }),
        Content::Sent { .. } | Content::Note(_) => None,
    })
}

fn notes(lines: &[Line]) -> impl Iterator<Item = (usize, Note<'_>)> {
    lines.iter().filter_map(|line| match &line.content {
        Content::Note(note) => Some((line.number, Note::read(note))),
        Content::Sent { .. } | Content::Received { .. } => None,
    })
}

fn counts(classes: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for class in classes {
        *counts.entry(class).or_default() += 1;
    }
    counts
}

#[track_caller]
fn assert_counts(actual: &BTreeMap<String, usize>, expected: &[(&str, usize)]) {
    let expected = expected.iter().map(|&(class, count)| (class.to_owned(), count)).collect();
    assert_eq!(*actual, expected);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// The frame with `message` in its payload's place.
fn written(frame: &Frame<'_>, vsn: Vsn, message: &impl Serialize) -> String {
    frame::encode(vsn, frame.join_ref, frame.msg_ref, &frame.channel, &frame.event, message)
}

fn class_of_client(message: &ClientMessage) -> &'static str {
    match message {
        ClientMessage::Join(_) => "join",
        ClientMessage::Leave(_) => "leave",
        ClientMessage::Subscribe(_) => "subscribe",
        ClientMessage::Unsubscribe(_) => "unsubscribe",
        ClientMessage::Heartbeat(_) => "heartbeat",
        ClientMessage::PhoenixHeartbeat(_) => "phoenix heartbeat",
    }
}

fn class_of_server(message: &ServerMessage) -> String {
    let class = match message {
        ServerMessage::Reply(reply) => {
            let response = match &reply.response {
                Response::Joined(_) => "joined",
                Response::Subscribed(_) => "subscribed",
                Response::Heartbeat(_) => "heartbeat",
                Response::Unsubscribed(_) => "unsubscribed",
                Response::StaleCursor(_) => "stale cursor",
                Response::ForbiddenTopic(_) => "forbidden topic",
                Response::ReauthRequired(_) => "reauth required",
                Response::Compatibility(_) => "compatibility",
                Response::Code(code) => &code.code,
                Response::Reason(reason) => &reason.reason,
                Response::Empty(_) => "empty",
            };
            let status = match reply.status {
                Status::Ok => "ok",
                Status::Error => "error",
            };
            return format!("reply {status}: {response}");
        }
        ServerMessage::UpdateBatch(_) => "update batch",
        ServerMessage::Frame(frame) if frame.kind == KIND_UPDATE_BATCH => "frame: batch",
        ServerMessage::Frame(frame) if frame.kind == KIND_ERROR => "frame: error",
        ServerMessage::Frame(_) => "frame: unknown kind",
        ServerMessage::Heartbeat(_) => "heartbeat",
        ServerMessage::Error(SyncError::StaleCursor(_)) => "error: stale cursor",
        ServerMessage::Error(SyncError::SlowConsumer(_)) => "error: slow consumer",
        ServerMessage::Error(SyncError::ReauthRequired(_)) => "error: reauth required",
        ServerMessage::Close(_) => "close",
        ServerMessage::ChannelError(_) => "channel error",
    };
    class.to_owned()
}

#[test]
fn every_line_has_a_class() {
    let lines = lines();
    let class = |line: &Line| {
        let class = match &line.content {
            Content::Sent { .. } => match garbage::at(line.number) {
                Some(_) => "sent garbage",
                None => "sent",
            },
            Content::Received { .. } => "received",
            Content::Note(note) => match Note::read(note) {
                Note::Connect { .. } => "CONNECT",
                Note::Upgraded => "UPGRADED",
                Note::Rejected { .. } => "REJECTED",
                Note::Closed { .. } => "CLOSED",
                Note::Http { .. } => "HTTP",
                Note::Ping => "PING",
                Note::Other(note) => panic!("line {}: what is `{note}`?", line.number),
            },
        };
        class.to_owned()
    };
    assert_counts(
        &counts(lines.iter().map(class)),
        &[
            ("CONNECT", 38),
            ("UPGRADED", 25),
            ("REJECTED", 13),
            ("CLOSED", 23),
            ("HTTP", 6),
            ("PING", 1),
            ("sent", 66),
            ("sent garbage", 15),
            ("received", 155),
        ],
    );
    assert_eq!(lines.len(), 342);
}

#[test]
fn upgrades_end_as_their_notes_say() {
    let lines = lines();
    let outcomes = counts(notes(&lines).filter_map(|(number, note)| match note {
        Note::Rejected { status, body } => {
            assert_eq!(body.is_empty(), status == 403, "line {number}: a 403 says nothing");
            Some(format!("rejected {status}"))
        }
        Note::Closed { received_code: Some(code) } => Some(format!("closed {code}")),
        Note::Closed { received_code: None } => Some("cut".to_owned()),
        _ => None,
    }));
    assert_counts(
        &outcomes,
        &[
            ("rejected 403", 10),
            ("rejected 404", 3),
            ("closed 1000", 14),
            ("closed 1002", 2),
            ("closed 1011", 5),
            ("closed 1012", 1),
            ("cut", 1),
        ],
    );
}

#[test]
fn what_a_client_must_send_is_read_and_written_again() {
    let lines = lines();
    let classes = sent(&lines).filter(|sent| garbage::at(sent.line.number).is_none()).map(|sent| {
        let frame = sent.frame();
        let message =
            ClientMessage::read(&frame).unwrap_or_else(|error| panic!("{}: {error}", sent.at()));
        let again = written(&frame, sent.vsn, &message);
        assert_eq!(json(&again), json(sent.text), "{}", sent.at());
        class_of_client(&message).to_owned()
    });
    assert_counts(
        &counts(classes),
        &[
            ("join", 19),
            ("leave", 1),
            ("subscribe", 26),
            ("heartbeat", 11),
            ("phoenix heartbeat", 9),
        ],
    );
}

#[test]
fn what_a_server_must_send_is_read_and_written_again_to_the_byte() {
    let lines = lines();
    let mut to_the_byte = 0;
    let mut classes = Vec::new();
    for received in received(&lines) {
        let frame = received.frame();
        let message = ServerMessage::read(&frame)
            .unwrap_or_else(|error| panic!("{}: {error}", received.at()));
        let again = written(&frame, received.vsn, &message);
        assert_eq!(json(&again), json(received.text), "{}", received.at());
        to_the_byte += usize::from(again == received.text);
        classes.push(class_of_server(&message));
    }
    assert_counts(
        &counts(classes.into_iter()),
        &[
            ("update batch", 17),
            ("frame: batch", 17),
            ("frame: error", 4),
            ("heartbeat", 29),
            ("error: stale cursor", 4),
            ("error: slow consumer", 3),
            ("close", 5),
            ("channel error", 2),
            ("reply ok: joined", 18),
            ("reply ok: subscribed", 16),
            ("reply ok: heartbeat", 7),
            ("reply ok: empty", 10),
            ("reply error: stale cursor", 4),
            ("reply error: bad_subscription", 8),
            ("reply error: forbidden topic", 4),
            ("reply error: reauth required", 1),
            ("reply error: unmatched topic", 6),
        ],
    );
    assert_eq!(to_the_byte, 155);
}

#[test]
fn garbage_is_refused_for_what_is_wrong_with_it() {
    let lines = lines();
    let mut seen = BTreeSet::new();
    for sent in sent(&lines) {
        let Some(kind) = garbage::at(sent.line.number) else { continue };
        seen.insert(sent.line.number);
        let parsed = Frame::parse(sent.vsn, sent.text);
        let read = parsed.as_ref().map(ClientMessage::read);
        let at = sent.at();
        match kind {
            Garbage::NotJson | Garbage::Binary | Garbage::WrongArity => {
                assert!(parsed.is_err(), "{at}");
            }
            Garbage::WrongSerializer => {
                assert!(parsed.is_err(), "{at}");
                assert_eq!(sent.vsn, Vsn::V2, "{at}");
                assert!(Frame::parse(Vsn::V1, sent.text).is_ok(), "{at}: right on a V1 socket");
            }
            Garbage::UnknownChannel => {
                assert!(matches!(read, Ok(Err(Unreadable::Channel(_)))), "{at}: {read:?}");
            }
            Garbage::UnknownEvent => {
                assert!(matches!(read, Ok(Err(Unreadable::Event(_)))), "{at}: {read:?}");
            }
            Garbage::BadPayload => {
                assert!(matches!(read, Ok(Err(Unreadable::Payload { .. }))), "{at}: {read:?}");
            }
        }
    }
    let listed: BTreeSet<usize> = garbage::GARBAGE.iter().map(|&(number, _)| number).collect();
    assert_eq!(seen, listed, "the list names sent frames, each once");
}

#[test]
fn malformed_subscriptions_do_not_parse_and_refused_ones_do() {
    let lines = lines();
    let (mut malformed, mut refused) = (0, 0);
    for sent in sent(&lines).filter(|sent| sent.line.case == "subscription_errors") {
        let frame = sent.frame();
        if frame.event != event::SUBSCRIBE {
            assert_eq!(frame.event, event::UNSUBSCRIBE, "{}", sent.at());
            continue;
        }
        let parsed = serde_json::from_str::<Subscribe>(frame.payload.get());
        if garbage::REFUSED_FOR_THEIR_CONTENT.contains(&sent.line.number) {
            let topics = parsed.unwrap_or_else(|error| panic!("{}: {error}", sent.at())).topics;
            let served = |topic: &String| TopicId::of(topic).is_some();
            assert!(topics.is_empty() || !topics.iter().all(served), "{}", sent.at());
            refused += 1;
        } else {
            assert!(parsed.is_err(), "{}: {parsed:?}", sent.at());
            malformed += 1;
        }
    }
    assert_eq!((malformed, refused), (6, 3));
}

/// The push of the same socket that stands right before `index`.
fn push_before<'a>(received: &[Recorded<'a>], index: usize) -> Recorded<'a> {
    let client = &received[index].line.client;
    let before = received[..index].iter().rev().find(|earlier| earlier.line.client == *client);
    let Recorded { line, vsn, text } = *before.expect("a push before the frame");
    Recorded { line, vsn, text }
}

#[test]
fn a_frame_carries_the_push_before_it_byte_for_byte() {
    let lines = lines();
    let received: Vec<Recorded<'_>> = received(&lines).collect();
    let mut buffer = Vec::new();
    let (mut batches, mut errors) = (0, 0);
    for (index, recorded) in received.iter().enumerate() {
        let frame = recorded.frame();
        if frame.event != event::FRAME {
            continue;
        }
        let at = recorded.at();
        let canonical: SyncFrameRef<'_> =
            serde_json::from_str(frame.payload.get()).expect("a sync:frame");
        let legacy = push_before(&received, index);
        let legacy = legacy.frame();
        let content = canonical.decode_into(&mut buffer).expect("base64 of text");
        assert_eq!(content, legacy.payload.get(), "{at}");
        match &*canonical.kind {
            KIND_UPDATE_BATCH => {
                batches += 1;
                assert_eq!(legacy.event, event::UPDATE_BATCH, "{at}");
                let batch: UpdateBatchRef<'_> = serde_json::from_str(content).expect("a batch");
                let highest = batch.updates.iter().map(|update| update.watermark).max();
                assert_eq!(Some(canonical.seq), highest, "{at}");
                assert!(batch.updates.iter().all(|u| u.topic == canonical.topic), "{at}");
            }
            KIND_ERROR => {
                errors += 1;
                assert_eq!(legacy.event, event::SYNC_ERROR, "{at}");
                assert_eq!(canonical.seq, 0, "{at}");
            }
            other => panic!("{at}: what is `{other}`?"),
        }
        let wrapped = SyncFrame::wrap(&canonical.kind, &canonical.topic, canonical.seq, content);
        let sent: SyncFrame = serde_json::from_str(frame.payload.get()).expect("a sync:frame");
        assert_eq!((&wrapped, sent.schema_version), (&sent, SCHEMA_VERSION), "{at}");
    }
    assert_eq!((batches, errors), (17, 4));
}

#[test]
fn every_batch_and_every_stale_cursor_is_followed_by_its_frame() {
    let lines = lines();
    let received: Vec<Recorded<'_>> = received(&lines).collect();
    let mut without = Vec::new();
    for (index, recorded) in received.iter().enumerate() {
        let event = recorded.frame().event;
        if event != event::UPDATE_BATCH && event != event::SYNC_ERROR {
            continue;
        }
        let client = &recorded.line.client;
        let next = received[index + 1..].iter().find(|later| later.line.client == *client);
        if next.is_none_or(|next| next.frame().event != event::FRAME) {
            without.push(recorded.line.number);
        }
    }
    // The three strikes of a slow consumer came as sync:error alone, whatever the contract says.
    assert_eq!(without, [307, 308, 309]);
    assert!(lines[306..309].iter().all(|line| line.case == "slow_consumer"));
}

/// Every legacy push of a batch.
fn batches(lines: &[Line]) -> impl Iterator<Item = (&Line, Frame<'_>)> {
    received(lines).filter_map(|recorded| {
        let frame = recorded.frame();
        (frame.event == event::UPDATE_BATCH).then_some((recorded.line, frame))
    })
}

#[test]
fn a_batch_reads_alike_borrowed_and_owned() {
    let lines = lines();
    let mut updates = 0;
    for (line, frame) in batches(&lines) {
        let text = frame.payload.get();
        let borrowed: UpdateBatchRef<'_> = serde_json::from_str(text).expect("a batch");
        let owned: UpdateBatch = serde_json::from_str(text).expect("a batch");
        assert_eq!(borrowed.updates.len(), owned.updates.len(), "line {}", line.number);
        for (borrowed, owned) in borrowed.updates.iter().zip(&owned.updates) {
            assert_eq!(
                (
                    &*borrowed.topic,
                    borrowed.watermark,
                    borrowed.payload_hash.as_ref().map(|h| &*h.0)
                ),
                (&*owned.topic, owned.watermark, owned.payload_hash.as_deref()),
                "line {}",
                line.number
            );
            updates += 1;
        }
    }
    assert_eq!(updates, 37);
}

#[test]
fn payload_hashes_are_those_of_the_canonical_json_but_for_six() {
    let lines = lines();
    let mut others = Vec::new();
    let mut matching = 0;
    for (line, frame) in batches(&lines) {
        let batch: UpdateBatch = serde_json::from_str(frame.payload.get()).expect("a batch");
        for update in batch.updates {
            let payload = update.payload.expect("inline").to_string();
            let hash = update.payload_hash.expect("a hash");
            let value = json(&payload);
            // The runtime sends canonical JSON, which is why hashing the text as it stands works.
            assert_eq!(canonical_json(&value), payload, "line {}", line.number);
            assert_eq!(payload_hash(&value) == hash, payload_hash_matches(&payload, &hash));
            if payload_hash(&value) == hash {
                matching += 1;
            } else {
                others.push((line.number, line.case.clone(), update.topic, update.watermark));
            }
        }
    }
    // These have a hash of the right form that is of no part of their payload: the recorder
    // inserted them past the runtime's own writer.
    let six = (2..=7).map(|watermark| {
        (54, "resume_list_form".to_owned(), "runtime.notifications".to_owned(), watermark)
    });
    assert_eq!(others, six.collect::<Vec<_>>());
    assert_eq!(matching, 31);
}

#[test]
fn worker_events_name_their_worker_and_seq() {
    let lines = lines();
    let mut events = 0;
    for (line, frame) in batches(&lines) {
        let batch: UpdateBatchRef<'_> = serde_json::from_str(frame.payload.get()).expect("a batch");
        for update in batch.updates.iter().filter(|update| update.topic == WORKER_EVENTS) {
            let payload = update.payload.expect("inline").get();
            let event: WorkerEvent<'_> = serde_json::from_str(payload).expect("a worker event");
            let key = format!("runtime/codex_worker_event:{}:{}", event.worker_id, event.seq);
            assert_eq!(update.doc_key, key, "line {}", line.number);
            assert_eq!(marker_of(event.payload.get()), None, "the recorder marked nothing");
            events += 1;
        }
    }
    assert_eq!(events, 5);
}

#[test]
fn stale_cursors_say_what_the_table_of_topics_says() {
    let lines = lines();
    let mut stale_topics = 0;
    for recorded in received(&lines) {
        let frame = recorded.frame();
        let Ok(ServerMessage::Error(SyncError::StaleCursor(stale))) = ServerMessage::read(&frame)
        else {
            continue;
        };
        for topic in &stale.stale_topics {
            let known = TopicId::of(&topic.topic).expect("known").known();
            assert_eq!(topic.qos_tier, known.qos_tier, "{}", recorded.at());
            assert!(stale.reason_codes.contains(&topic.reason), "{}", recorded.at());
            stale_topics += 1;
        }
        assert_eq!(stale.snapshot_plan.format, SNAPSHOT_FORMAT);
        for plan in &stale.snapshot_plan.topics {
            let known = TopicId::of(&plan.topic).expect("known").known();
            assert_eq!(Some(plan.snapshot.cadence_seconds), known.snapshot_cadence_s);
            assert_eq!(Some(&*plan.snapshot.source_table), known.snapshot_source_table);
        }
    }
    assert_eq!(stale_topics, 4);
}

/// Reads a body, writes it again, and checks that nothing that was sent is lost or changed.
#[track_caller]
fn body<T: DeserializeOwned + Serialize>(text: &str) -> T {
    let body: T = serde_json::from_str(text).expect("the type's shape");
    let again = serde_json::to_value(&body).expect("serialises");
    let (Value::Object(original), Value::Object(again)) = (json(text), again) else {
        panic!("not an object: {text}");
    };
    // A default that the type spells out, such as an empty list, may be added.
    for (key, value) in original {
        assert_eq!(again.get(&key), Some(&value), "{key} of {text}");
    }
    body
}

#[test]
fn command_bodies_are_read_both_ways() {
    let lines = lines();
    let classes = notes(&lines).filter_map(|(number, note)| {
        let Note::Http { method, path, request, status, response } = note else { return None };
        assert_eq!(method, "POST", "line {number}");
        let (class, expected) = if path == WORKERS_PATH {
            let asked: CreateWorker = body(request);
            let created = body::<Data<WorkerCreated>>(response).data;
            assert_eq!((created.worker_id, created.latest_seq), (asked.worker_id, 0));
            ("worker created", 202)
        } else if path == REVOKE_PATH {
            let asked: Revoke = body(request);
            let revoked = body::<Data<Revoked>>(response).data;
            assert_eq!(revoked.revoked_session_ids, asked.session_ids);
            ("sessions revoked", 200)
        } else {
            let asked: PublishEvent = body(request);
            let accepted = body::<Data<EventAccepted>>(response).data;
            assert_eq!(path, worker_events_path(&accepted.worker_id), "line {number}");
            assert_eq!(accepted.payload, asked.event.payload, "line {number}");
            ("event accepted", 202)
        };
        assert_eq!(status, expected, "line {number}");
        Some(class.to_owned())
    });
    assert_counts(
        &counts(classes),
        &[("worker created", 2), ("event accepted", 3), ("sessions revoked", 1)],
    );
}
