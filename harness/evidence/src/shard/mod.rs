//! A shard: what one worker thread knows of the run. Takes records, merges with other shards.
//!
//! `merge` is associative and commutative, and splitting one stream of records by client over any
//! number of shards gives equal results exactly: nothing here depends on which clients share a
//! shard. What needs the whole (the ledger, agreement between clients) waits for [`Shard::settle`].
//!
//! A shard is two things: the state of each client, and a [`Flow`] of what is only added to. The
//! flow can be taken away at any time, each second for the journal, without changing what follows.

pub mod absence;
mod authority;
pub mod behind;
pub mod client;
mod deliveries;
pub mod exposure;
pub mod findings;
pub mod flight;
mod flow;
mod found;
pub mod incidents;
pub mod metrics;
mod operations;
pub mod probes;
mod publishes;
pub mod series;
mod settle;
mod slowness;
mod spread;
pub mod stability;
pub mod stalls;
mod subscriptions;
#[cfg(test)]
mod tests;
pub mod whereabouts;

use std::collections::BTreeMap;
use std::sync::Arc;

use khala_plan::metric::MetricId;
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use self::absence::Absence;
use self::behind::Behind;
use self::client::{Client, Cut};
use self::exposure::Exposure;
use self::flight::{Frame, Stories};
pub use self::flow::Flow;
use self::found::Found;
use self::metrics::{Key, Metrics};
use self::probes::Probes;
use self::series::Series;
use self::stability::{Silence, Stability};
use self::stalls::{Stall, Stalls};
use self::subscriptions::Taken;
use self::whereabouts::Whereabouts;
use crate::context::Context;
use crate::facts::Finding;
use crate::oracle::authz_leak::{self, Tried};
use crate::oracle::command_accepted;
use crate::oracle::divergent_value;
use crate::oracle::frame_mismatch::{self, Compared};
use crate::oracle::future_cursor::Stay;
use crate::oracle::stands::First;
use crate::oracle::tally::Clients;
use crate::oracle::windows::{Sight, Window};
use crate::oracle::wrongful_eviction::Notice;
use crate::oracle::{Rule, Tally, malformed_message, misaddressed, ws_protocol};
use crate::record::{Addressee, Micros, Outcome, Record, Resource, Sink, Telling};

/// What one worker thread knows.
#[derive(Clone, Debug)]
pub struct Shard {
    context: Arc<Context>,
    /// Each client's life: read with every record, so it stays.
    clients: BTreeMap<u32, Client>,
    /// What is only added to, so that it can be taken away at any time.
    flow: Flow,
    stalls: Stalls,
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
    /// Commands that were never begun, because the target left no room for them.
    pub withheld: u64,
    /// Records of clients that the plan does not have.
    pub strangers: u64,
    /// Evictions of slow clients, by the target's own count.
    pub evictions: u64,
}

