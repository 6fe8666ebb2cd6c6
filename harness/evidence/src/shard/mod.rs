//! A shard: what one worker thread knows of the run. Takes records, merges with other shards.
//!
//! `merge` is associative and commutative, and splitting one stream of records by client over any
//! number of shards gives equal results exactly: nothing here depends on which clients share a
//! shard. What needs the whole (the ledger, agreement between clients) waits for [`Shard::settle`].

pub mod client;
pub mod exposure;
pub mod findings;
pub mod metrics;
pub mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use khala_plan::metric::MetricId;
use khala_wire::TopicKind;
use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use self::client::{Client, Cut};
use self::exposure::Exposure;
use self::findings::Findings;
use self::metrics::{Key, Metrics};
use self::series::Series;
use crate::context::Context;
use crate::facts::Finding;
use crate::oracle::false_replay_complete::{Replies, Reply};
use crate::oracle::ledger::Ledger;
use crate::oracle::lost_publish::Witness;
use crate::oracle::track::Step;
use crate::oracle::{
    End, Rule, Tally, divergent_value, gap, lost_publish, no_convergence, nonmonotonic,
};
use crate::record::{
    Delivery, Micros, OfflineCause, Op, OpKind, Outcome, PublishId, Published, Record, Sink, Source,
    SubscribedTopic,
};

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

    /// Settles what needs the whole run. `published_on`: the topics that the run's commands feed.
    #[must_use]
    pub fn settle(self, published_on: &BTreeSet<TopicId>, end: End) -> Settled {
        let Self { context, mut state } = self;
        let bounds = context.bounds().clone();
        let clients = std::mem::take(&mut state.clients);
        let mut clients_live_at_end = 0;
        let mut applied: BTreeMap<TopicId, u64> = BTreeMap::new();
        let mut settled_clients = BTreeMap::new();
        for (id, mut client) in clients {
            clients_live_at_end += u64::from(client.live_since.is_some());
            let at = client.retired_at.unwrap_or(end.at);
            if let (None, Some(since)) = (client.live_since, client.unconverged_since) {
                let bound = bounds.converge_within;
                no_convergence::judge(id, since, at, false, bound, &mut state.tally);
            }
            if let Some(cut) = client.cut {
                never_recovered(&context, &mut state.metrics, id, cut);
            }
            client.marks.settle(bounds.storm_min_deliveries, &mut state.exposures);
            for (&topic, track) in &mut client.tracks {
                let lost = track.settle();
                gap::on_lost(id, topic, track.epoch, &lost, &mut state.tally);
                *applied.entry(topic).or_default() += track.applied;
            }
            settled_clients.insert(id, client);
        }
        divergent_value::settle(&state.ledger, &mut state.tally);
        let track_of =
            |client: u32, topic: TopicId| settled_clients.get(&client)?.tracks.get(&topic).cloned();
        state.replies.settle(&state.ledger, bounds.settle_within, &track_of, &mut state.tally);
        let witnesses: Vec<_> = settled_clients
            .iter()
            .map(|(&client, life)| Witness {
                client,
                live: life.live_since.is_some(),
                tracks: &life.tracks,
            })
            .collect();
        lost_publish::settle(&state.ledger, published_on, &witnesses, end, &mut state.tally);
        Settled {
            clients: settled_clients.len() as u64,
            clients_live_at_end,
            applied,
            acknowledged: state.ledger.acknowledged().len() as u64,
            refused: state.ledger.refused(),
            replies: state.replies.len() as u64,
            tally: state.tally,
            metrics: state.metrics,
            series: state.series,
            exposures: state.exposures,
            totals: state.totals,
            findings: state.findings.into_list(),
        }
    }

    fn client_key(&self, metric: MetricId, client: u32, intended: Micros) -> Key {
        Key {
            metric,
            phase: self.context.phase_at(intended),
            surface: Some(self.context.surface(client)),
        }
    }

    fn op(&mut self, op: Op) {
        let Op { client, kind, intended, start, done, outcome } = op;
        if kind == OpKind::Connect {
            let life = self.state.clients.entry(client).or_default();
            life.connecting_since.get_or_insert(intended);
        }
        if outcome == Outcome::Interrupted {
            return;
        }
        let metric = match kind {
            OpKind::Mint => MetricId::TokenMint,
            OpKind::Connect => MetricId::Connect,
            OpKind::Join => MetricId::Join,
            OpKind::Subscribe => MetricId::Subscribe,
            OpKind::Heartbeat => MetricId::HeartbeatRtt,
        };
        // Errors other than time-outs say nothing about how long the operation takes.
        if matches!(outcome, Outcome::Ok | Outcome::Timeout) {
            let key = self.client_key(metric, client, intended);
            let response = done.saturating_sub(intended);
            let service = done.saturating_sub(start);
            self.state.metrics.sample(key, client, intended, response, service);
        }
        let failed = u64::from(outcome != Outcome::Ok);
        self.state.series.at(done).errors += failed;
        let mut proportion = |metric, bad: bool| {
            let key = self.client_key(metric, client, intended);
            self.state.metrics.count(key, client, intended, u64::from(bad), 1);
        };
        match kind {
            OpKind::Mint => {
                proportion(MetricId::MintErrors, outcome != Outcome::Ok);
                proportion(MetricId::AuthErrors, outcome == Outcome::RefusedAuth);
            }
            OpKind::Connect => proportion(MetricId::AuthErrors, outcome == Outcome::RefusedAuth),
            OpKind::Join | OpKind::Subscribe => {
                proportion(MetricId::TopicErrors, outcome != Outcome::Ok);
            }
            OpKind::Heartbeat => {}
        }
    }

    fn connect_begun(&mut self, client: u32, at: Micros) {
        self.state.totals.connects += 1;
        self.state.series.at(at).connects += 1;
        let life = self.state.clients.entry(client).or_default();
        life.attempts += 1;
        let unplanned = life.seen_before && life.cut.is_none();
        life.seen_before = true;
        if unplanned {
            let key = self.client_key(MetricId::Reconnects, client, at);
            self.state.metrics.count(key, client, at, 1, 1);
        }
    }

    fn subscribe_sent(&mut self, client: u32, epoch: u32, at: Micros, topics: &[SubscribedTopic]) {
        let life = self.state.clients.entry(client).or_default();
        life.subscribing(at, topics);
        for subscribed in topics {
            life.marks.subscribed(subscribed.topic);
            let track = life.tracks.entry(subscribed.topic).or_default();
            let last_epoch = track.epoch;
            let lost = track.begin(epoch, subscribed.cursor);
            gap::on_lost(client, subscribed.topic, last_epoch, &lost, &mut self.state.tally);
        }
    }

    fn subscribe_ok(&mut self, client: u32, epoch: u32, at: Micros, marks: &[(TopicId, u64)]) {
        let life = self.state.clients.entry(client).or_default();
        let Some(subscription) = &mut life.subscription else { return };
        subscription.answered_at = Some(at);
        let (sent_at, resumed) = (subscription.sent_at, subscription.resumed);
        for &(topic, watermark) in marks {
            let Some(track) = life.tracks.get_mut(&topic) else { continue };
            track.answered(watermark);
            let reply = Reply { client, topic, epoch, sent_at, at };
            match topic.kind() {
                TopicKind::Stream => {
                    self.state.replies.stream(reply, track.highest.unwrap_or_default());
                }
                TopicKind::State => {
                    for (&(_, worker), &version) in
                        life.versions.range((topic, 0)..=(topic, u16::MAX))
                    {
                        self.state.replies.state(reply, worker, version);
                    }
                }
            }
        }
        if resumed {
            let key = self.client_key(MetricId::ResumeToLive, client, sent_at);
            let took = at.saturating_sub(sent_at);
            self.state.metrics.sample(key, client, sent_at, took, took);
        }
        self.converge(client, at);
    }

    fn delivered(&mut self, delivery: &Delivery) {
        let Delivery { client, topic, seq, at, source, .. } = *delivery;
        self.state.totals.deliveries += 1;
        self.state.totals.foreign += u64::from(source == Source::Foreign);
        self.state.series.at(at).deliveries += 1;
        self.state.ledger.deliver(delivery);
        let life = self.state.clients.entry(client).or_default();
        let track = life.tracks.entry(topic).or_default();
        let (step, overflow) = track.deliver(topic.kind(), seq, at);
        let epoch = track.epoch;
        nonmonotonic::on_step(step, delivery, track, &mut self.state.tally);
        gap::on_lost(client, topic, epoch, overflow.as_slice(), &mut self.state.tally);
        match step {
            Step::Repeat => self.state.totals.repeats += 1,
            Step::Redelivered => self.state.totals.redelivered += 1,
            Step::Fresh | Step::OutOfOrder | Step::Undecided => {}
        }
        if step != Step::Fresh {
            return;
        }
        if let Source::State { worker, version } = source {
            let known = life.versions.entry((topic, worker)).or_default();
            *known = version.max(*known);
        }
        match life.live_since {
            Some(live_since) => {
                life.marks.delivered(topic);
                if let Source::Event { intended: Some(intended), .. } = source
                    && intended >= live_since
                {
                    let key = self.client_key(MetricId::Delivery, client, intended);
                    let took = at.saturating_sub(intended);
                    self.state.metrics.sample(key, client, intended, took, took);
                }
            }
            None => self.converge(client, at),
        }
    }

    /// Enters what follows if the client has just become live.
    fn converge(&mut self, client: u32, at: Micros) {
        let Some(life) = self.state.clients.get_mut(&client) else { return };
        if !life.has_converged() {
            return;
        }
        life.live_since = Some(at);
        self.state.series.at(at).converged += 1;
        let attempts = std::mem::take(&mut life.attempts);
        let connecting_since = life.connecting_since.take();
        let unconverged_since = life.unconverged_since.take();
        let cut = life.cut.take();
        if let Some(since) = unconverged_since {
            let bound = self.context.bounds().converge_within;
            no_convergence::judge(client, since, at, true, bound, &mut self.state.tally);
        }
        if let Some(intended) = connecting_since {
            let key = self.client_key(MetricId::ReplayBootstrap, client, intended);
            let took = at.saturating_sub(intended);
            self.state.metrics.sample(key, client, intended, took, took);
        }
        let Some(cut) = cut else { return };
        if at > self.context.fault_phase_end(cut.fault) {
            never_recovered(&self.context, &mut self.state.metrics, client, cut);
            return;
        }
        let key = self.client_key(MetricId::TimeToRecovered, client, cut.intended);
        let (response, service) = (at.saturating_sub(cut.intended), at.saturating_sub(cut.at));
        self.state.metrics.sample(key, client, cut.intended, response, service);
        let key = self.client_key(MetricId::ReconnectAttempts, client, cut.intended);
        let attempts = attempts.into();
        self.state.metrics.sample(key, client, cut.intended, attempts, attempts);
        let key = self.client_key(MetricId::Unrecovered, client, cut.intended);
        self.state.metrics.count(key, client, cut.intended, 0, 1);
    }

    fn offline(&mut self, client: u32, at: Micros, cause: OfflineCause) {
        self.state.series.at(at).disconnected += 1;
        let needed = self.context.bounds().storm_min_deliveries;
        let life = self.state.clients.entry(client).or_default();
        if life.live_since.take().is_some() {
            life.attempts = 0;
        }
        life.subscription = None;
        match cause {
            OfflineCause::Fault { id, intended } => {
                life.marks.cut(id, needed, &mut self.state.exposures);
                life.cut.get_or_insert(Cut { fault: id, intended, at });
                life.unconverged_since = None;
                life.connecting_since = None;
            }
            OfflineCause::HeartbeatTimeout => {
                let key = self.client_key(MetricId::HeartbeatTimeouts, client, at);
                self.state.metrics.count(key, client, at, 1, 1);
            }
            _ => {}
        }
    }

    fn published(&mut self, published: &Published) {
        self.state.ledger.publish(published);
        let Published { id, intended, start, done, outcome, worker, .. } = *published;
        if matches!(id, PublishId::Lifecycle { .. }) {
            // Owed to the clients, but no part of the load.
            return;
        }
        let acknowledged = outcome == Outcome::Ok;
        self.state.series.at(done).published += u64::from(acknowledged);
        if outcome == Outcome::Interrupted {
            return;
        }
        let key = |metric| Key { metric, phase: self.context.phase_at(intended), surface: None };
        if matches!(outcome, Outcome::Ok | Outcome::Timeout) {
            let response = done.saturating_sub(intended);
            let service = done.saturating_sub(start);
            let worker = worker.into();
            self.state.metrics.sample(key(MetricId::Publish), worker, intended, response, service);
        }
        let bad = u64::from(!acknowledged);
        self.state.metrics.count(key(MetricId::PublishErrors), 0, intended, bad, 1);
    }
}

/// A client that a fault cut off and that was not back by the end of the fault's phase.
fn never_recovered(context: &Context, metrics: &mut Metrics, client: u32, cut: Cut) {
    let key = |metric| Key {
        metric,
        phase: context.phase_at(cut.intended),
        surface: Some(context.surface(client)),
    };
    let waited = context.fault_phase_end(cut.fault).saturating_sub(cut.intended);
    metrics.censored(key(MetricId::TimeToRecovered), client, cut.intended, waited);
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
