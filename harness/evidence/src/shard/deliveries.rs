//! Deliveries, and what follows when a client becomes live, as a shard takes them.

use std::time::Duration;

use khala_plan::metric::MetricId;
use khala_wire::TopicKind;

use super::client::Client;
use super::findings::Seen;
use super::flight::Story;
use super::{Flow, Shard, Times, never_recovered};
use crate::context::Context;
use crate::oracle::heads_told::Has;
use crate::oracle::ledger::Manner;
use crate::oracle::starved_topic::{Fresh, Origin};
use crate::oracle::state_late::{Arrival, Jump};
use crate::oracle::track::Step;
use crate::oracle::{
    Rule, Tally, after_unsubscribe, command_accepted, no_convergence, nonmonotonic, state_regress,
    tail_before_snapshot,
};
use crate::record::{Delivery, Micros, Source};

/// What a delivery is on its client's track.
struct Placed {
    step: Step,
    /// Whether it shows that something is missing before it.
    skipped: bool,
    /// From when on what is published is sent to the client live.
    live_from: Micros,
}

impl Shard {
    pub(super) fn delivered(&mut self, delivery: &Delivery) {
        let Delivery { client, topic, at, source, .. } = *delivery;
        self.flow.totals.deliveries += 1;
        self.flow.totals.foreign += u64::from(source.is_foreign());
        self.flow.series.at(at).deliveries += 1;
        command_accepted::on_delivery(delivery, &mut self.flow.tally);
        let authorised = self.authorised(delivery);
        let life = self.clients.entry(client).or_default();
        let placed = authorised.then(|| place(&self.context, &mut self.flow, life, delivery));
        let Some(Placed { step, skipped, live_from }) = placed.flatten() else {
            self.flow.ledger.deliver(delivery);
            return;
        };
        let (intended, begun) = match source {
            Source::Event { intended, begun, .. } => (intended, begun),
            _ => (None, None),
        };
        let reads = !life.slow.ever() && !self.context.is_slow_by_plan(client);
        let live = step == Step::Fresh
            && reads
            && intended
                .zip(life.live_since)
                .is_some_and(|(intended, since)| intended >= since && intended >= live_from);
        let again = matches!(step, Step::Repeat | Step::Redelivered | Step::Overlap);
        let since = life.live_since.filter(|_| reads).map(|since| since.max(live_from));
        let fresh_live = step == Step::Fresh && since.is_some_and(|since| since <= at);
        let on_stream = topic.kind() == TopicKind::Stream;
        let spread_to = self.context.surface(client).filter(|_| fresh_live && on_stream);
        self.flow.ledger.deliver_as(delivery, Manner { again, live, spread_to });
        if let Some(intended) = intended {
            life.slow.delivered(at, intended);
        }
        if skipped {
            life.slow.skipped(at);
            self.flow.skips += u64::from(reads);
        }
        if let (Some(begun), true, Step::Fresh) = (begun, on_stream, step) {
            life.slow.found(at, begun);
        }
        let settle_within = self.context.bounds().settle_within;
        let since_fresh = since.filter(|_| step == Step::Fresh);
        drained(life, delivery, since_fresh, settle_within, &mut self.flow.tally);
        if let Source::State { worker, version } = source {
            let fresh = step == Step::Fresh;
            versioned(&mut self.flow, life, delivery, (worker, version), fresh.then_some(since));
        }
        if !life.heads_told.is_empty() {
            let seq = life.tracks.get(&topic).and_then(|track| track.highest);
            let has = Has { client, topic, seq: seq.unwrap_or_default(), at };
            let own = self.stalls.of(self.context.thread_of(client));
            life.heads_told.came(has, own, settle_within, &mut self.flow.tally);
        }
        if let Source::Document { key, version } = source {
            of_others(life, delivery, (key, version), step == Step::Fresh, &mut self.flow.tally);
        }
        if on_stream && step == Step::Fresh {
            life.together.on_fresh(delivery, live, settle_within);
        }
        if life.live_since.is_none() {
            // A redelivery reaches head as well as what is new.
            self.converge(client, at);
            return;
        }
        if step != Step::Fresh {
            return;
        }
        life.marks.delivered(topic);
        if let (Some(intended), true) = (intended, live) {
            let key = self.client_key(MetricId::Delivery, client, intended);
            let start = begun.unwrap_or(intended);
            self.timed(key, client, Times { intended, start, done: at });
        }
    }