impl Totals {
    /// Adds others.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.repeats += other.repeats;
        self.redelivered += other.redelivered;
        self.foreign += other.foreign;
        self.connects += other.connects;
        self.dropped += other.dropped;
        self.withheld += other.withheld;
        self.strangers += other.strangers;
        self.evictions += other.evictions;
    }
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
    /// Where the clients were that each fault is aimed at.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub whereabouts: BTreeMap<u16, Whereabouts>,
    /// Plain counts.
    pub totals: Totals,
    /// Distinct (client, seq) applied, by topic.
    pub applied: BTreeMap<TopicId, u64>,
    /// Of a passive run: clients that subscribed to a topic and got nothing of it, by topic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreached: BTreeMap<TopicId, Clients>,
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
    /// When the generator itself stood still.
    pub stalls: Stalls,
    /// The generator, by second.
    pub probes: Probes,
    /// Operations that could not be tried, by what the generator had run out of.
    pub exhausted: BTreeMap<Resource, u64>,
    /// How far the target's metrics were there to be seen.
    pub sight: Sight,
    /// What befell the run.
    pub stability: Stability,
    /// When the target was away.
    pub absences: Vec<Absence>,
    /// Who had not got everything at the end.
    pub behind: Behind,
    /// The last frames of clients for which a rule was broken.
    pub stories: Stories,
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        let flow = Flow::new(context.bounds().violations_kept);
        Self { context, clients: BTreeMap::new(), flow, stalls: Stalls::default() }
    }

    /// Adds another shard of the same run.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.clients.extend(other.clients);
        self.stalls.merge(&other.stalls);
        self.flow.merge(other.flow);
        self
    }

    /// Takes away what was gathered since the last time; [`Shard::add`] puts it together again.
    #[must_use]
    pub fn take(&mut self) -> Flow {
        let empty = Flow::new(self.context.bounds().violations_kept);
        let mut flow = std::mem::replace(&mut self.flow, empty);
        flow.stalls.clone_from(&self.stalls);
        flow
    }

    /// Adds what was taken from a shard of the same run.
    pub fn add(&mut self, flow: Flow) {
        self.stalls.merge(&flow.stalls);
        self.flow.merge(flow);
    }

    /// The clients' own state, as it is now.
    #[must_use]
    pub fn clients(&self) -> &BTreeMap<u32, Client> {
        &self.clients
    }

    /// The clients' own state, of a shard that takes no more records.
    #[must_use]
    pub fn into_clients(self) -> BTreeMap<u32, Client> {
        self.clients
    }

    /// Puts clients in place, as another shard of the same run had them.
    pub fn put_clients(&mut self, clients: BTreeMap<u32, Client>) {
        self.clients.extend(clients);
    }

    /// Whether an operation ended for reasons of our own; what ran out is counted.
    fn ended_by_us(&mut self, outcome: Outcome) -> bool {
        if let Outcome::Exhausted(resource) = outcome {
            *self.flow.exhausted.entry(resource).or_default() += 1;
        }
        outcome.is_our_own_doing()
    }

    /// Enters a timed sample of a client.
    fn timed(&mut self, key: Key, client: u32, times: Times) {
        self.timed_by(self.context.thread_of(client), key, client, times);
    }

    /// Enters a timed sample: from its intended time, and from its start unless the thread that took it
    /// stood still while it was under way. `group` chooses the cluster.
    fn timed_by(&mut self, thread: u16, key: Key, group: u32, times: Times) {
        let Times { intended, start, done } = times;
        let response = done.saturating_sub(intended);
        if self.stalls.of(thread).cover(start, done) {
            self.flow.metrics.sample_apart(key, group, intended, response);
        } else {
            let service = done.saturating_sub(start);
            self.flow.metrics.sample(key, group, intended, response, service);
        }
    }

    fn client_key(&self, metric: MetricId, client: u32, intended: Micros) -> Key {
        Key {
            metric,
            phase: self.context.phase_at(intended),
            surface: self.context.surface(client),
        }
    }
}

/// When something was due, was begun, and was done.
#[derive(Clone, Copy, Debug)]
struct Times {
    intended: Micros,
    start: Micros,
    done: Micros,
}

/// A client that a fault cut off and that was not back by the end of the fault's phase: how often it had tried, and
/// when the target had turned it away, if it had, so that it tried no more.
fn never_recovered(
    context: &Context,
    metrics: &mut Metrics,
    client: u32,
    cut: Cut,
    (attempts, turned_away): (u32, Option<Micros>),
) {
    let key = |metric| Key {
        metric,
        phase: context.phase_at(cut.intended),
        surface: context.surface(client),
    };
    let waited = context.fault_phase_end(cut.fault).saturating_sub(cut.intended);
    metrics.censored(key(MetricId::TimeToRecovered), client, cut.intended, waited);
    // However many it made, they were not enough.
    let attempts = attempts.into();
    metrics.censored(key(MetricId::ReconnectAttempts), client, cut.intended, attempts);
    metrics.count(key(MetricId::Unrecovered), client, cut.intended, 1, 1);
    if turned_away.is_some_and(|at| at <= context.fault_phase_end(cut.fault)) {
        metrics.for_good(key(MetricId::Unrecovered));
    }
}

impl Sink for Shard {
    fn record(&mut self, record: Record) {
        let Some(client) = record.client() else { return self.enter(record) };
        let at_us = record.at();
        self.flow.totals.strangers += u64::from(self.context.surface(client).is_none());
        self.note_where(client, at_us);
        self.clients.entry(client).or_default().flight.happened(&record);
        let broken_before = self.flow.tally.calls();
        self.enter(record);
        let broken = self.flow.tally.calls() - broken_before;
        let Some(life) = self.clients.get_mut(&client) else { return };
        if broken > 0 && !life.told {
            life.told = true;
            self.flow.stories.keep(client, life.story(at_us));
        }
    }
}

