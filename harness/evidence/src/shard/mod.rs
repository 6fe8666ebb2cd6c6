//! A shard: what one worker thread knows of the run. Takes records, merges with other shards.
//!
//! `merge` is associative and commutative, and splitting one stream of records by client over any
//! number of shards gives equal results exactly: nothing here depends on which clients share a
//! shard. What needs the whole (the ledger, agreement between clients) waits for [`Shard::settle`].

pub mod client;
mod deliveries;
pub mod exposure;
pub mod findings;
pub mod metrics;
mod operations;
mod publishes;
pub mod series;
mod settle;
mod slowness;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use khala_plan::metric::MetricId;
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use self::client::{Client, Cut};
use self::exposure::Exposure;
use self::findings::Findings;
use self::metrics::{Key, Metrics};
use self::series::Series;
use self::subscriptions::Taken;
use crate::context::Context;
use crate::facts::Finding;
use crate::oracle::false_replay_complete::Replies;
use crate::oracle::frame_mismatch::{self, Compared};
use crate::oracle::ledger::Ledger;
use crate::oracle::windows::{Window, Windows};
use crate::oracle::wrongful_eviction::Notice;
use crate::oracle::{Rule, Tally};
use crate::record::{Micros, Record, Sink};

/// What one worker thread knows.
#[derive(Clone, Debug)]
pub struct Shard {
    context: Arc<Context>,
    state: State,
}

/// The part of a shard that is data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    clients: BTreeMap<u32, Client>,
    ledger: Ledger,
    replies: Replies,
    windows: Windows,
    tally: Tally,
    metrics: Metrics,
    series: Series,
    exposures: BTreeMap<u16, Exposure>,
    totals: Totals,
    findings: Findings,
}

/// Plain counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Updates delivered and judged.
    pub deliveries: u64,
    /// Of them, repeats within an epoch (allowed).
    pub repeats: u64,
    /// Of them, redeliveries of what a client had before (allowed).
    pub redelivered: u64,
    /// Of them, events of others.
    pub foreign: u64,
    /// Connects begun.
    pub connects: u64,
    /// Records that a full recorder dropped.
    pub dropped: u64,
}

/// A run's facts with everything settled: what the judge reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// Violations.
    pub tally: Tally,
    /// Figures.
    pub metrics: Metrics,
    /// Seconds.
    pub series: Series,
    /// Deliveries around each fault.
    pub exposures: BTreeMap<u16, Exposure>,
    /// Plain counts.
    pub totals: Totals,
    /// Distinct (client, seq) applied, by topic.
    pub applied: BTreeMap<TopicId, u64>,
    /// Publishes acknowledged.
    pub acknowledged: u64,
    /// Publishes refused or not answered.
    pub refused: u64,
    /// Clients that appeared.
    pub clients: u64,
    /// Clients that were live when they were retired.
    pub clients_live_at_end: u64,
    /// Replies to subscribes that were judged, a topic each.
    pub replies: u64,
    /// What fails nothing but is worth knowing.
    pub findings: Vec<Finding>,
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        let tally = Tally::new(context.bounds().violations_kept);
        let state = State {
            clients: BTreeMap::new(),
            ledger: Ledger::default(),
            replies: Replies::default(),
            windows: Windows::default(),
            tally,
            metrics: Metrics::default(),
            series: Series::default(),
            exposures: BTreeMap::new(),
            totals: Totals::default(),
            findings: Findings::default(),
        };
        Self { context, state }
    }

    /// Adds another shard of the same run.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        let (ours, theirs) = (&mut self.state, other.state);
        ours.clients.extend(theirs.clients);
        ours.ledger.merge(theirs.ledger);
        ours.replies.merge(theirs.replies);
        ours.windows.merge(theirs.windows);
        ours.tally.merge(theirs.tally);
        ours.metrics.merge(&theirs.metrics);
        ours.series.merge(&theirs.series);
        for (fault, exposure) in theirs.exposures {
            ours.exposures.entry(fault).or_default().merge(&exposure);
        }
        ours.totals.deliveries += theirs.totals.deliveries;
        ours.totals.repeats += theirs.totals.repeats;
        ours.totals.redelivered += theirs.totals.redelivered;
        ours.totals.foreign += theirs.totals.foreign;
        ours.totals.connects += theirs.totals.connects;
        ours.totals.dropped += theirs.totals.dropped;
        ours.findings.merge(theirs.findings);
        self
    }

    fn client_key(&self, metric: MetricId, client: u32, intended: Micros) -> Key {
        Key {
            metric,
            phase: self.context.phase_at(intended),
            surface: Some(self.context.surface(client)),
        }
    }
}

