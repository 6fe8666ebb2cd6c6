//! Rules that need several records to come together: snapshots, unsubscribes, slow clients.

mod ended_stale;
mod passive;

use std::collections::BTreeSet;
use std::sync::Arc;

use khala_plan::Schedule;
use khala_plan::metric::MetricId;
use khala_wire::topic::{self, TopicId};

use super::{Settled, Shard};
use crate::context::Context;
use crate::oracle::{End, Rule};
use crate::record::{
    Addressee, Cut, Delivery, Held, Micros, NO_CONTENT, OfflineCause, Op, OpKind, Outcome,
    PublishId, Record, Sink, Source, StaleReason, StaleTopic, SubscribedTopic,
};
use crate::testing;

const TEXT: &str = r#"
version = 1
name = "shard"
seed = 7
[target]
kind = "reference"
[auth]
mint = "hs256"
[fleet]
clients = 4
ramp = "1s"
[[fleet.surface]]
name = "desktop"
share = 1.0
topics = ["runtime.codex_worker_events", "runtime.codex_worker_summaries"]
[[load]]
command = "codex-worker-events"
rate = "4/s"
arrival = "constant"
[[phase]]
name = "steady"
duration = "60s"
[[gate]]
name = "ux"
[[gate.objective]]
metric = "violations"
require = "count == 0"
[oracle]
converge_within = "30s"
settle_within = "200ms"
"#;

const S: Micros = 1_000_000;

fn context() -> Arc<Context> {
    let plan = testing::plan(TEXT);
    Arc::new(Context::of(&plan, &Schedule::of(&plan)))
}

fn stream() -> TopicId {
    TopicId::of(topic::WORKER_EVENTS).expect("known")
}

fn state() -> TopicId {
    TopicId::of(topic::WORKER_SUMMARIES).expect("known")
}

/// Client records on one shard, all others on another.
fn settle(records: &[Record]) -> Settled {
    let context = context();
    let end = End { at: 50 * S, drained: true };
    let published_on = BTreeSet::from([stream(), state()]);
    let alone = {
        let mut shard = Shard::new(context.clone());
        records.iter().for_each(|record| shard.record(record.clone()));
        shard.settle(&published_on, end)
    };
    let (mut clients, mut others) = (Shard::new(context.clone()), Shard::new(context));
    for record in records {
        // Thread 2 is the publishers'.
        let of_others = matches!(
            record,
            Record::Window { .. } | Record::Published(_) | Record::Stall { thread: 2, .. }
        );
        if of_others { &mut others } else { &mut clients }.record(record.clone());
    }
    assert_eq!(others.merge(clients).settle(&published_on, end), alone, "however it is split");
    alone
}

fn subscribed(topic: TopicId, cursor: Option<u64>, by_fault: bool) -> SubscribedTopic {
    SubscribedTopic { topic, cursor, head_seen: cursor.unwrap_or(0), by_fault }
}

fn sent(epoch: u32, at: Micros, topic: TopicId, cursor: Option<u64>) -> Record {
    Record::SubscribeSent { client: 0, epoch, at, topics: vec![subscribed(topic, cursor, false)] }
}

fn ok(epoch: u32, at: Micros, topic: TopicId, watermark: u64) -> Record {
    Record::SubscribeOk { client: 0, epoch, at, watermarks: vec![(topic, watermark)] }
}

fn stale(epoch: u32, at: Micros, topic: TopicId, cursor: u64) -> Record {
    let reason = StaleReason::RetentionFloor;
    let (floor, head) = (Some(cursor + 5), Some(cursor + 10));
    let (budget, lag) = (Some(500), Some(10));
    let said = StaleTopic { topic, reason, cursor, floor, head, budget, lag, tier: None };
    Record::SubscribeStale { client: 0, epoch, at, topics: vec![said] }
}

/// A snapshot that holds these versions of our workers' documents.
fn held(at: Micros, topic: TopicId, head: u64, versions: &[(u16, u64)]) -> Record {
    let of = |&(worker, version)| Held { worker, version, hash_fits: true, content: 0 };
    let (outcome, documents) = (Outcome::Ok, versions.iter().map(of).collect());
    let (start, done, head) = (at, at + 10, Some(head));
    Record::SnapshotTaken { client: 0, topic, start, done, outcome, head, documents }
}