impl Shard {
    fn enter(&mut self, record: Record) {
        judge_at_once(&record, &mut self.flow.tally);
        match record {
            Record::Op(op) => self.op(op),
            Record::ConnectBegun { client, at, attempt: _ } => self.connect_begun(client, at),
            Record::Connected { client, at } => self.connected(client, at),
            Record::Rejoining { client, at } => self.rejoining(client, at),
            Record::SubscribeSent { client, epoch, at, topics } => {
                self.subscribe_sent(client, epoch, at, &topics);
            }
            Record::SubscribeOk { client, epoch, at, watermarks } => {
                self.subscribe_ok(client, epoch, at, &watermarks);
            }
            Record::HeadsTold { client, at, heads } => self.heads_told(client, at, &heads),
            Record::StandsAt { client, at, by, topic, head } => {
                self.flow.stands.topic(topic, head, First { at, client, by });
            }
            Record::LatestTold { client, at, worker, latest } => {
                let by = Telling::Document;
                self.flow.stands.worker(worker, latest, First { at, client, by });
            }
            Record::Delivered(delivery) => self.delivered(&delivery),
            Record::SubscribeStale { client, epoch: _, at, topics } => {
                self.subscribe_stale(client, at, &topics);
            }
            Record::SnapshotTaken { client, topic, start, done, outcome, head, documents } => {
                self.snapshot_taken(Taken { client, topic, start, done, outcome, head, documents });
            }
            Record::Unsubscribed { client, at, topics } => self.unsubscribed(client, at, &topics),
            Record::SlowConsumer { client, at, disconnect, queue_depth, queue_limit } => {
                let notice = Notice { client, at, disconnect, queue_depth, queue_limit };
                self.slow_consumer(notice);
            }
            Record::SlowBegan { client, at } => self.slow_began(client, at),
            Record::SlowEnded { client, at, same_session } => {
                self.slow_ended(client, at, same_session);
            }
            Record::Offline { client, at, cause } => self.offline(client, at, cause),
            Record::Retired { client, at, connected } => self.retired(client, at, connected),
            Record::Word { client, at, place, word } => self.word(client, at, place, &word),
            Record::TokenTried { client, start: _, at, kind, answer } => {
                self.token_tried(Tried { client, at, kind, answer });
            }
            Record::Revoked { client, at, connected } => self.revoked(client, at, connected),
            Record::Frame { .. }
            | Record::Misaddressed { .. }
            | Record::Unasked { .. }
            | Record::Named { .. }
            | Record::Finding { .. }
            | Record::OverLimit { .. }
            | Record::BeyondHead { .. } => self.enter_seen(record),
            Record::Evictions { .. }
            | Record::Window { .. }
            | Record::Published(_)
            | Record::Answered(_)
            | Record::Silence { .. }
            | Record::Renewed { .. }
            | Record::Withheld { .. }
            | Record::SchedulerLag { .. }
            | Record::OwnQueue { .. }
            | Record::Stall { .. }
            | Record::Probe(_)
            | Record::Dropped { .. } => self.enter_of_the_run(record),
            // Judged already.
            Record::PushesCompared { .. }
            | Record::CommandSent { .. }
            | Record::Breached { .. }
            | Record::JoinedAs { .. }
            | Record::Malformed { .. }
            | Record::Misacknowledged { .. } => {}
        }
    }

    /// What clients saw on the wire, and what of it was not to come.
    fn enter_seen(&mut self, record: Record) {
        match record {
            Record::Frame { client, at, sent, bytes, excerpt } => {
                self.frame(client, Frame { at_us: at, sent, bytes, excerpt });
            }
            Record::Misaddressed { client, at, to, event } => {
                self.misaddressed(client, at, to, &event);
            }
            Record::Unasked { client, at, topic, seq } => self.unasked(client, at, &topic, seq),
            Record::Named { client, at, topic, by } => self.named(client, at, &topic, by),
            Record::Finding { name, client, at, message } => {
                self.found(Found { name: &name, client, at, topic: None, seqs: None, message });
            }
            Record::OverLimit { client, at, limit, size, topic, seqs } => {
                let (name, message) = (limit.finding(), limit.told(size));
                let client = Some(client);
                self.found(Found { name, client, at, topic, seqs, message });
            }
            Record::BeyondHead { client, topic, cursor, from, asked, first, at: _ } => {
                let stay = Stay { client, topic, cursor, from, asked, first };
                self.flow.beyond_head.insert(stay);
            }
            // [`Shard::enter`] names what comes here.
            other => debug_assert!(false, "nobody hears of {other:?}"),
        }
    }

