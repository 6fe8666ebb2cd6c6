//! Timed operations, connects and the ends of sockets, as a shard takes them.

use khala_plan::metric::MetricId;

use super::client::Cut;
use super::{Shard, Times};
use crate::oracle::authz_leak;
use crate::oracle::{Rule, stuck_channel};
use crate::record::{Micros, OfflineCause, Op, OpKind, Outcome};

/// Whether the channel must answer a heartbeat: the client was live when it sent it, and reads.
fn is_owed_an_answer(live_since: Option<Micros>, asked: Micros, reads: bool) -> bool {
    reads && live_since.is_some_and(|since| since <= asked)
}

impl Shard {
    pub(super) fn op(&mut self, op: Op) {
        let Op { client, kind, intended, start, done, outcome } = op;
        if kind == OpKind::Connect {
            let life = self.clients.entry(client).or_default();
            // What a fault ended is begun again when the fault lets it.
            if outcome == Outcome::Interrupted {
                life.connecting_since = None;
            } else {
                life.connecting_since.get_or_insert(intended);
            }
        }
        if self.ended_by_us(outcome) {
            return;
        }
        if kind == OpKind::Mint {
            self.flow.series.at(start).mints += 1;
        }
        let refused = matches!(outcome, Outcome::RefusedAuth | Outcome::RefusedIncompatible);
        self.clients.entry(client).or_default().turned_away = refused.then_some(done);
        self.heartbeat_authorised(&op);
        self.operated(&op);
        let metric = match kind {
            OpKind::Mint => MetricId::TokenMint,
            OpKind::Connect => MetricId::Connect,
            OpKind::TlsHandshake => MetricId::TlsHandshake,
            OpKind::Join => MetricId::Join,
            OpKind::Subscribe => MetricId::Subscribe,
            OpKind::Heartbeat => MetricId::HeartbeatRtt,
        };
        // Errors other than time-outs say nothing about how long the operation takes.
        if matches!(outcome, Outcome::Ok | Outcome::Timeout) {
            let key = self.client_key(metric, client, intended);
            self.timed(key, client, Times { intended, start, done });
        }
        let life = self.clients.get(&client);
        if (kind, outcome) == (OpKind::Heartbeat, Outcome::Ok) {
            let reads = !self.context.is_slow_by_plan(client) && !self.was_slow(client);
            let live_since = life.and_then(|life| life.live_since);
            let owed = is_owed_an_answer(live_since, start, reads);
            self.flow.tally.judged(Rule::StuckChannel, owed.into());
        }
        // What a fault wanted refused says nothing against the target.
        let planned = (kind, outcome) == (OpKind::Subscribe, Outcome::StaleCursor)
            && life.is_some_and(|life| life.cursors.pending.is_planned());
        let failed = u64::from(outcome != Outcome::Ok && !planned);
        self.flow.series.at(done).errors += failed;
        let mut proportion = |metric, bad: bool| {
            let key = self.client_key(metric, client, intended);
            self.flow.metrics.count(key, client, intended, u64::from(bad), 1);
        };
        match kind {
            OpKind::Mint => {
                proportion(MetricId::MintErrors, outcome != Outcome::Ok);
                proportion(MetricId::AuthErrors, outcome == Outcome::RefusedAuth);
            }
            OpKind::Connect => {
                proportion(MetricId::ConnectErrors, outcome != Outcome::Ok);
                proportion(MetricId::AuthErrors, outcome == Outcome::RefusedAuth);
            }
            OpKind::Join | OpKind::Subscribe => {
                proportion(MetricId::TopicErrors, failed > 0);
            }
            OpKind::TlsHandshake | OpKind::Heartbeat => {}
        }
    }

    pub(super) fn connect_begun(&mut self, client: u32, at: Micros) {
        self.came_back(client, at);
        self.flow.totals.connects += 1;
        let life = self.clients.entry(client).or_default();
        let second = self.flow.series.at(at);
        second.connects += 1;
        second.reconnects += u64::from(life.seen_before);
        life.attempts += 1;
        let unplanned = life.seen_before && life.cut.is_none() && !life.slow.ever();
        life.seen_before = true;
        if unplanned {
            let key = self.client_key(MetricId::Reconnects, client, at);
            self.flow.metrics.count(key, client, at, 1, 1);
        }
    }

    /// A client joins its channel again, on the socket that it has.
    pub(super) fn rejoining(&mut self, client: u32, at: Micros) {
        self.came_back(client, at);
        self.reopened(client, at);
        self.flow.series.at(at).connected += 1;
        let life = self.clients.entry(client).or_default();
        life.attempts += 1;
        life.unconverged_since.get_or_insert(at);
        life.connecting_since.get_or_insert(at);
        if life.cut.is_none() && !life.slow.ever() {
            let key = self.client_key(MetricId::Reconnects, client, at);
            self.flow.metrics.count(key, client, at, 1, 1);
        }
    }

    pub(super) fn offline(&mut self, client: u32, at: Micros, cause: OfflineCause) {
        self.ended(client, at, cause);
        self.flow.series.at(at).disconnected += 1;
        let needed = self.context.bounds().storm_min_deliveries;
        let slow_by_plan = self.context.is_slow_by_plan(client);
        let life = self.clients.entry(client).or_default();
        let reads = !life.slow.ever() && !slow_by_plan;
        let live_since = life.live_since.take();
        if live_since.is_some() {
            life.attempts = 0;
        }
        life.subscription = None;
        if let Some(revoked) = life.revoked.take() {
            authz_leak::on_ended(revoked, &mut self.flow.tally);
        }
        life.slow.offline(at, cause);
        life.drain.offline();
        life.heads_told.forget();
        match cause {
            OfflineCause::Fault { id, intended } => {
                let back = life.cut.is_none();
                life.marks.cut(id, back, needed, &mut self.flow.exposures);
                life.cut.get_or_insert(Cut { fault: id, intended, at });
                life.unconverged_since = None;
                life.connecting_since = None;
            }
            // One that does not read, by plan, does not read the answers either.
            OfflineCause::HeartbeatTimeout | OfflineCause::ChannelSilent { .. }
                if life.slow.is_slow() => {}
            OfflineCause::HeartbeatTimeout | OfflineCause::ChannelSilent { .. } => {
                if let OfflineCause::ChannelSilent { asked } = cause {
                    let owed = is_owed_an_answer(live_since, asked, reads);
                    stuck_channel::on_silent(client, at, asked, owed, &mut self.flow.tally);
                }
                let key = self.client_key(MetricId::HeartbeatTimeouts, client, at);
                self.flow.metrics.count(key, client, at, 1, 1);
            }
            _ => {}
        }
    }
}