fn event(client: u32, at: Micros, seq: u64, intended: Micros) -> Record {
    let publish = PublishId::Planned(u32::try_from(seq).expect("small"));
    let source = Source::Event {
        publish,
        intended: Some(intended),
        begun: Some(intended),
        payload: 0,
        worker_seq: None,
    };
    delivered(client, at, stream(), seq, source)
}

fn document(client: u32, at: Micros, seq: u64, version: u64) -> Record {
    delivered(client, at, state(), seq, Source::State { worker: 0, version })
}

fn delivered(client: u32, at: Micros, topic: TopicId, seq: u64, source: Source) -> Record {
    let (epoch, content) = (1, seq);
    let hash_fits = true;
    Record::Delivered(Delivery { client, epoch, topic, seq, at, content, hash_fits, source })
}

fn published(n: u64, at: Micros) -> Record {
    Record::Published(testing::published(
        PublishId::Planned(u32::try_from(n).expect("small")),
        0,
        [at, at + 1_000],
        Some(n),
    ))
}

fn connected(at: Micros) -> Record {
    Record::Connected { client: 0, at }
}

fn broken(settled: &Settled) -> Vec<Rule> {
    Rule::ALL.iter().copied().filter(|&rule| settled.violations(rule) > 0).collect()
}

/// Live since 1 s with versions up to 3 of a document, then away, refused, and back by a snapshot of
/// watermark 20 that has version 7. `more`: what others saw, or what came later.
fn bootstrapped(more: &[Record]) -> Settled {
    bootstrapped_by(&[(0, 7)], more)
}

/// The same by one that holds these versions.
fn bootstrapped_by(versions: &[(u16, u64)], more: &[Record]) -> Settled {
    let mut records = vec![
        published(3, S / 2),
        connected(S),
        sent(1, S, state(), None),
        document(0, S, 10, 3),
        ok(1, S, state(), 10),
        Record::Offline { client: 0, at: 2 * S, cause: OfflineCause::Broken { how: Cut::Eof } },
        published(7, 3 * S),
        connected(5 * S),
        sent(2, 5 * S, state(), Some(10)),
        stale(2, 5 * S + 10, state(), 10),
        held(5 * S + 20, state(), 20, versions),
        sent(3, 6 * S, state(), Some(20)),
        ok(3, 6 * S + 10, state(), 20),
    ];
    records.extend_from_slice(more);
    settle(&records)
}

#[test]
fn what_a_snapshot_took_care_of_is_not_held_against_the_reply() {
    // Another client saw version 7 at seq 15, which the snapshot covers.
    let settled = bootstrapped(&[document(1, 4 * S, 15, 7)]);
    assert_eq!(broken(&settled), []);
    assert_eq!(settled.tally.undecided_total(), 0);
    // Nobody saw it: the reply may have come too early, and the snapshot has it.
    let settled = bootstrapped(&[]);
    assert_eq!(broken(&settled), []);
    assert_eq!(settled.tally.rule(Rule::FalseReplayComplete).undecided, 1);
    assert_eq!(settled.tally.rule(Rule::StateStale).undecided, 0);
    assert_eq!(settled.tally.rule(Rule::BadSnapshot).judged, 2, "its watermark, its documents");
}

#[test]
fn what_a_snapshot_lacks_is_its_own_fault_and_stale_until_it_comes() {
    let seen = document(1, 4 * S, 15, 7);
    for versions in [&[][..], &[(0, 3)]] {
        let settled = bootstrapped_by(versions, std::slice::from_ref(&seen));
        assert_eq!(broken(&settled), [Rule::BadSnapshot, Rule::StateStale], "{versions:?}");
        let later = [seen.clone(), published(9, 10 * S), document(0, 10 * S + 9_000, 22, 9)];
        assert_eq!(broken(&bootstrapped_by(versions, &later)), [Rule::BadSnapshot]);
        // Nobody saw it: that the client never gets it is all that is known.
        let settled = bootstrapped_by(versions, &[]);
        assert_eq!(broken(&settled).last(), Some(&Rule::StateStale), "{versions:?}");
    }
}

