//! A machine with what it reads and writes, and the frames of a server, written by hand.

use std::rc::Rc;
use std::sync::Arc;

use khala_evidence::record::{Cut, OfflineCause, Op, OpKind, Outcome, Record, SubscribedTopic};
use khala_plan::model::{Push, SnapshotPath};
use khala_plan::surface::Surface;
use khala_wire::payload::{KIND_UPDATE_BATCH, SNAPSHOT_FORMAT, SyncFrame};
use khala_wire::snapshot::{Document, Snapshot};
use khala_wire::topic::{NOTIFICATIONS, TopicId, WORKER_EVENTS, WORKER_SUMMARIES};
use serde_json::{Value, json};

pub(in crate::client) use super::spoken::{Action, Speaker};
use crate::client::contents::Known;
use crate::client::dialect::Dialect;
use crate::client::dialect::phoenix::Phoenix;
use crate::client::machine::{Phase, Settings};
use crate::client::reader::Reader;
use crate::client::world::World;
use crate::heads::{Heads, LocalHeads};

pub(in crate::client) const SECOND: u64 = 1_000_000;
pub(in crate::client) const ARRIVAL: u64 = 5 * SECOND;
pub(in crate::client) const REQUEST_TIMEOUT: u64 = 10 * SECOND;
pub(in crate::client) const HEARTBEAT: u64 = 20 * SECOND;
pub(in crate::client) const CLIENT: u32 = 7;
pub(in crate::client) const SEED: u64 = 42;

pub(in crate::client) fn events() -> TopicId {
    TopicId::of(WORKER_EVENTS).expect("known")
}

pub(in crate::client) fn notifications() -> TopicId {
    TopicId::of(NOTIFICATIONS).expect("known")
}

pub(in crate::client) fn summaries() -> TopicId {
    TopicId::of(WORKER_SUMMARIES).expect("known")
}

pub(in crate::client) fn settings(surface: Surface) -> Settings {
    Settings {
        seed: SEED,
        topics: vec![events(), notifications()],
        backoff: surface.default_backoff(),
        heartbeat: Surface::HEARTBEAT,
        replay_batch_size: Surface::REPLAY_BATCH_SIZE,
        request_timeout: std::time::Duration::from_micros(REQUEST_TIMEOUT),
        apply: Push::Frame,
        snapshot: SnapshotPath::Http,
        settle_within: std::time::Duration::from_secs(2),
        token_ttl: std::time::Duration::from_secs(3_600),
        manners: Phoenix::MANNERS,
    }
}

/// A machine, and what it reads and writes.
pub(in crate::client) struct Rig {
    pub(in crate::client) machine: Speaker,
    pub(in crate::client) records: Vec<Record>,
    pub(in crate::client) reader: Reader,
    pub(in crate::client) heads: LocalHeads,
    pub(in crate::client) now: u64,
    /// The join_ref of the socket there is.
    pub(in crate::client) join_ref: String,
}

impl Rig {
    pub(in crate::client) fn of(settings: Settings) -> Self {
        Self {
            machine: Speaker::new(CLIENT, Rc::new(settings), ARRIVAL),
            records: Vec::new(),
            reader: Reader::new(Known { run_id: "run".to_owned(), ..Known::default() }),
            heads: LocalHeads::new(Arc::new(Heads::new(8, 4))),
            now: ARRIVAL,
            join_ref: String::new(),
        }
    }

    pub(in crate::client) fn new() -> Self {
        Self::of(settings(Surface::Desktop))
    }

