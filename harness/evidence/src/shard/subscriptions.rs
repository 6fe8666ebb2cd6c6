//! Subscribes, refusals, snapshots and unsubscribes, as a shard takes them.

use std::collections::{BTreeMap, BTreeSet};

use khala_plan::metric::MetricId;
use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::{Shard, Times};
use crate::oracle::bad_snapshot::content;
use crate::oracle::baseline::Baseline;
use crate::oracle::false_replay_complete::Reply;
use crate::oracle::heads_told::Has;
use crate::oracle::track::Standing;
use crate::oracle::{after_unsubscribe, bad_snapshot, tail_before_snapshot};
use crate::record::{Held, Micros, Outcome, StaleTopic, SubscribedTopic};

/// A snapshot, as it is recorded.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub client: u32,
    pub topic: TopicId,
    pub start: Micros,
    pub done: Micros,
    pub outcome: Outcome,
    pub head: Option<u64>,
    pub documents: Vec<Held>,
}

impl Shard {
    pub(super) fn subscribe_sent(
        &mut self,
        client: u32,
        epoch: u32,
        at: Micros,
        topics: &[SubscribedTopic],
    ) {
        let life = self.clients.entry(client).or_default();
        life.heads_told.forget();
        life.subscribing(at, topics);
        life.slow.resubscribed();
        life.cursors.sent(epoch, at, topics);
        for track in life.tracks.values_mut().filter(|t| t.standing == Standing::Stale) {
            track.standing = Standing::Out;
        }
        for subscribed in topics {
            life.marks.subscribed(subscribed.topic);
            life.rebase(at, subscribed);
            let live = life.live_since.is_some();
            let replays_all =
                subscribed.cursor.is_none() && !life.cursors.was_refused(subscribed.topic);
            let track = life.tracks.entry(subscribed.topic).or_default();
            let seen = (subscribed.head_seen, at);
            let (aways, tally) = (&mut life.aways, &mut self.flow.tally);
            after_unsubscribe::on_subscribing(subscribed.topic, track, seen, aways, tally);
            let last_epoch = track.epoch;
            let lost = track.begin(epoch, subscribed.cursor);
            if replays_all {
                track.replays_all();
            }
            track.live_from = live.then_some(Micros::MAX);
            self.flow.lost.add(client, subscribed.topic, last_epoch, &lost);
        }
        if self.was_slow(client) {
            // How far behind it fell is the plan's doing.
            return;
        }
        for subscribed in topics {
            let Some(cursor) = subscribed.cursor else { continue };
            let lag = subscribed.head_seen.saturating_sub(cursor);
            let key = self.client_key(MetricId::ReplayLag, client, at);
            self.flow.metrics.sample(key, client, at, lag, lag);
            let key = self.client_key(MetricId::UnplannedStale, client, at);
            self.flow.metrics.count(key, client, at, 0, 1);
        }
    }