#[test]
fn a_replay_that_begins_below_the_cursor_is_a_finding_and_its_content_is_judged() {
    let history = |again: u64| {
        let mut records = vec![connected(S), sent(1, S, stream(), Some(0)), ok(1, S, stream(), 0)];
        records.extend((1..=3).map(|seq| event(0, S + seq * 1_000, seq, S)));
        let cause = OfflineCause::Broken { how: Cut::Eof };
        records.push(Record::Offline { client: 0, at: 2 * S, cause });
        records.extend([connected(3 * S), sent(2, 3 * S, stream(), Some(3))]);
        for seq in 2..=3 {
            let mut record = event(0, 3 * S + 10, seq, S);
            if let Record::Delivered(delivery) = &mut record
                && seq == again
            {
                delivery.content = 77;
            }
            records.push(record);
        }
        records.extend([ok(2, 3 * S + 20, stream(), 3), event(0, 4 * S, 4, 4 * S)]);
        settle(&records)
    };
    let settled = history(0);
    assert_eq!(broken(&settled), []);
    assert_eq!((settled.totals.redelivered, settled.applied[&stream()]), (2, 4));
    let [found] = &settled.findings[..] else { panic!("{:?}", settled.findings) };
    assert_eq!((&*found.name, found.count, found.client), ("replay_overlaps", 2, Some(0)));
    assert_eq!(broken(&history(2)), [Rule::BadDuplicate]);
}

#[test]
fn what_a_refusal_told_to_be_gone_is_no_gap_where_nothing_was_left_to_replay() {
    // Its own refusal tells that seqs up to 15 are gone, and whether the log has any after them; then the socket
    // stands at 0, for nothing came.
    let history = |told: Option<u64>, first: u64| {
        let mut records = vec![connected(S)];
        if let Some(head) = told {
            let mut refused = stale(1, S + 10, stream(), 10);
            let Record::SubscribeStale { topics, .. } = &mut refused else { panic!("a refusal") };
            (topics[0].head, topics[0].lag) = (Some(head), Some(head - 10));
            records.extend([sent(1, S, stream(), Some(10)), refused]);
        }
        records.extend([sent(2, 2 * S, stream(), None), ok(2, 2 * S + 10, stream(), 0)]);
        records.extend([published(first, 3 * S), event(0, 3 * S + 2_000, first, 3 * S)]);
        settle(&records)
    };
    assert_eq!(broken(&history(Some(15), 16)), []);
    // One of those after them did not come; some were left; nothing was told.
    for settled in [history(Some(15), 17), history(Some(20), 21), history(None, 16)] {
        assert!(broken(&settled).contains(&Rule::Gap), "{:?}", broken(&settled));
    }
}

#[test]
fn an_event_without_a_payload_is_the_publish_that_its_key_names() {
    let pointer = |seq: u64, own: u64| {
        let publish = PublishId::Lifecycle { worker: 0, seq: own };
        let source =
            Source::Event { publish, intended: None, begun: None, payload: 0, worker_seq: None };
        let mut record = delivered(0, 9 * S + seq * 1_000, stream(), seq, source);
        if let Record::Delivered(delivery) = &mut record {
            delivery.content = NO_CONTENT;
        }
        record
    };
    let history = |own: u64| {
        let start = [connected(S), sent(1, S, stream(), Some(0)), ok(1, S, stream(), 0)];
        let mut records = start.to_vec();
        records.extend([published(1, 2 * S), published(2, 3 * S), published(3, 4 * S)]);
        records.extend([
            event(0, 9 * S, 1, 2 * S),
            pointer(2, own),
            event(0, 9 * S + 9_000, 3, 4 * S),
        ]);
        // Another client was sent all of it.
        records.push(event(1, 9 * S, 2, 3 * S));
        settle(&records)
    };
    assert_eq!(broken(&history(2)), []);
    // Without the other client: it is known by its key alone.
    let alone = |own: u64| {
        let start = [connected(S), sent(1, S, stream(), Some(0)), ok(1, S, stream(), 0)];
        let mut records = start.to_vec();
        records.extend([published(1, 2 * S), published(2, 3 * S)]);
        records.extend([event(0, 9 * S, 1, 2 * S), pointer(2, own)]);
        settle(&records)
    };
    assert_eq!(broken(&alone(2)), []);
    assert!(broken(&alone(9)).contains(&Rule::LostPublish), "it is none of ours");
}