/// A client that a fault cut off and that was not back by the end of the fault's phase.
fn never_recovered(context: &Context, metrics: &mut Metrics, client: u32, cut: Cut, attempts: u32) {
    let key = |metric| Key {
        metric,
        phase: context.phase_at(cut.intended),
        surface: Some(context.surface(client)),
    };
    let waited = context.fault_phase_end(cut.fault).saturating_sub(cut.intended);
    metrics.censored(key(MetricId::TimeToRecovered), client, cut.intended, waited);
    // However many it made, they were not enough.
    let attempts = attempts.into();
    metrics.censored(key(MetricId::ReconnectAttempts), client, cut.intended, attempts);
    metrics.count(key(MetricId::Unrecovered), client, cut.intended, 1, 1);
}

impl Sink for Shard {
    fn record(&mut self, record: Record) {
        match record {
            Record::Op(op) => self.op(op),
            Record::ConnectBegun { client, at, attempt: _ } => self.connect_begun(client, at),
            Record::Connected { client, at } => {
                self.state.series.at(at).connected += 1;
                let life = self.state.clients.entry(client).or_default();
                life.unconverged_since.get_or_insert(at);
            }
            Record::SubscribeSent { client, epoch, at, topics } => {
                self.subscribe_sent(client, epoch, at, &topics);
            }
            Record::SubscribeOk { client, epoch, at, watermarks } => {
                self.subscribe_ok(client, epoch, at, &watermarks);
            }
            Record::Delivered(delivery) => self.delivered(&delivery),
            Record::SubscribeStale { client, epoch: _, at, topics } => {
                self.subscribe_stale(client, at, &topics);
            }
            Record::SnapshotTaken { client, topic, start, done, outcome, head } => {
                self.snapshot_taken(Taken { client, topic, start, done, outcome, head });
            }
            Record::Unsubscribed { client, at, topics } => self.unsubscribed(client, at, &topics),
            Record::PushesCompared { client, at, topic, seq, agree } => {
                let compared = Compared { client, at, topic, seq, agree };
                frame_mismatch::judge(compared, &mut self.state.tally);
            }
            Record::SlowConsumer { client, at, disconnect, queue_depth, queue_limit } => {
                let notice = Notice { client, at, disconnect, queue_depth, queue_limit };
                self.slow_consumer(notice);
            }
            Record::SlowBegan { client, at } => self.slow_began(client, at),
            Record::SlowEnded { client, at, same_socket } => {
                self.slow_ended(client, at, same_socket);
            }
            Record::Window { asked, answered, topic, oldest, head, budget } => {
                let floor = Window::floor(oldest, head);
                let window = Window { asked, answered, floor, head, budget };
                self.state.windows.add(topic, window);
            }
            Record::Offline { client, at, cause } => self.offline(client, at, cause),
            Record::Retired { client, at, connected } => {
                self.state.series.at(at).disconnected += u64::from(connected);
                self.state.clients.entry(client).or_default().retired_at = Some(at);
            }
            Record::Published(published) => self.published(&published),
            Record::SchedulerLag { at, lag_us } => {
                let phase = self.context.phase_at(at);
                self.state.metrics.scheduler_lag(phase, lag_us);
            }
            Record::Finding { name, message } => self.state.findings.add(name, message, 1),
            Record::Dropped { count } => self.state.totals.dropped += count,
        }
    }
}

impl Settled {
    /// Violations of one rule.
    #[must_use]
    pub fn violations(&self, rule: Rule) -> u64 {
        self.tally.count(rule)
    }
}