    pub(in crate::client) fn with<R>(
        &mut self,
        act: impl FnOnce(&mut Speaker, u64, &mut World<'_, Vec<Record>>) -> R,
    ) -> R {
        let mut world =
            World { sink: &mut self.records, reader: &mut self.reader, heads: &self.heads };
        act(&mut self.machine, self.now, &mut world)
    }

    pub(in crate::client) fn tick(&mut self) -> Action {
        self.with(|machine, now, world| machine.tick(now, world))
    }

    /// A frame arrives. A push of the first join is one of the join in force.
    pub(in crate::client) fn text(&mut self, text: &str) -> Action {
        match text.strip_prefix(r#"["1",null"#) {
            Some(rest) => {
                let addressed = format!(r#"["{}",null{rest}"#, self.join_ref);
                self.text_as_it_is(&addressed)
            }
            None => self.text_as_it_is(text),
        }
    }

    pub(in crate::client) fn text_as_it_is(&mut self, text: &str) -> Action {
        self.with(|machine, now, world| machine.text(now, now, text, world))
    }

    pub(in crate::client) fn broken(&mut self) {
        self.with(|machine, now, world| machine.broken(now, Cut::Eof, world));
    }

    pub(in crate::client) fn cut(&mut self, fault: u16, intended: u64) -> bool {
        self.with(|machine, now, world| machine.cut(now, fault, intended, world))
    }

    pub(in crate::client) fn retire(&mut self) {
        self.with(|machine, now, world| machine.retire(now, world));
    }

    /// A connect that is due, up to the socket; what is sent first.
    pub(in crate::client) fn connect(&mut self) -> Sent {
        let Phase::Waiting(until) = self.machine.phase() else {
            panic!("no connect is due in {:?}", self.machine.phase())
        };
        self.now = until;
        assert_eq!(self.tick(), Action::Connect);
        let action = self.with(|machine, now, world| {
            assert_eq!(machine.minted(now, now + 10, Outcome::Ok, world), Action::None);
            machine.connected(now + 10, now + 30, world)
        });
        self.now += 30;
        let join = sent(action);
        self.join_ref.clone_from(&join.join_ref);
        join
    }

    /// A connect that is due, up to the answered join; the subscribe.
    pub(in crate::client) fn join(&mut self) -> Sent {
        let join = self.connect();
        let text = reply(
            &join,
            "ok",
            &json!({"allowed_topics": [WORKER_EVENTS, NOTIFICATIONS],
            "current_watermarks": [], "subscription_id": "sub_sync_session:s"}),
        );
        sent(self.text(&text))
    }

    /// A connect that is due, up to replay complete.
    pub(in crate::client) fn go_live(&mut self, watermarks: &Value) {
        let subscribe = self.join();
        assert_eq!(self.text(&subscribed(&subscribe, watermarks)), Action::None);
        assert!(self.machine.is_live());
    }

    pub(in crate::client) fn live() -> Self {
        let mut rig = Self::new();
        rig.go_live(&json!([]));
        rig.records.clear();
        rig
    }

    /// How long the machine wants to wait from now.
    pub(in crate::client) fn delay(&self) -> u64 {
        match self.machine.phase() {
            Phase::Waiting(until) => until - self.now,
            other => panic!("it does not wait, it is {other:?}"),
        }
    }

    pub(in crate::client) fn ops(&self) -> Vec<(OpKind, Outcome)> {
        let op = |record: &Record| match record {
            Record::Op(op) => Some((op.kind, op.outcome)),
            _ => None,
        };
        self.records.iter().filter_map(op).collect()
    }

    pub(in crate::client) fn op(&self, kind: OpKind) -> Op {
        let mut found = self.records.iter().filter_map(|record| match record {
            Record::Op(op) if op.kind == kind => Some(*op),
            _ => None,
        });
        let op = found.next().unwrap_or_else(|| panic!("no {kind:?} in {:?}", self.records));
        assert!(found.next().is_none(), "more than one {kind:?} in {:?}", self.records);
        op
    }

    pub(in crate::client) fn causes(&self) -> Vec<OfflineCause> {
        let cause = |record: &Record| match record {
            Record::Offline { cause, .. } => Some(*cause),
            _ => None,
        };
        self.records.iter().filter_map(cause).collect()
    }

    pub(in crate::client) fn findings(&self) -> Vec<String> {
        let name = |record: &Record| match record {
            Record::Finding { name, .. } => Some(name.clone()),
            _ => None,
        };
        self.records.iter().filter_map(name).collect()
    }

    /// Why messages were malformed.
    pub(in crate::client) fn malformed(&self) -> Vec<String> {
        let why = |record: &Record| match record {
            Record::Malformed { why, .. } => Some(why.to_string()),
            _ => None,
        };
        self.records.iter().filter_map(why).collect()
    }

    pub(in crate::client) fn last_subscribe(&self) -> (u32, Vec<SubscribedTopic>) {
        let sent = |record: &Record| match record {
            Record::SubscribeSent { epoch, topics, .. } => Some((*epoch, topics.clone())),
            _ => None,
        };
        self.records.iter().rev().find_map(sent).expect("a subscribe was sent")
    }
}

/// A frame that the machine sent.
pub(in crate::client) struct Sent {
    pub(in crate::client) channel: String,
    pub(in crate::client) join_ref: String,
    pub(in crate::client) msg_ref: String,
    pub(in crate::client) event: String,
    pub(in crate::client) payload: Value,
}

/// What is sent on the channel; a heartbeat of the socket's own may follow.
pub(in crate::client) fn sent(action: Action) -> Sent {
    let text = match action {
        Action::Send(text) => text,
        Action::SendBoth(texts) => return both(texts).0,
        other => panic!("nothing is sent but {other:?}"),
    };
    let sent = read(&text);
    assert_eq!(sent.channel, "sync:v1");
    sent
}

/// A heartbeat of the channel, and the socket's own.
pub(in crate::client) fn beats(action: Action) -> (Sent, Sent) {
    let Action::SendBoth(texts) = action else { panic!("not both heartbeats but {action:?}") };
    both(texts)
}

/// A heartbeat of the socket's own.
pub(in crate::client) fn socket_beat(action: Action) -> Sent {
    let Action::Send(text) = action else { panic!("nothing is sent but {action:?}") };
    is_socket_beat(read(&text))
}

fn both([first, second]: [String; 2]) -> (Sent, Sent) {
    let first = read(&first);
    assert_eq!((&*first.channel, &*first.event), ("sync:v1", "sync:heartbeat"));
    (first, is_socket_beat(read(&second)))
}

fn is_socket_beat(sent: Sent) -> Sent {
    let said = (&*sent.channel, &*sent.event, &*sent.join_ref, &sent.payload);
    assert_eq!(said, ("phoenix", "heartbeat", "", &json!({})));
    sent
}

fn read(text: &str) -> Sent {
    let frame: (Option<String>, String, String, String, Value) =
        serde_json::from_str(text).expect("a V2 frame with refs that are strings");
    let (join_ref, msg_ref, channel, event, payload) = frame;
    Sent { channel, join_ref: join_ref.unwrap_or_default(), msg_ref, event, payload }
}

pub(in crate::client) fn reply(to: &Sent, status: &str, response: &Value) -> String {
    let join_ref = (!to.join_ref.is_empty()).then_some(&to.join_ref);
    json!([join_ref, to.msg_ref, to.channel, "phx_reply",
        {"response": response, "status": status}])
    .to_string()
}

pub(in crate::client) fn subscribed(to: &Sent, watermarks: &Value) -> String {
    reply(
        to,
        "ok",
        &json!({"current_watermarks": watermarks,
        "subscription_id": "sub_sync_session:s", "topics": [WORKER_EVENTS, NOTIFICATIONS]}),
    )
}

pub(in crate::client) fn refused(to: &Sent, code: &str) -> String {
    reply(to, "error", &json!({"code": code, "message": "no"}))
}

pub(in crate::client) fn push(join_ref: &str, event: &str, payload: &Value) -> String {
    json!([join_ref, null, "sync:v1", event, payload]).to_string()
}

pub(in crate::client) fn batch_of(topic: &str, seqs: &[u64]) -> String {
    let updates: Vec<_> = seqs
        .iter()
        .map(|seq| {
            json!({"doc_key": format!("k:{seq}"), "doc_version": seq, "hydration_required": false,
                "payload": {"seq": seq}, "payload_hash": null, "topic": topic, "watermark": seq})
        })
        .collect();
    json!({"head_watermarks": [], "replay_complete": true, "updates": updates}).to_string()
}

/// A `sync:frame` with a batch.
pub(in crate::client) fn frame(topic: &str, seqs: &[u64]) -> String {
    let head = seqs.iter().max().copied().unwrap_or_default();
    let frame = SyncFrame::wrap(KIND_UPDATE_BATCH, topic, head, &batch_of(topic, seqs));
    push("1", "sync:frame", &serde_json::to_value(frame).expect("serialises"))
}

/// The legacy push of a batch.
pub(in crate::client) fn update_batch(topic: &str, seqs: &[u64]) -> String {
    push("1", "sync:update_batch", &serde_json::from_str(&batch_of(topic, seqs)).expect("json"))
}

/// A refusal of a subscribe for stale cursors. As on the wire, its plan names the topics that have a
/// snapshot, and only those.
pub(in crate::client) fn stale(to: &Sent, topics: &[&str]) -> String {
    let stale_topics: Vec<_> = topics
        .iter()
        .map(|topic| {
            json!({"topic": topic, "reason": "retention_floor_breach", "qos_tier": "hot",
                "resume_after": 3, "retention_floor": 50, "head_watermark": 60,
                "replay_lag": 57, "replay_budget_events": 3000})
        })
        .collect();
    let planned: Vec<_> = topics
        .iter()
        .filter(|topic| **topic == WORKER_SUMMARIES)
        .map(|topic| {
            json!({"topic": topic, "head_watermark": 60, "snapshot": {"topic": topic,
                "format": "openagents.sync.snapshot.v1", "schema_version": 1,
                "cadence_seconds": 120, "source_table": "t"}})
        })
        .collect();
    let plan = json!({"format": "openagents.sync.snapshot.v1", "topics": planned});
    let response = json!({"code": "stale_cursor", "message": "too old",
        "full_resync_required": true, "reason_codes": ["retention_floor_breach"],
        "stale_topics": stale_topics, "snapshot_plan": plan});
    reply(to, "error", &response)
}

/// Stopped, and time changes nothing about it.
pub(in crate::client) fn is_stopped_for_ever(rig: &mut Rig) {
    assert_eq!(rig.machine.phase(), Phase::Stopped);
    assert_eq!(rig.machine.deadline(), u64::MAX);
    rig.now += 3_600 * SECOND;
    assert_eq!(rig.tick(), Action::None);
    assert_eq!(rig.machine.phase(), Phase::Stopped);
}

/// A snapshot of the worker summaries.
pub(in crate::client) fn snapshot_at(head_watermark: u64, documents: Vec<Document>) -> Snapshot {
    Snapshot {
        documents,
        format: SNAPSHOT_FORMAT.to_owned(),
        head_watermark,
        schema_version: 1,
        topic: WORKER_SUMMARIES.to_owned(),
    }
}