#[test]
fn an_acknowledgement_of_another_seq_is_named_and_nothing_is_judged_by_it() {
    let history = |shown: u64| {
        let start = [connected(S), sent(1, S, state(), None), ok(1, S, state(), 0)];
        let mut records = start.to_vec();
        records.extend([published(1, 2 * S), published(2, 3 * S)]);
        records.extend([document(0, 2 * S + 9_000, 1, 1), document(0, 3 * S + 9_000, 2, shown)]);
        records.push(event(1, 2 * S + 9_000, 1, 2 * S));
        let mut seen = event(1, 3 * S + 9_000, 2, 3 * S);
        if let Record::Delivered(Delivery { source: Source::Event { worker_seq, .. }, .. }) =
            &mut seen
        {
            *worker_seq = Some(shown);
        }
        records.push(seen);
        settle(&records)
    };
    assert_eq!(broken(&history(2)), []);
    let settled = history(3);
    assert_eq!(broken(&settled), [Rule::DivergentValue]);
    let told = &settled.tally.kept()[0].message;
    assert!(told.contains("publish 2 was acknowledged as event 2 of worker 0"), "{told}");
    assert!(told.ends_with("says that it is event 3"), "{told}");
}

#[test]
fn what_was_published_after_the_snapshot_must_come() {
    let settled = bootstrapped(&[published(9, 10 * S)]);
    assert_eq!(broken(&settled), [Rule::StateStale]);
    let settled = bootstrapped(&[published(9, 10 * S), document(0, 10 * S + 9_000, 22, 9)]);
    assert_eq!(broken(&settled), []);
    // So late that nothing else is wrong with it.
    let settled = bootstrapped(&[published(9, 10 * S), document(0, 19 * S, 22, 9)]);
    assert_eq!(broken(&settled), [Rule::StateStale]);
    // A subscribe after it that is answered without it is too early.
    let early =
        [published(9, 10 * S), sent(4, 12 * S, state(), Some(20)), ok(4, 13 * S, state(), 20)];
    assert_eq!(broken(&bootstrapped(&early)), [Rule::FalseReplayComplete, Rule::StateStale]);
}

#[test]
fn a_version_that_goes_back_is_a_regress_also_after_a_snapshot() {
    let settled = bootstrapped(&[document(0, 7 * S, 21, 2)]);
    assert!(broken(&settled).contains(&Rule::StateRegress));
}

#[test]
fn a_tail_before_the_snapshot_is_that_and_no_gap() {
    let records = [
        connected(S),
        sent(1, S, stream(), Some(10)),
        stale(1, S + 10, stream(), 10),
        event(0, S + 20, 21, S),
        sent(2, 2 * S, stream(), None),
        ok(2, 2 * S + 10, stream(), 21),
    ];
    let settled = settle(&records);
    assert_eq!(broken(&settled), [Rule::TailBeforeSnapshot]);
}

#[test]
fn what_is_missed_while_unsubscribed_is_neither_late_nor_lost() {
    let mut records = vec![
        connected(S),
        sent(1, S, stream(), Some(0)),
        ok(1, S, stream(), 0),
        published(1, 2 * S),
        event(0, 2 * S + 5, 1, 2 * S),
        Record::Unsubscribed { client: 0, at: 3 * S, topics: vec![stream()] },
        published(2, 4 * S),
        event(1, 4 * S + 5, 2, 4 * S),
    ];
    let settled = settle(&records);
    assert_eq!(broken(&settled), [], "it owes nothing to a client that is away");
    assert_eq!(settled.tally.rule(Rule::AfterUnsubscribe).judged, 1);

    records.extend([
        sent(2, 9 * S, stream(), Some(1)),
        event(0, 9 * S + 5, 2, 4 * S),
        ok(2, 9 * S + 10, stream(), 2),
        published(3, 10 * S),
        event(0, 10 * S + 5, 3, 10 * S),
    ]);
    let settled = settle(&records);
    assert_eq!(broken(&settled), []);
    let delivery = settled.metrics.distribution(MetricId::Delivery, &[0, 1, 2], None);
    assert_eq!((delivery.len(), delivery.response.max()), (2, 5));

    records.insert(7, event(0, 4 * S, 2, 4 * S));
    assert_eq!(broken(&settle(&records)), [Rule::AfterUnsubscribe]);
}