    /// Enters what follows if the client has just become live.
    pub(super) fn converge(&mut self, client: u32, at: Micros) {
        let Some(life) = self.clients.get_mut(&client) else { return };
        if !life.has_converged() {
            return;
        }
        life.live_since = Some(at);
        life.hit = None;
        self.flow.series.at(at).converged += 1;
        let attempts = std::mem::take(&mut life.attempts);
        let connecting_since = life.connecting_since.take();
        let unconverged_since = life.unconverged_since.take();
        let cut = life.cut.take();
        let slow = life.slow.is_slow();
        if let Some(since) = unconverged_since.filter(|_| !slow) {
            let bound = self.context.bounds().converge_within;
            let own = self.stalls.of(self.context.thread_of(client));
            let at = at.saturating_sub(own.within(since, at));
            no_convergence::judge(client, since, at, true, bound, &mut self.flow.tally);
        }
        if let Some(intended) = connecting_since {
            let key = self.client_key(MetricId::ReplayBootstrap, client, intended);
            self.timed(key, client, Times { intended, start: intended, done: at });
        }
        let Some(cut) = cut else { return };
        if at > self.context.fault_phase_end(cut.fault) {
            never_recovered(&self.context, &mut self.flow.metrics, client, cut, (attempts, None));
            return;
        }
        let key = self.client_key(MetricId::TimeToRecovered, client, cut.intended);
        let times = Times { intended: cut.intended, start: cut.at, done: at };
        self.timed(key, client, times);
        let key = self.client_key(MetricId::ReconnectAttempts, client, cut.intended);
        let attempts = attempts.into();
        self.flow.metrics.sample(key, client, cut.intended, attempts, attempts);
        let key = self.client_key(MetricId::Unrecovered, client, cut.intended);
        self.flow.metrics.count(key, client, cut.intended, 0, 1);
    }
}

/// Puts a delivery in its place on its client's track of the topic; `None` where it has none: no subscribe ever
/// named the topic, or what may come of it now is none of this. It has no order then, is not applied, and
/// nothing is owed.
fn place(
    context: &Context,
    flow: &mut Flow,
    life: &mut Client,
    delivery: &Delivery,
) -> Option<Placed> {
    let Delivery { client, topic, seq, at, .. } = *delivery;
    let track = life.tracks.get_mut(&topic)?;
    let tally = &mut flow.tally;
    if tail_before_snapshot::on_delivery(delivery, track, tally)
        || after_unsubscribe::on_delivery(delivery, track, tally)
        || after_unsubscribe::on_refused_list(
            delivery,
            track,
            life.answered.contains(&topic),
            tally,
        )
    {
        return None;
    }
    let missing_before = track.missing();
    let dense = context.is_dense(topic);
    let (step, overflow) = track.deliver(dense, seq, at);
    let missing = track.missing() > missing_before;
    if missing && life.suspicion.is_none() {
        let flight = life.flight.clone();
        life.suspicion = Some(Box::new(Story { at_us: at, flight }));
    }
    nonmonotonic::on_step(step, delivery, track, tally);
    tally.judged(Rule::Gap, u64::from(dense));
    flow.lost.add(client, topic, track.epoch, overflow.as_slice());
    match step {
        Step::Repeat => flow.totals.repeats += 1,
        Step::Redelivered => flow.totals.redelivered += 1,
        Step::Overlap => {
            flow.totals.redelivered += 1;
            flow.findings.add(overlap(delivery, track.floor.unwrap_or_default()));
        }
        Step::Fresh | Step::OutOfOrder | Step::Undecided => {}
    }
    let skipped = missing || !overflow.as_slice().is_empty();
    Some(Placed { step, skipped, live_from: track.live_from.unwrap_or_default() })
}