    pub(super) fn subscribe_ok(
        &mut self,
        client: u32,
        epoch: u32,
        at: Micros,
        marks: &[(TopicId, u64)],
    ) {
        let life = self.clients.entry(client).or_default();
        let (mut from_floor, mut chosen, mut told_gone) =
            (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        for topic in &life.cursors.pending.topics {
            // Of a log that was pruned empty nothing is replayed, and a socket that got nothing may stand at 0: the
            // client misses nothing of which it was not told.
            if topic.cursor.is_none() && topic.topic.kind() == TopicKind::Stream {
                told_gone.insert(topic.topic, life.cursors.told_gone(topic.topic));
            }
            chosen.extend(topic.by_fault.then_some(topic.topic));
            if let Some(track) = life.tracks.get_mut(&topic.topic) {
                track.live_from = track.live_from.map(|_| at);
                track.accepted(at);
            }
            // A second one replays from where the socket stands.
            if life.answered.insert(topic.topic) && topic.cursor.is_none() {
                from_floor.insert(topic.topic);
            }
        }
        life.cursors.accepted(at, marks);
        let Some(subscription) = &mut life.subscription else { return };
        subscription.answered_at = Some(at);
        let (sent_at, resumed) = (subscription.sent_at, subscription.resumed);
        for &(topic, watermark) in marks {
            let Some(track) = life.tracks.get_mut(&topic) else { continue };
            track.answered(watermark.max(told_gone.get(&topic).copied().unwrap_or_default()));
            let reply = Reply { client, topic, epoch, sent_at, at };
            match topic.kind() {
                TopicKind::Stream => {
                    let stands = Some(watermark).filter(|_| !chosen.contains(&topic));
                    self.flow.replies.stream(reply, track.highest.unwrap_or_default(), stands);
                    if let Some(floor) = track.floor.filter(|_| from_floor.contains(&topic)) {
                        self.flow.replies.from_floor(reply, floor);
                    }
                }
                TopicKind::State => {
                    if let Some(baseline) = life.baselines.get_mut(&topic) {
                        baseline.replayed_by.get_or_insert(at);
                    }
                    // What a snapshot lacks is no early reply's doing.
                    let open = |base: &Baseline| Baseline { whole: false, ..*base };
                    let baseline = life.baselines.get(&topic).map(open);
                    let versions = life.versions.range((topic, 0)..=(topic, u16::MAX));
                    for (&(_, worker), &version) in versions {
                        self.flow.replies.state(reply, worker, version, baseline);
                    }
                    self.flow.replies.other_states(reply, baseline);
                }
            }
        }
        if resumed {
            let key = self.client_key(MetricId::ResumeToLive, client, sent_at);
            self.timed(key, client, Times { intended: sent_at, start: sent_at, done: at });
        }
        self.converge(client, at);
    }

    pub(super) fn subscribe_stale(&mut self, client: u32, at: Micros, stale: &[StaleTopic]) {
        let life = self.clients.entry(client).or_default();
        if !life.cursors.is_subscribing() {
            return self.ended_stale(client, at, stale);
        }
        life.subscription = None;
        let sent = life.cursors.pending.topics.clone();
        let sent_at = life.cursors.pending.sent_at;
        life.cursors.refused(client, at, stale, &mut self.flow.tally);
        for subscribed in &sent {
            let Some(track) = life.tracks.get_mut(&subscribed.topic) else { continue };
            if stale.iter().any(|said| said.topic == subscribed.topic) {
                tail_before_snapshot::on_refused(track, &mut self.flow.tally);
            } else {
                track.standing = Standing::Out;
            }
        }
        for subscribed in &sent {
            let listed = stale.iter().any(|said| said.topic == subscribed.topic);
            let planned = subscribed.by_fault || self.was_slow(client);
            if listed && subscribed.cursor.is_some() && !planned {
                let key = self.client_key(MetricId::UnplannedStale, client, sent_at);
                self.flow.metrics.count(key, client, sent_at, 1, 0);
            }
        }
    }

    /// A subscription in force ended as stale on these topics: the client has to subscribe again, and is live
    /// when that has brought it to head.
    fn ended_stale(&mut self, client: u32, at: Micros, stale: &[StaleTopic]) {
        let life = self.clients.entry(client).or_default();
        let tracks = &life.tracks;
        let subscribed = |topic| {
            let track = tracks.get(&topic);
            track.is_some_and(|track| track.epoch > 0 && track.standing == Standing::Subscribed)
        };
        let ended: Vec<TopicId> =
            stale.iter().map(|said| said.topic).filter(|&topic| subscribed(topic)).collect();
        life.cursors.ended(client, at, stale, subscribed, &mut self.flow.tally);
        if ended.is_empty() {
            return;
        }
        life.subscription = None;
        life.live_since = None;
        life.unconverged_since.get_or_insert(at);
        life.drain.offline();
        life.heads_told.forget();
        for topic in &ended {
            let Some(track) = life.tracks.get_mut(topic) else { continue };
            tail_before_snapshot::on_refused(track, &mut self.flow.tally);
        }
        if !self.was_slow(client) {
            let key = self.client_key(MetricId::UnplannedStale, client, at);
            let count = ended.len() as u64;
            self.flow.metrics.count(key, client, at, count, count);
        }
    }

    pub(super) fn snapshot_taken(&mut self, taken: Taken) {
        let Taken { client, topic, start, done, outcome, head, documents } = taken;
        if matches!(outcome, Outcome::Ok | Outcome::Timeout) {
            let key = self.client_key(MetricId::Snapshot, client, start);
            self.timed(key, client, Times { intended: start, start, done });
        }
        if !self.ended_by_us(outcome) {
            self.flow.series.at(done).errors += u64::from(outcome != Outcome::Ok);
        }
        if outcome != Outcome::Ok {
            return;
        }
        let life = self.clients.entry(client).or_default();
        match head {
            Some(head) => {
                life.cursors.took_snapshot(topic, start, done, head);
                life.fetched.insert(topic, documents.clone());
                let taken = content::Taken { client, at: done, start, topic, head };
                self.flow.snapshots.add(taken, documents);
            }
            None => bad_snapshot::shapeless(client, topic, done, &mut self.flow.tally),
        }
    }

    /// The reply to a heartbeat of a client. What a passive run is owed it learns from such words.
    pub(super) fn heads_told(&mut self, client: u32, at: Micros, heads: &[(TopicId, u64)]) {
        let slow = self.context.is_slow_by_plan(client);
        let life = self.clients.entry(client).or_default();
        if !self.context.is_passive() || slow || life.live_since.is_none() {
            return;
        }
        for &(topic, head) in heads {
            let track = life.tracks.get(&topic);
            let track = track.filter(|track| track.standing == Standing::Subscribed);
            let Some(track) = track else { continue };
            let has = Has { client, topic, seq: track.highest.unwrap_or_default(), at };
            life.heads_told.told(has, head, &mut self.flow.tally);
        }
    }

    pub(super) fn unsubscribed(&mut self, client: u32, at: Micros, topics: &[TopicId]) {
        let life = self.clients.entry(client).or_default();
        life.heads_told.forget();
        for topic in topics {
            after_unsubscribe::on_unsubscribed(life.tracks.entry(*topic).or_default(), at);
        }
    }
}