#[test]
fn a_document_that_a_first_replay_leaves_out_is_owed_unless_it_may_be_pruned() {
    let mut records = vec![
        published(3, S / 2),
        connected(S),
        sent(1, 2 * S, state(), None),
        ok(1, 2 * S + 10, state(), 10),
        // Somebody else was sent it.
        document(1, 2 * S, 10, 3),
    ];
    assert_eq!(broken(&settle(&records)), [], "nothing tells what was pruned");
    let window = |oldest| Record::Window {
        asked: 3 * S,
        answered: 3 * S + 5,
        topic: state(),
        oldest: Some(oldest),
        head: 10,
        budget: 500,
        tier: None,
    };
    records.push(window(2));
    assert_eq!(broken(&settle(&records)), [], "seq 1 was pruned");
    *records.last_mut().expect("the window") = window(1);
    assert_eq!(broken(&settle(&records)), [Rule::FalseReplayComplete, Rule::StateStale]);
}

#[test]
fn what_was_there_before_anybody_and_was_pruned_since_is_owed_to_nobody() {
    let first = |cursor: Option<u64>| {
        let records = [
            published(1, S / 2),
            connected(S),
            sent(1, S, stream(), cursor),
            ok(1, S + 10, stream(), 3),
            published(4, 2 * S),
            event(0, 2 * S + 5, 4, 2 * S),
            Record::Offline { client: 0, at: 3 * S, cause: OfflineCause::Broken { how: Cut::Eof } },
            connected(4 * S),
            sent(2, 4 * S, stream(), Some(4)),
            stale(2, 4 * S + 5, stream(), 4),
            sent(3, 5 * S, stream(), None),
            published(9, 6 * S),
            event(0, 6 * S + 5, 9, 6 * S),
            ok(3, 6 * S + 10, stream(), 9),
        ];
        let settled = settle(&records);
        settled.tally.count(Rule::LostPublish)
    };
    assert_eq!(first(Some(3)), 0, "it resumed after it, and its bootstrap found it pruned");
    assert_eq!(first(None), 1, "it asked for everything while it was there");
}

#[test]
fn what_no_subscribe_named_has_no_order_and_is_not_owed() {
    let records = [
        connected(S),
        sent(1, S, stream(), Some(0)),
        ok(1, S, stream(), 0),
        event(0, 2 * S + 5, 1, 2 * S),
        // Somebody else's document and events, which leak.
        document(0, 3 * S, 10, 3),
        document(0, 4 * S, 9, 2),
        delivered(1, 3 * S, stream(), 4, Source::Foreign),
        delivered(1, 3 * S, stream(), 2, Source::Foreign),
        published(5, 5 * S),
        event(0, 5 * S + 5, 2, 5 * S),
    ];
    let settled = settle(&records);
    // Nobody was subscribed to the state, and its document ends at version 3 of 5.
    let expected = [Rule::Phantom, Rule::LostPublish];
    assert_eq!(broken(&settled), expected, "nobody else may write; publish 5 came out nowhere");
    assert_eq!(settled.tally.rule(Rule::StateStale).judged, 0);
    assert_eq!(settled.applied.get(&state()), None);
}

#[test]
fn a_planned_refusal_is_no_error_and_another_one_is() {
    let run = |by_fault| {
        let topics = vec![subscribed(stream(), Some(10), by_fault)];
        let subscribe = Op {
            client: 0,
            kind: OpKind::Subscribe,
            intended: S,
            start: S,
            done: S + 10,
            outcome: Outcome::StaleCursor,
        };
        settle(&[
            connected(S),
            Record::SubscribeSent { client: 0, epoch: 1, at: S, topics },
            stale(1, S + 10, stream(), 10),
            Record::Op(subscribe),
        ])
    };
    for (by_fault, errors) in [(true, 0), (false, 1)] {
        let settled = run(by_fault);
        let count = |metric| {
            let count = settled.metrics.count_of(metric, &[0, 1, 2], None);
            (count.hits, count.all)
        };
        assert_eq!(count(MetricId::TopicErrors), (errors, 1));
        assert_eq!(count(MetricId::UnplannedStale), (errors, 1));
    }
}

