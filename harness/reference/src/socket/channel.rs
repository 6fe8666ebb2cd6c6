//! The joined channel of a connection: its topics, its positions, its times.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use khala_wire::cursor::TopicWatermark;
use khala_wire::topic::TopicId;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::end::End;
use super::lag::Lag;
use super::link::Stuck;
use super::subscribe::Request;
use super::tail::Tail;
use crate::config::{SlowConsumer, TOPICS};
use crate::defect::{Defects, Kind};
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::store::Store;

/// Subscribes that a defect may hold back at a time; more are served at once.
const DEFERRED_MAX: usize = 4;

/// How long a channel may lag, and who counts what comes of it.
pub struct Patience<'a> {
    limits: &'a SlowConsumer,
    store: &'a Store,
    defects: &'a Defects,
    metrics: &'a Metrics,
}

impl<'a> Patience<'a> {
    /// That of a server.
    pub fn of(shared: &'a Shared) -> Self {
        Self {
            limits: &shared.config.slow_consumer,
            store: &shared.store,
            defects: &shared.defects,
            metrics: &shared.metrics,
        }
    }
}

/// The one channel, `sync:v1`, while it is joined.
pub struct Channel {
    /// As the join sent it; `None` when it sent null.
    pub join_ref: Option<Box<RawValue>>,
    /// `sub_sync_session:{session}`
    pub subscription_id: String,
    /// Per known topic.
    pub tails: [Option<Tail>; TOPICS],
    /// Last `sync:heartbeat`, or successful subscribe or unsubscribe.
    pub alive_at: Instant,
    /// When the server's next heartbeat is due.
    pub next_tick: Instant,
    /// Strikes.
    pub lag: Lag,
    /// Defect `no_slow_eviction`: it is never told, and never dropped.
    pub spared: bool,
    /// Defect `stuck_channel`: it says nothing any more and hears nothing.
    pub stuck: bool,
    /// Choices that defects have made on this channel.
    pub choices: u64,
    deferred: VecDeque<(Instant, Request)>,
}

impl Channel {
    /// A channel that was just joined.
    pub fn new(
        join_ref: Option<Box<RawValue>>,
        session: &str,
        heartbeat_every: Duration,
        now: Instant,
    ) -> Self {
        Self {
            join_ref,
            subscription_id: format!("sub_sync_session:{session}"),
            tails: std::array::from_fn(|_| None),
            alive_at: now,
            next_tick: now + heartbeat_every,
            lag: Lag::default(),
            spared: false,
            stuck: false,
            choices: 0,
            deferred: VecDeque::new(),
        }
    }

    /// The tail of a topic.
    pub fn tail(&mut self, topic: TopicId) -> &mut Option<Tail> {
        &mut self.tails[topic.index()]
    }

    fn subscribed(&self) -> Vec<(TopicId, &Tail)> {
        let tails = TopicId::all().zip(&self.tails);
        let mut subscribed: Vec<_> = tails
            .filter_map(|(id, tail)| Some((id, tail.as_ref()?)))
            .filter(|(_, tail)| !tail.ghost)
            .collect();
        // A real runtime keeps its topics in a set that is ordered by name.
        subscribed.sort_by_key(|(id, _)| id.name());
        subscribed
    }

    /// Names of the subscribed topics.
    pub fn topics(&self) -> Vec<String> {
        self.subscribed().iter().map(|(id, _)| id.name().to_owned()).collect()
    }

    /// Where the socket stands on each subscribed topic.
    pub fn watermarks(&self) -> Vec<TopicWatermark> {
        let watermark = |(id, tail): &(TopicId, &Tail)| TopicWatermark {
            topic: id.name().to_owned(),
            watermark: tail.sent,
        };
        self.subscribed().iter().map(watermark).collect()
    }

    /// Judges the channel after its socket has refused bytes for `refused`, and counts what comes
    /// of it.
    pub fn judge(&mut self, patience: &Patience<'_>, refused: Duration) {
        let mut depths = [0; TOPICS];
        for ((depth, tail), log) in depths.iter_mut().zip(&self.tails).zip(patience.store.logs()) {
            *depth = tail.as_ref().map_or(0, |tail| tail.depth(log.head()));
        }
        let before = self.lag.evicted();
        self.lag.judge(depths, refused, patience.limits);
        if self.spared {
            if self.lag.evicted() {
                patience.defects.note(Kind::NoSlowEviction);
            }
            self.lag.spare();
        } else if self.lag.evicted() && !before {
            patience.metrics.evictions.add(1);
        }
    }

    /// What a write that is stuck should do.
    pub fn stuck(&mut self, patience: &Patience<'_>, refused: Duration) -> Stuck {
        self.judge(patience, refused);
        if self.lag.evicted() {
            return ControlFlow::Break((patience.limits.evict_grace, End::Evicted));
        }
        ControlFlow::Continue(())
    }

    /// Holds a subscribe back until `due`; gives it back when too many are held already.
    pub fn defer(&mut self, due: Instant, request: Request) -> Result<(), Request> {
        if self.deferred.len() >= DEFERRED_MAX {
            return Err(request);
        }
        self.deferred.push_back((due, request));
        Ok(())
    }

    /// The next subscribe that was held back long enough.
    pub fn take_deferred(&mut self, now: Instant) -> Option<Request> {
        let (due, _) = self.deferred.front()?;
        if *due > now {
            return None;
        }
        self.deferred.pop_front().map(|(_, request)| request)
    }

    /// When there is something to do without being asked.
    pub fn due(&self) -> Instant {
        let held = self.tails.iter().flatten().filter_map(Tail::due);
        let deferred = self.deferred.front().map(|(due, _)| *due);
        held.chain(deferred).fold(self.next_tick, Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn topics_are_listed_by_name() {
        let mut channel = Channel::new(None, "s", Duration::from_secs(15), clock::now());
        for tail in &mut channel.tails {
            *tail = Some(Tail::new(0, 0));
        }
        let mut sorted = channel.topics();
        sorted.sort();
        assert_eq!(channel.topics(), sorted);
        assert_eq!(channel.watermarks().len(), TOPICS);
    }
}