    /// What befell the target, the load and the harness itself: of no client's life.
    fn enter_of_the_run(&mut self, record: Record) {
        match record {
            Record::Evictions { at: _, count } => self.flow.totals.evictions += count,
            Record::Window { asked, answered, topic, oldest, head, budget, tier } => {
                let floor = Window::floor(oldest, head);
                if let Some(tier) = tier {
                    self.flow.windows.add_tier(topic, tier);
                }
                self.flow.windows.add(topic, Window { asked, answered, floor, head, budget });
            }
            Record::Published(published) => self.published(&published),
            Record::Answered(answered) => self.answered(&answered),
            Record::Silence { heard, from, to, over, asked, clients } => {
                let silence = Silence { to, over, asked, clients };
                self.flow.stability.silent(heard, from, silence);
            }
            Record::Renewed { before, at, sign } => {
                self.flow.stability.renewed(before, at, sign);
            }
            Record::Withheld { publish: _, intended, at } => self.withheld(intended, at),
            Record::SchedulerLag { thread, at, lag_us } => self.scheduler_lag(thread, at, lag_us),
            Record::OwnQueue { thread: _, at, waited_us } => self.flow.probes.queue(at, waited_us),
            Record::Stall { thread, from, to } => {
                self.stalls.add(Stall { to, from, thread });
            }
            Record::Probe(probe) => self.flow.probes.add(&probe),
            Record::Dropped { count } => self.flow.totals.dropped += count,
            // [`Shard::enter`] names what comes here.
            other => debug_assert!(false, "nobody hears of {other:?}"),
        }
    }

    fn connected(&mut self, client: u32, at: Micros) {
        self.flow.series.at(at).connected += 1;
        let life = self.clients.entry(client).or_default();
        life.unconverged_since.get_or_insert(at);
        life.answered.clear();
        self.opened(client, at);
    }

    fn retired(&mut self, client: u32, at: Micros, connected: bool) {
        self.flow.series.at(at).disconnected += u64::from(connected);
        if connected {
            self.flow.stability.left(at);
        }
        self.clients.entry(client).or_default().retired_at = Some(at);
    }

    fn frame(&mut self, client: u32, frame: Frame) {
        if !frame.sent {
            for rule in Rule::OF_FRAMES {
                self.flow.tally.judged(rule, 1);
            }
        }
        self.clients.entry(client).or_default().flight.frame(frame);
    }

    fn scheduler_lag(&mut self, thread: u16, at: Micros, lag_us: Micros) {
        let phase = self.context.phase_at(at);
        self.flow.metrics.scheduler_lag(phase, thread, lag_us);
        self.flow.probes.lag(at, lag_us);
    }

    fn misaddressed(&mut self, client: u32, at: Micros, to: Addressee, event: &str) {
        // What a client that reads slowly takes late may have been in time on the wire.
        if to != Addressee::OldJoin || !self.is_slow(client, at) {
            misaddressed::on_misaddressed(client, at, to, event, &mut self.flow.tally);
        }
    }
}

/// Rules for which one record is the whole case, whatever came before it.
fn judge_at_once(record: &Record, tally: &mut Tally) {
    match record {
        &Record::PushesCompared { client, at, topic, seq, agree } => {
            frame_mismatch::judge(Compared { client, at, topic, seq, agree }, tally);
        }
        &Record::CommandSent { client, at, answer } => {
            command_accepted::on_answer(client, at, answer, tally);
        }
        &Record::Breached { client, at, breach } => {
            ws_protocol::on_breach(client, at, breach, tally);
        }
        Record::JoinedAs { client, at, session, by } => {
            authz_leak::on_joined_as(*client, *at, session, *by, tally);
        }
        Record::Malformed { client, at, flaw, why } => {
            malformed_message::on_malformed(*client, *at, *flaw, why, tally);
        }
        Record::Misacknowledged { at, worker: _, command, why } => {
            divergent_value::misacknowledged(*at, command, why, tally);
        }
        _ => {}
    }
}

impl Settled {
    /// Violations of one rule.
    #[must_use]
    pub fn violations(&self, rule: Rule) -> u64 {
        self.tally.count(rule)
    }
}