#[test]
fn a_healthy_client_that_is_called_slow_is_a_violation_and_a_slow_one_is_not() {
    let notice = |at| Record::SlowConsumer {
        client: 0,
        at,
        disconnect: true,
        queue_depth: 70,
        queue_limit: 64,
    };
    let began = Record::SlowBegan { client: 0, at: 2 * S };
    let ended = Record::SlowEnded { client: 0, at: 4 * S, same_session: true };
    assert_eq!(broken(&settle(&[notice(S)])), [Rule::WrongfulEviction]);
    let settled = settle(&[began.clone(), notice(3 * S), ended.clone(), notice(9 * S)]);
    assert_eq!(broken(&settled), []);
    assert_eq!(settled.tally.rule(Rule::NoEviction).judged, 1);
    let settled = settle(&[began, ended, notice(9 * S + 1)]);
    assert_eq!(broken(&settled), [Rule::WrongfulEviction]);
}

#[test]
fn without_a_planned_slow_reader_no_eviction_is_ever_due() {
    let mut records: Vec<_> = (0..1_000).map(|n| published(n, 2 * S + n)).collect();
    records.push(Record::SlowBegan { client: 0, at: 2 * S });
    records.push(Record::SlowEnded { client: 0, at: 20 * S, same_session: true });
    let settled = settle(&records);
    let tally = settled.tally.rule(Rule::NoEviction);
    assert_eq!((broken(&settled), tally.judged, tally.undecided), (vec![], 0, 0));
}

#[test]
fn a_client_that_was_slow_is_no_sample_of_delivery_from_then_on() {
    let records = [
        connected(S),
        sent(1, S, stream(), Some(0)),
        ok(1, S, stream(), 0),
        event(0, 2 * S, 1, 2 * S - 5),
        Record::SlowBegan { client: 0, at: 3 * S },
        event(0, 4 * S, 2, 4 * S - 5),
        Record::SlowEnded { client: 0, at: 5 * S, same_session: false },
        event(0, 6 * S, 3, 6 * S - 5),
    ];
    let settled = settle(&records);
    assert_eq!(settled.metrics.distribution(MetricId::Delivery, &[0, 1, 2], None).len(), 1);
}

#[test]
fn what_a_client_missed_while_it_was_kept_from_reading_is_no_figure_of_the_target() {
    let offline = |at| Record::Offline { client: 0, at, cause: OfflineCause::HeartbeatTimeout };
    let figures = |records: &[Record]| {
        let settled = settle(records);
        let phases = [0, 1, 2];
        let timeouts = settled.metrics.count_of(MetricId::HeartbeatTimeouts, &phases, None).hits;
        (timeouts, settled.metrics.distribution(MetricId::ReplayLag, &phases, None).len())
    };
    let resumed = sent(2, 5 * S, stream(), Some(3));
    let healthy = [connected(S), offline(4 * S), connected(5 * S), resumed.clone()];
    assert_eq!(figures(&healthy), (1, 1));
    let began = Record::SlowBegan { client: 0, at: 2 * S };
    let ended = Record::SlowEnded { client: 0, at: 4 * S + 1, same_session: false };
    let slow = [connected(S), began, offline(4 * S), ended, connected(5 * S), resumed];
    assert_eq!(figures(&slow), (0, 0));
}

#[test]
fn windows_of_another_shard_decide_cursors() {
    let window = |at| Record::Window {
        asked: at,
        answered: at + 10,
        topic: stream(),
        oldest: Some(50),
        head: 80,
        budget: 500,
        tier: None,
    };
    let run = |cursor| {
        settle(&[
            window(S),
            connected(2 * S),
            sent(1, 2 * S, stream(), Some(cursor)),
            ok(1, 2 * S + 10, stream(), 80),
            window(3 * S),
        ])
    };
    assert_eq!(broken(&run(48)), [Rule::StaleNotSignalled]);
    let settled = run(49);
    assert_eq!(broken(&settled), []);
    assert_eq!(settled.tally.rule(Rule::FalseStale).judged, 1);
    let lag = settled.metrics.distribution(MetricId::ReplayLag, &[0, 1, 2], None);
    assert_eq!((lag.len(), lag.response.max()), (1, 0));
}

/// Client 0, which is on thread 0 of two, connects and never gets its reply until 33 s later.
fn converges_late(stalls: &[(u16, Micros, Micros)]) -> Settled {
    let mut records = vec![connected(S), sent(1, S, stream(), Some(0))];
    let stall = |&(thread, from, to): &(u16, Micros, Micros)| Record::Stall { thread, from, to };
    records.extend(stalls.iter().map(stall));
    records.push(ok(1, 34 * S, stream(), 0));
    settle(&records)
}