/// Enters a version of a worker's document. `fresh`: if it is fresh to the client, from when on that was sent the
/// topic live, if it was.
fn versioned(
    flow: &mut Flow,
    life: &mut Client,
    delivery: &Delivery,
    (worker, version): (u16, u64),
    fresh: Option<Option<Micros>>,
) {
    let Delivery { client, topic, seq, at, .. } = *delivery;
    let known = life.versions.get(&(topic, worker)).copied();
    let had = known.unwrap_or_default();
    if let Some(since) = fresh {
        if let Some(known) = known {
            let whose = format!("worker {worker}'s");
            state_regress::on_fresh(delivery, &whose, version, known, &mut flow.tally);
        }
        if let Some(since) = since.filter(|_| version > had) {
            let jump = Jump { topic, seq, worker, owed: had + 1, to: version };
            flow.jumps.add(jump, Arrival { at, client, since });
        }
    }
    // Delivered is delivered, whatever the client makes of it: what came out of order is not missing
    // as well.
    life.versions.insert((topic, worker), version.max(had));
}

/// Enters a version of a document of somebody else's.
fn of_others(
    life: &mut Client,
    delivery: &Delivery,
    (key, version): (u64, u64),
    fresh: bool,
    tally: &mut Tally,
) {
    let place = (delivery.topic, key);
    let known = life.documents.get(&place).copied();
    if let (Some(known), true) = (known, fresh) {
        state_regress::on_fresh(delivery, "somebody else's", version, known, tally);
    }
    if known.is_some() || life.documents.len() < state_regress::DOCUMENTS_MAX {
        life.documents.insert(place, version.max(known.unwrap_or_default()));
    } else if fresh {
        tally.undecided(Rule::StateRegress);
    }
}

/// What the client had by the cursor that it sent came again: allowed, and worth knowing of a target that
/// sends whole logs.
fn overlap(delivery: &Delivery, cursor: u64) -> Seen {
    let Delivery { client, topic, seq, at, .. } = *delivery;
    let message = format!(
        "seq {seq} of {} came although the subscription resumed after {cursor}: a duplicate, which \
         clients drop",
        topic.name()
    );
    let (name, client) = ("replay_overlaps".to_owned(), Some(client));
    Seen { name, count: 1, times: Some((at, at)), client, message }
}

/// Tells how a client's topics are drained. `since`: from when on it was sent the topic live, if what
/// came is fresh to it. Must know the version that the client had before.
fn drained(
    life: &mut Client,
    delivery: &Delivery,
    since: Option<Micros>,
    settle_within: Duration,
    tally: &mut Tally,
) {
    let Delivery { topic, seq, at, source, .. } = *delivery;
    let what = match source {
        Source::Event { publish, begun, .. } => {
            let origin = Origin::Publish(publish);
            let live = begun.zip(since).is_some_and(|(begun, since)| begun >= since);
            Some((origin, live.then_some(origin)))
        }
        Source::State { worker, version } => {
            let known = life.versions.get(&(topic, worker)).filter(|known| **known < version);
            let owed = known.map(|known| Origin::Version { worker, version: known + 1 });
            Some((Origin::Version { worker, version }, owed))
        }
        Source::Document { .. } | Source::Foreign => None,
    };
    match (what, since.filter(|since| *since <= at)) {
        (Some((origin, owed)), Some(since)) => {
            let fresh = Fresh { topic, seq, at, origin, owed, since };
            life.drain.on_fresh(&fresh, settle_within, tally);
        }
        _ => life.drain.heard(topic, at),
    }
}
