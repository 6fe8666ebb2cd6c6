//! The one place where records and facts are put together, so that a new field is added here only.

use khala_evidence::facts::{FaultOutcome, Generator, RunFacts, TargetFacts};
use khala_evidence::record::{
    Answered, Delivery, Micros, OfflineCause, Op, OpKind, Outcome, PublishId, Published, Record,
    Request, Source, StaleReason, StaleTopic, SubscribedTopic,
};
use khala_plan::Schedule;
use khala_wire::topic::{self, TopicId};

/// `runtime.codex_worker_events`, the stream.
pub fn stream() -> TopicId {
    TopicId::of(topic::WORKER_EVENTS).expect("a known topic")
}

/// `runtime.codex_worker_summaries`, the state.
pub fn state() -> TopicId {
    TopicId::of(topic::WORKER_SUMMARIES).expect("a known topic")
}

/// One update as the runtime keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub topic: TopicId,
    pub seq: u64,
    pub content: u64,
    pub hash_fits: bool,
    pub source: Source,
}

pub fn connect_begun(client: u32, at: Micros, attempt: u32) -> Record {
    Record::ConnectBegun { client, at, attempt }
}

pub fn connected(client: u32, at: Micros) -> Record {
    Record::Connected { client, at }
}

/// An operation that was begun when it was due.
pub fn op(client: u32, kind: OpKind, intended: Micros, done: Micros, outcome: Outcome) -> Record {
    Record::Op(Op { client, kind, intended, start: intended, done, outcome })
}

/// `topics`: topic, cursor, and the highest seq that any client had seen by then.
pub fn subscribe_sent(
    client: u32,
    epoch: u32,
    at: Micros,
    topics: &[(TopicId, Option<u64>, u64)],
) -> Record {
    let topics = topics
        .iter()
        .map(|&(topic, cursor, head_seen)| SubscribedTopic {
            topic,
            cursor,
            head_seen,
            by_fault: false,
        })
        .collect();
    Record::SubscribeSent { client, epoch, at, topics }
}

pub fn subscribe_ok(client: u32, epoch: u32, at: Micros, marks: &[(TopicId, u64)]) -> Record {
    Record::SubscribeOk { client, epoch, at, watermarks: marks.to_vec() }
}

/// A refusal of one topic: its cursor, the floor and the head that the target says.
pub fn subscribe_stale(
    client: u32,
    epoch: u32,
    at: Micros,
    topic: TopicId,
    [cursor, floor, head]: [u64; 3],
) -> Record {
    let reason = StaleReason::RetentionFloor;
    let (budget, lag) = (Some(3_000), Some(head.saturating_sub(cursor)));
    let (floor, head) = (Some(floor), Some(head));
    let stale = StaleTopic { topic, reason, cursor, floor, head, budget, lag, tier: None };
    Record::SubscribeStale { client, epoch, at, topics: vec![stale] }
}

pub fn snapshot_taken(client: u32, topic: TopicId, start: Micros, head: Option<u64>) -> Record {
    let (done, outcome) = (start + 2_000, Outcome::Ok);
    let documents = Vec::new();
    Record::SnapshotTaken { client, topic, start, done, outcome, head, documents }
}

pub fn unsubscribed(client: u32, at: Micros, topic: TopicId) -> Record {
    Record::Unsubscribed { client, at, topics: vec![topic] }
}

pub fn pushes_compared(client: u32, at: Micros, topic: TopicId, seq: u64, agree: bool) -> Record {
    Record::PushesCompared { client, at, topic, seq, agree }
}

pub fn slow_consumer(client: u32, at: Micros, disconnect: bool) -> Record {
    let (queue_depth, queue_limit) = (65, 64);
    Record::SlowConsumer { client, at, disconnect, queue_depth, queue_limit }
}

pub fn slow_began(client: u32, at: Micros) -> Record {
    Record::SlowBegan { client, at }
}

pub fn slow_ended(client: u32, at: Micros, same_session: bool) -> Record {
    Record::SlowEnded { client, at, same_session }
}

pub fn window(asked: Micros, topic: TopicId, oldest: Option<u64>, head: u64) -> Record {
    let (answered, budget) = (asked + 2_000, 3_000);
    Record::Window { asked, answered, topic, oldest, head, budget, tier: None }
}

pub fn delivered(client: u32, epoch: u32, at: Micros, entry: &Entry) -> Record {
    let Entry { topic, seq, content, hash_fits, source } = *entry;
    Record::Delivered(Delivery { client, epoch, topic, seq, at, content, hash_fits, source })
}

pub fn offline(client: u32, at: Micros, cause: OfflineCause) -> Record {
    Record::Offline { client, at, cause }
}