#[test]
fn a_client_is_excused_by_the_stalls_of_its_own_thread_alone() {
    assert_eq!(broken(&converges_late(&[])), [Rule::NoConvergence]);
    assert_eq!(broken(&converges_late(&[(0, 2 * S, 10 * S)])), []);
    // The other clients' thread, the publishers', the conductor's.
    for thread in [1, 2, 3] {
        let settled = converges_late(&[(thread, 2 * S, 10 * S)]);
        assert_eq!(broken(&settled), [Rule::NoConvergence], "thread {thread}");
        let apart = settled.metrics.distribution(MetricId::ResumeToLive, &[0, 1, 2], None).apart;
        assert_eq!(apart, 0, "its service time is known");
    }
    let settled = converges_late(&[(0, 2 * S, 10 * S)]);
    assert_eq!(settled.metrics.distribution(MetricId::ResumeToLive, &[0, 1, 2], None).apart, 1);
}

#[test]
fn a_client_that_never_converges_is_excused_by_its_own_thread_alone() {
    let run = |thread| {
        settle(&[
            connected(15 * S),
            sent(1, 15 * S, stream(), Some(0)),
            Record::Stall { thread, from: 20 * S, to: 30 * S },
        ])
    };
    assert_eq!(broken(&run(0)), []);
    assert_eq!(broken(&run(1)), [Rule::NoConvergence]);
}

#[test]
fn a_command_is_excused_by_the_publishers_thread_alone() {
    let apart = |thread| {
        let settled =
            settle(&[Record::Stall { thread, from: 2 * S, to: 3 * S }, published(1, 3 * S - 5)]);
        settled.metrics.distribution(MetricId::Publish, &[0, 1, 2], None).apart
    };
    assert_eq!([0, 1, 2, 3].map(apart), [0, 0, 1, 0]);
}

#[test]
fn what_a_slow_reader_takes_late_of_an_old_join_is_not_held_against_the_target() {
    let of = |to: Addressee, slow: bool| {
        let mut records = Vec::new();
        if slow {
            records.push(Record::SlowBegan { client: 0, at: 10 * S });
        }
        let event = "sync:frame".into();
        records.push(Record::Misaddressed { client: 0, at: 12 * S, to, event });
        settle(&records).violations(Rule::Misaddressed)
    };
    assert_eq!(of(Addressee::OldJoin, true), 0);
    assert_eq!(of(Addressee::OldJoin, false), 1);
    assert_eq!(
        of(Addressee::UnknownJoin, true),
        1,
        "no reader is so slow that it joins as another"
    );
}

#[test]
fn only_what_somebody_who_reads_had_in_time_makes_an_eviction_due() {
    // Client 1 is made slow, client 0 reads: it has the first at once, the second late, the third never.
    let settle_within = khala_plan::units::micros(context().bounds().settle_within);
    let slow = [
        Record::SlowBegan { client: 1, at: S },
        event(1, 20 * S, 1, 2 * S),
        event(1, 20 * S, 2, 3 * S),
    ];
    let publishes = [published(1, 2 * S), published(2, 3 * S), published(3, 4 * S)];
    let acknowledged = |at: Micros| at + 1_000;
    let reads = [
        sent(1, S, stream(), Some(0)),
        ok(1, S, stream(), 0),
        event(0, acknowledged(2 * S) + settle_within, 1, 2 * S),
        event(0, acknowledged(3 * S) + settle_within + 1, 2, 3 * S),
    ];
    let due = |records: &[Record]| {
        let mut shard = Shard::new(context());
        records.iter().for_each(|record| shard.record(record.clone()));
        let topics = BTreeSet::from([stream(), state()]);
        let Shard { clients, flow, .. } = shard;
        super::settle::came_through(&flow.ledger, &clients, &topics, settle_within)
    };
    let with_a_reader = due(&[&slow[..], &publishes, &reads].concat());
    assert_eq!(with_a_reader, [acknowledged(2 * S)]);
    let without = due(&[&slow[..], &publishes].concat());
    assert_eq!(without, [2 * S, 3 * S, 4 * S].map(acknowledged), "nobody else could have had them");
}