pub fn cut(client: u32, at: Micros, fault: u16, intended: Micros) -> Record {
    offline(client, at, OfflineCause::Fault { id: fault, intended })
}

pub fn retired(client: u32, at: Micros, connected: bool) -> Record {
    Record::Retired { client, at, connected }
}

pub fn finding(name: &str, message: &str) -> Record {
    finding_of(name, None, 0, message)
}

pub fn finding_of(name: &str, client: Option<u32>, at: Micros, message: &str) -> Record {
    Record::Finding { name: name.to_owned(), client, at, message: message.to_owned() }
}

pub fn lag(at: Micros, lag_us: Micros) -> Record {
    Record::SchedulerLag { thread: 0, at, lag_us }
}

pub fn stall(thread: u16, from: Micros, to: Micros) -> Record {
    Record::Stall { thread, from, to }
}

pub fn withheld(publish: u32, intended: Micros, at: Micros) -> Record {
    Record::Withheld { publish, intended, at }
}

pub fn own_queue(thread: u16, at: Micros, waited_us: Micros) -> Record {
    Record::OwnQueue { thread, at, waited_us }
}

pub fn dropped(count: u64) -> Record {
    Record::Dropped { count }
}

/// A request that was begun and ended at these times, and how it ended.
pub fn answered(
    request: Request,
    client: Option<u32>,
    [start, at]: [Micros; 2],
    (outcome, status): (Outcome, &str),
) -> Record {
    let (status, example, retry_after) = (status.into(), None, None);
    Record::Answered(Answered { client, request, start, at, outcome, status, example, retry_after })
}

/// A command that was begun when it was due and came to nothing.
pub fn not_published(
    id: PublishId,
    intended: Micros,
    done: Micros,
    outcome: Outcome,
    status: Option<u16>,
) -> Record {
    let (worker, start, worker_seq, payload) = (0, intended, None, 1);
    Record::Published(Published {
        id,
        worker,
        intended,
        start,
        done,
        outcome,
        status,
        worker_seq,
        payload,
    })
}

/// A command that was begun when it was due; acknowledged if it has a worker's seq.
pub fn published(
    id: PublishId,
    worker: u16,
    intended: Micros,
    done: Micros,
    worker_seq: Option<u64>,
    payload: u64,
) -> Record {
    let outcome = if worker_seq.is_some() { Outcome::Ok } else { Outcome::Timeout };
    let start = intended;
    Record::Published(Published {
        id,
        worker,
        intended,
        start,
        done,
        outcome,
        status: None,
        worker_seq,
        payload,
    })
}

/// The client that a record is about, whatever kind of record it is.
pub fn client_of(record: &Record) -> Option<u32> {
    let json = serde_json::to_value(record).expect("records serialise");
    json.get("client").and_then(serde_json::Value::as_u64).and_then(|id| u32::try_from(id).ok())
}

/// The facts of a run in which everything went as planned.
pub fn sound_facts(schedule: &Schedule, duration_us: Micros) -> RunFacts {
    let publishes = schedule.publishes.len() as u64;
    let phase_name = |phase: u16| schedule.phases[usize::from(phase)].name.clone();
    let faults = schedule
        .faults
        .iter()
        .map(|fault| FaultOutcome {
            id: fault.id,
            kind: fault.kind.name().to_owned(),
            phase: phase_name(fault.phase),
            at_us: fault.at_us,
            planned: fault.targets.len() as u64,
            effective: Some(fault.targets.len() as u64),
            proof: "disconnects counted by the target".to_owned(),
            applied: true,
            commands: Vec::new(),
            rests_on: None,
        })
        .collect();
    RunFacts {
        run_id: "0a1b2c3d".to_owned(),
        started_at: "2026-01-02T03:04:05Z".to_owned(),
        ended_at: "2026-01-02T03:05:05Z".to_owned(),
        duration_us,
        interrupted: false,
        drained: true,
        target: TargetFacts {
            way: None,
            url: "http://127.0.0.1:4000".to_owned(),
            kind: "reference".to_owned(),
            defects: Vec::new(),
            build: None,
            sockets: None,
            lost: None,
            lost_at_us: None,
        },
        faults,
        generator: Generator {
            worker_threads: 2,
            cpu_cores: 0.25,
            hottest_thread: 0.125,
            descriptors_peak: 100,
            descriptors_limit: 20_000,
            memory_peak_mib: 64,
            publishes_planned: publishes,
            publishes_begun: publishes,
            ..Generator::default()
        },
        findings: Vec::new(),
        events_dropped: 0,
        unfinished: None,
        unkept: Vec::new(),
    }
}
